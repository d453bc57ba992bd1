#include "tests/sim/script.hpp"

#include "tests/sim/scenario.hpp"

#include <sstream>

namespace clusterd::sim {

Ns duration_of(std::string const& word) {
    std::size_t end = 0;
    double value = 0;
    try {
        value = std::stod(word, &end);
    } catch (std::exception const&) {
        return 0;
    }
    std::string const unit = word.substr(end);
    return static_cast<Ns>(value * (unit == "ms" ? 1.0 : unit == "s" ? 1000.0 : 0.0)) * ms;
}

namespace {
bool is_node(std::string const& w) { return w == "A" || w == "B"; }
NodeIndex node(std::string const& w) { return w == "A" ? NodeIndex::a : NodeIndex::b; }
}  // namespace

Script::Script() {
    Setup setup;
    setup.config = sample_config(timing_of("default"), nullptr);
    cluster_ = std::make_unique<Cluster>(std::move(setup));
    cluster_->on_note = [this](std::string const& line) { tell(line); };
    cluster_->logging = true;
}

Script::~Script() = default;

// Only what matters to the story: what a node says of itself in words is left to other tests.
void Script::tell(std::string const& line) {
    if (line.find(" says: ") != std::string::npos || line.find("incarnation ") != std::string::npos || line.find(" records ") != std::string::npos) return;
    if (line.find(" answers ") != std::string::npos || line.rfind("operator ", 0) == 0) return;
    answer_ += line + "\n";
}

void Script::until(std::vector<std::string> const& words) {  // until A alone [within 5s]
    Ns const limit = cluster_->now + (words.size() > 4 ? duration_of(words[4]) : 10'000 * ms);
    auto const there = [&] {
        Machine const& m = cluster_->machine(node(words[1]));
        if (words[2] == "idle") {
            for (auto const& [name, r] : m.running)
                if (r.truth != Truth::off) return false;
            return true;
        }
        if (words[2] == "serves") return m.running.at("web-server").truth == Truth::on;
        return m.node && to_string(m.resume.role) == words[2];
    };
    while (!there() && cluster_->now < limit) cluster_->run_until(cluster_->now + ms);
    if (!there()) answer_ += "NOT within the time given\n";
}

bool Script::process(std::vector<std::string> const& w) {
    Cluster& c = *cluster_;
    NodeIndex const n = w.size() > 1 ? node(w[1]) : NodeIndex::a;
    if (w[0] == "start") c.machine(n).powered ? c.start_service(n) : c.power_on(n);
    else if (w[0] == "power-cut") c.power_cut(n);
    else if (w[0] == "kill-service") c.kill_service(n);
    else if (w[0] == "kill-worker" && w.size() > 2) c.kill_worker(n, duration_of(w[2]));
    else if (w[0] == "freeze") c.freeze(n, w.size() > 2 && w[2] == "all");
    else if (w[0] == "thaw") c.thaw(n);
    else if (w[0] == "lose-store") c.lose_store(n);
    else return false;
    return true;
}

bool Script::surroundings(std::vector<std::string> const& w) {
    Cluster& c = *cluster_;
    NodeIndex const n = w.size() > 1 ? node(w[1]) : NodeIndex::a;
    if (w[0] == "cut") c.cut(n, true);
    else if (w[0] == "mend") c.cut(n, false);
    else if (w[0] == "hold") c.hold(n, true);
    else if (w[0] == "release") c.hold(n, false);
    else if (w[0] == "disk" && w.size() > 2) {
        c.disk_fails(n, w[2] == "fails");
        if (w[2] != "fails") c.disk_hangs(n, w[2] == "hangs");
    } else if (w[0] == "new-disk") {
        c.disk.slot = {};
        c.disk.area = {};
        ++c.disk.id;
        c.note("the disk is a new one");
    } else {
        return false;
    }
    return true;
}

bool Script::resources(std::vector<std::string> const& w) {
    static std::map<std::string, Verb> const verbs = {{"online", Verb::online}, {"offline", Verb::offline}, {"move", Verb::move}};
    auto const verb = verbs.find(w[0]);
    if (verb != verbs.end() && w.size() == 4 && w[2] == "at") {
        Command command;
        command.id = "c" + std::to_string(++commands_);
        command.verb = verb->second;
        command.target = w[1];
        cluster_->command(node(w[3]), command);
    } else if (w[0] == "stick" && w.size() == 4) {  // stick web-server A 60s: it fails, and can't be killed so long
        cluster_->resource_sticks(node(w[2]), w[1], cluster_->now + duration_of(w[3]));
    } else if (w[0] == "stops-take" && w.size() == 2) {
        cluster_->conditions.stop = {duration_of(w[1]), duration_of(w[1])};
    } else if (w[0] == "fsync-takes" && w.size() == 2) {
        cluster_->conditions.fsync = {duration_of(w[1]), duration_of(w[1])};
    } else {
        return false;
    }
    return true;
}

std::string Script::obey(std::string const& command) {
    answer_.clear();
    std::istringstream in(command);
    std::vector<std::string> words;
    for (std::string w; in >> w;) words.push_back(w);
    if (broken_ || words.empty()) return broken_ ? "an invariant is broken already\n" : "ok\n";
    try {
        if (words[0] == "run" && words.size() == 2 && duration_of(words[1]) > 0) {
            cluster_->run_until(cluster_->now + duration_of(words[1]));
        } else if (words[0] == "until" && words.size() > 2 && is_node(words[1])) {
            until(words);
        } else if (words[0] == "show") {
            for (auto n : {NodeIndex::a, NodeIndex::b}) answer_ += cluster_->describe(n) + "\n";
            answer_ += cluster_->describe_disk() + "\n";
        } else if (!process(words) && !surroundings(words) && !resources(words)) {
            answer_ = "? one of: start power-cut kill-service kill-worker freeze thaw lose-store cut mend hold release disk new-disk online offline move stick "
                      "stops-take fsync-takes run until show\n";
        }
    } catch (Violation const& v) {
        broken_ = true;
        answer_ += std::string("BROKEN invariant ") + v.what() + "\n";
    }
    return answer_.empty() ? "ok\n" : answer_;
}

}  // namespace clusterd::sim
