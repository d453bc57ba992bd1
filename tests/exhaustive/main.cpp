// exhaustive: searches the small world for a state in which two nodes could run the same thing.
//
//   exhaustive [--seconds S] [--seed N] [--only search|walks] [--verbose]
//
// Half of the time: depth first with growing depth from each start, states pruned by fingerprint.
// Half: long random walks in wider bounds (restarts, drift, overtaking), each with its own weights. A violation is shrunk and told;
// exit 1. What was reached is printed; a situation never reached is a failure of the test itself, exit 2.
#include "tests/exhaustive/small_world.hpp"
#include "tests/sim/random.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <unordered_map>

namespace {

using namespace clusterd;
using namespace clusterd::exhaustive;
using Clock = std::chrono::steady_clock;

struct Found {
    World start;
    std::vector<Choice> path;
    std::string what;
};

std::map<std::string, std::uint64_t> reached;

void note(World const& w, Choice last) {
    if (last.move == Move::take_over) {
        Slot const& y = w.disk[static_cast<std::size_t>(1 - last.node)];
        ++reached[y.stopped_term > 0 && y.stopped_term >= y.alone_term ? "takeover by stop mark" : "takeover by time"];
    }
    if (last.move != Move::decide && last.move != Move::deliver && last.move != Move::persist) return;
    if (!w.nodes[0] || !w.nodes[1]) return;
    if (w.role(0) == Role::joined && w.role(1) == Role::joined) ++reached["both joined"];
    if (w.role(0) == Role::alone || w.role(1) == Role::alone) ++reached["one alone"];
    if (w.disk[0].state == Role::alone && w.disk[1].state == Role::alone) ++reached["both slots say alone"];
    if (last.move == Move::decide && w.role(last.node) == Role::joined) ++reached["a cycle ends after joining"];
}

// The first violation along `path`; steps that have become impossible are left out.
bool replay(World w, std::vector<Choice> const& path, std::vector<Choice>& used, std::string& what) {
    used.clear();
    for (auto const& c : path) {
        if (!w.possible(c)) continue;
        w.apply(c);
        used.push_back(c);
        if (char const* b = w.broken()) {
            what = b;
            return true;
        }
    }
    return false;
}

void shrink(Found& f) {
    std::vector<Choice> used;
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (std::size_t i = 0; i < f.path.size() && !smaller; ++i)
            for (std::size_t n : {std::size_t{8}, std::size_t{3}, std::size_t{2}, std::size_t{1}}) {
                if (i + n > f.path.size()) continue;
                auto less = f.path;
                less.erase(less.begin() + static_cast<std::ptrdiff_t>(i), less.begin() + static_cast<std::ptrdiff_t>(i + n));
                if (replay(f.start, less, used, f.what) && used.size() < f.path.size()) {
                    f.path = used;
                    smaller = true;
                    break;
                }
            }
    }
}

void tell(Found f) {
    shrink(f);
    std::printf("VIOLATION after %zu steps: %s\nstart\n%s", f.path.size(), f.what.c_str(), f.start.show().c_str());
    World w = f.start;
    for (std::size_t i = 0; i < f.path.size(); ++i) {
        w.apply(f.path[i]);
        std::printf("%4zu %s\n", i + 1, to_string(f.path[i]).c_str());
        if (f.path[i].move == Move::decide || f.path[i].move == Move::take_over || f.path[i].move == Move::deliver || i + 1 == f.path.size())
            std::printf("%s", w.show().c_str());
    }
}

// ---- depth first -----------------------------------------------------------------------------------------------------------------

class Search {
public:
    Search(World start, Clock::time_point until) : start_(std::move(start)), until_(until) {}

    bool run(std::vector<Found>& found) {
        for (int depth = 4;; ++depth) {
            seen_.clear();
            cut_ = false;
            path_.clear();
            if (down(start_, depth)) {
                found.push_back({start_, path_, what_});
                return true;
            }
            if (stopped_) return false;
            deepest = depth;
            if (!cut_) return false;  // exhausted
        }
    }
    int deepest = 0;
    std::uint64_t steps = 0, states = 0;

private:
    bool down(World const& w, int left) {
        if (left == 0) {
            cut_ = true;
            return false;
        }
        if ((++steps & 1023) == 0 && (Clock::now() > until_ || seen_.size() > most_states)) stopped_ = true;
        if (stopped_) return false;
        auto const [it, fresh] = seen_.try_emplace(w.fingerprint(), static_cast<std::int8_t>(left));
        if (!fresh) {
            if (it->second >= left) return false;
            it->second = static_cast<std::int8_t>(left);
        }
        ++states;
        std::vector<Choice> all;
        w.choices(all);
        for (auto const& c : all) {
            World next = w;
            next.apply(c);
            note(next, c);
            path_.push_back(c);
            if (char const* b = next.broken()) {
                what_ = b;
                return true;
            }
            if (down(next, left - 1)) return true;
            path_.pop_back();
        }
        return false;
    }
    static constexpr std::size_t most_states = 12'000'000;
    World start_;
    Clock::time_point until_;
    std::unordered_map<std::uint64_t, std::int8_t> seen_;
    std::vector<Choice> path_;
    std::string what_;
    bool cut_ = false, stopped_ = false;
};

// ---- random walks ------------------------------------------------------------------------------------------------------------------

// Weights are drawn for each walk, so that some walks hardly ever hear a heartbeat, and others hardly ever see time pass.
bool walk(World const& start, sim::Random& random, int length, std::vector<Found>& found, std::uint64_t& steps) {
    std::array<std::array<std::uint64_t, 18>, 2> weight{};
    for (auto& w : weight)
        for (auto& x : w) x = 1 + random.below(6) * random.below(4);
    for (auto& w : weight) {
        for (Move rare : {Move::crash_lost, Move::crash_landed, Move::crash_later, Move::resume, Move::fail}) {
            auto& x = w[static_cast<std::size_t>(rare)];
            x = std::min<std::uint64_t>(x, 2);
        }
        w[static_cast<std::size_t>(Move::take_over)] += 4;
    }
    World w = start;
    std::vector<Choice> path, all;
    for (int i = 0; i < length; ++i) {
        w.choices(all);
        std::uint64_t total = 0;
        for (auto const& c : all) total += weight[static_cast<std::size_t>(c.node)][static_cast<std::size_t>(c.move)];
        std::uint64_t at = random.below(total);
        Choice pick = all.front();
        for (auto const& c : all) {
            auto const x = weight[static_cast<std::size_t>(c.node)][static_cast<std::size_t>(c.move)];
            if (at < x) {
                pick = c;
                break;
            }
            at -= x;
        }
        w.apply(pick);
        ++steps;
        note(w, pick);
        path.push_back(pick);
        if (char const* b = w.broken()) {
            found.push_back({start, path, b});
            return true;
        }
    }
    return false;
}

constexpr World::Start starts[] = {World::Start::cold, World::Start::joined, World::Start::a_alone, World::Start::b_waits, World::Start::a_marked};
char const* const start_names[] = {"cold", "both joined", "A alone", "A alone, B waits", "A marked its stop"};

bool search_all(double seconds, bool verbose, std::vector<Found>& found) {
    auto const begin = Clock::now();
    double const each = seconds / 10;
    for (int restarts : {0, 1}) {
        for (int s = 0; s < 5; ++s) {
            Bounds b;
            b.permit = 2;
            b.restarts = restarts;
            auto const until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(each));
            Search search(World::started(b, starts[s]), until);
            bool const bad = search.run(found);
            std::printf("search from %s, %d restarts a node: depth %d, %.2f M states, %.2f M steps\n", start_names[s], restarts, search.deepest,
                        static_cast<double>(search.states) / 1e6, static_cast<double>(search.steps) / 1e6);
            if (bad) return true;
        }
    }
    if (verbose) std::printf("searches took %.1f s\n", std::chrono::duration<double>(Clock::now() - begin).count());
    return false;
}

bool walk_all(double seconds, std::uint64_t seed, std::vector<Found>& found) {
    sim::Random random(seed);
    std::uint64_t walks = 0, steps = 0;
    auto const until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    std::vector<World> from;
    for (int drift : {0, 1})
        for (int permit : {2, 3, 4})
            for (int suspect : {1, 2})
                for (int memory : {1, 2})
                    for (int restarts : {0, 1, 2})
                        for (auto s : starts) {
                            if (suspect >= permit || (drift == 1 && 1000 % permit != 0)) continue;
                            Bounds b{permit, suspect, drift == 1, restarts, memory, permit == 2};
                            from.push_back(World::started(b, s));
                        }
    bool bad = false;
    while (!bad && Clock::now() < until)
        for (int i = 0; i < 100 && !bad; ++i, ++walks) bad = walk(from[random.below(from.size())], random, 100, found, steps);
    std::printf("walks: %llu, %.1f M steps\n", static_cast<unsigned long long>(walks), static_cast<double>(steps) / 1e6);
    return bad;
}

[[noreturn]] void usage() {
    std::fprintf(stderr, "usage: exhaustive [--seconds S] [--seed N] [--only search|walks] [--verbose]\n");
    std::exit(2);
}

}  // namespace

int main(int count, char** words) {
    double seconds = 60;
    std::uint64_t seed = 1;
    std::string only;
    bool verbose = false;
    for (int i = 1; i < count; ++i) {
        std::string const word = words[i];
        if (word == "--verbose") verbose = true;
        else if (i + 1 >= count) usage();
        else if (word == "--seconds") seconds = std::strtod(words[++i], nullptr);
        else if (word == "--seed") seed = std::strtoull(words[++i], nullptr, 10);
        else if (word == "--only") only = words[++i];
        else usage();
    }
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::vector<Found> found;
    double const part = only.empty() ? seconds / 2 : seconds;
    bool bad = only != "walks" && search_all(part, verbose, found);
    bad = bad || (only != "search" && walk_all(part, seed, found));
    for (auto const& f : found) tell(f);
    for (auto const& [name, times] : reached) std::printf("  %-32s %llu\n", name.c_str(), static_cast<unsigned long long>(times));
    if (bad) return 1;
    for (char const* name : {"both joined", "one alone", "both slots say alone", "takeover by time", "takeover by stop mark", "a cycle ends after joining"}) {
        if (only == "search" || reached.contains(name)) continue;
        std::printf("never reached: %s\n", name);
        return 2;
    }
    return 0;
}
