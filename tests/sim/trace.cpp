// Recorded runs of the random simulator: what sim_run --write-trace writes and sim_run --replay plays again.
//
// A file is text: comments tell the story; then lines `seed S`, `minutes M`, `ends MS` (the safety phase), `faults of N: I J K ...`.
#include "tests/sim/scenario.hpp"

#include <fstream>
#include <set>
#include <sstream>

namespace clusterd::sim {

void write_trace(std::string const& path, Scenario const& s, Result const& failure) {
    std::ofstream out(path);
    out << "# Found by the simulator: " << failure.what << "\n#\n";
    for (auto const& f : s.faults) out << "# " << describe(f) << "\n";
    out << "seed " << s.seed << "\nminutes " << s.minutes << "\nends " << s.safety_ends / ms << "\nfaults of " << s.drawn << ":";
    for (auto const& f : s.faults) out << " " << f.number;
    out << "\n";
    if (!out.flush()) throw std::runtime_error(path + " can't be written");
}

Scenario read_trace(std::string const& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error(path + " can't be read");
    std::uint64_t seed = 0;
    double minutes = 0;
    Ns ends = -1;
    std::size_t drawn = 0;
    std::set<std::size_t> kept;
    bool faults = false;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string word;
        if (!(words >> word) || word[0] == '#') continue;
        bool good = true;
        if (word == "seed") good = static_cast<bool>(words >> seed);
        else if (word == "minutes") good = static_cast<bool>(words >> minutes);
        else if (word == "ends") good = static_cast<bool>(words >> ends);
        else if (word == "faults") {
            std::string of, colon;
            good = static_cast<bool>(words >> of >> drawn >> colon);
            for (std::size_t n = 0; words >> n;) kept.insert(n);
            faults = true;
        } else good = false;
        if (!good) throw std::runtime_error(path + ": not understood: " + line);
    }
    if (minutes <= 0 || ends < 0 || !faults) throw std::runtime_error(path + ": lines seed, minutes, ends and faults are needed");
    Scenario s = draw_scenario(seed, minutes);
    if (s.drawn != drawn)
        throw std::runtime_error(path + ": seed " + std::to_string(seed) + " means " + std::to_string(s.drawn) + " faults now, " + std::to_string(drawn) +
                                 " when this was recorded: it isn't the same run any more");
    std::erase_if(s.faults, [&](Fault const& f) { return !kept.contains(f.number); });
    s.safety_ends = ends * ms;
    return s;
}

}  // namespace clusterd::sim
