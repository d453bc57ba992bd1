// exhaustive: searches the small world for a state in which two nodes could run the same thing.
//
//   exhaustive [--seconds S] [--only search|walks] [--depth D] [--walks N] [--from W] [--walk W]
//
// search: depth first with growing depth from each start, states pruned by fingerprint. walks: long random ones in wider bounds
// (drift, more restarts, overtaking), each with its own weights, told by its number. Each gets half of the seconds; --depth and --walks
// bound them by what they do instead, so that a run can be repeated exactly. A violation is shrunk and told; exit 1. What was reached
// is printed; a situation that must be reached and never was is a failure of the test itself, exit 2.
#include "tests/exhaustive/small_world.hpp"
#include "tests/sim/random.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
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
    if (w.excused) ++reached["forced, and the peer comes back"];
    if (last.move == Move::force) ++reached["forced"];
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
    Search(World start, int most_depth, Clock::time_point until) : start_(std::move(start)), until_(until), most_depth_(most_depth) {}

    bool run(std::vector<Found>& found) {
        for (int depth = std::min(4, most_depth_); depth <= most_depth_; ++depth) {
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
        return false;
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
    int most_depth_;
    std::unordered_map<std::uint64_t, std::int8_t> seen_;
    std::vector<Choice> path_;
    std::string what_;
    bool cut_ = false, stopped_ = false;
};

// ---- random walks ------------------------------------------------------------------------------------------------------------------

// Weights are drawn for each walk, so that some walks hardly ever hear a heartbeat, and others hardly ever see time pass.
bool walk(World const& start, sim::Random& random, int length, std::vector<Found>& found, std::uint64_t& steps) {
    std::array<std::array<std::uint64_t, 20>, 2> weight{};
    for (auto& w : weight)
        for (auto& x : w) x = 1 + random.below(6) * random.below(4);
    for (auto& w : weight) {
        for (Move rare : {Move::crash_lost, Move::crash_landed, Move::crash_later, Move::resume, Move::fail, Move::switch_on}) {
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

constexpr World::Start starts[] = {World::Start::cold, World::Start::joined, World::Start::a_alone, World::Start::b_waits, World::Start::a_marked,
                                    World::Start::b_off};
char const* const start_names[] = {"cold", "both joined", "A alone", "A alone, B waits", "A marked its stop", "B off, A may be forced"};

struct Options {
    double seconds = 60;
    std::string only;
    int depth = 0;               // 0: as deep as the time allows
    std::uint64_t walks = 0;     // 0: as many as the time allows
    std::uint64_t from = 1;
    bool one = false;
};

struct Sum {
    std::uint64_t states = 0, search_steps = 0, walks = 0, walk_steps = 0;
    int least = 1000, most = 0;  // depths
};

Clock::time_point in(double seconds) { return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)); }
double millions(std::uint64_t n) { return static_cast<double>(n) / 1e6; }

bool search_all(double seconds, Options const& o, Sum& sum, std::vector<Found>& found) {
    double const each = o.depth != 0 ? 1e6 : seconds / static_cast<double>(2 * std::size(starts));
    for (int restarts : {0, 1}) {
        for (std::size_t s = 0; s < std::size(starts); ++s) {
            Bounds b;
            b.permit = 2;
            b.restarts = restarts;
            b.force = starts[s] == World::Start::b_off;
            Search search(World::started(b, starts[s]), o.depth != 0 ? o.depth : 1000, in(each));
            bool const bad = search.run(found);
            std::printf("search from %s, %d restarts a node: depth %d, %.2f M states, %.2f M steps\n", start_names[s], restarts, search.deepest,
                        millions(search.states), millions(search.steps));
            sum.states += search.states;
            sum.search_steps += search.steps;
            sum.least = std::min(sum.least, search.deepest);
            sum.most = std::max(sum.most, search.deepest);
            if (bad) return true;
        }
    }
    return false;
}

// Each walk is told by its number alone, so that one can be taken again: exhaustive --walk N.
class Walks {
public:
    Walks() {
        for (int drift : {0, 1})
            for (int permit : {2, 3, 4})
                for (int suspect : {1, 2})
                    for (int memory : {1, 2})
                        for (int restarts : {0, 1, 2})
                            for (auto s : starts) {
                                if (suspect >= permit || (drift == 1 && 1000 % permit != 0)) continue;
                                Bounds const b{permit, suspect, drift == 1, restarts, memory, permit == 2, s == World::Start::b_off};
                                from_.push_back(World::started(b, s));
                            }
    }
    bool take(std::uint64_t number, std::vector<Found>& found) {
        ++walks;
        sim::Random random(number);
        if (!walk(from_[random.below(from_.size())], random, 100, found, steps)) return false;
        std::printf("walk %llu finds it; again: exhaustive --walk %llu\n", static_cast<unsigned long long>(number), static_cast<unsigned long long>(number));
        return true;
    }
    std::uint64_t walks = 0, steps = 0;

private:
    std::vector<World> from_;
};

bool walk_all(double seconds, Options const& o, Sum& sum, std::vector<Found>& found) {
    Walks walks;
    auto const until = in(seconds);
    bool bad = false;
    for (std::uint64_t n = o.from; !bad && (o.walks != 0 ? n < o.from + o.walks : n % 64 != 0 || Clock::now() < until); ++n) bad = walks.take(n, found);
    std::printf("walks: %llu, %.1f M steps\n", static_cast<unsigned long long>(walks.walks), millions(walks.steps));
    sum.walks = walks.walks;
    sum.walk_steps = walks.steps;
    return bad;
}

[[noreturn]] void usage() {
    std::fprintf(stderr, "usage: exhaustive [--seconds S] [--only search|walks] [--depth D] [--walks N] [--from W] [--walk W]\n");
    std::exit(2);
}

Options parse(int count, char** words) {
    Options o;
    for (int i = 1; i < count; ++i) {
        std::string const word = words[i];
        if (i + 1 >= count) usage();
        char const* const value = words[++i];
        if (word == "--seconds") o.seconds = std::strtod(value, nullptr);
        else if (word == "--only") o.only = value;
        else if (word == "--depth") o.depth = std::atoi(value);
        else if (word == "--walks") o.walks = std::strtoull(value, nullptr, 10);
        else if (word == "--from") o.from = std::strtoull(value, nullptr, 10);
        else if (word == "--walk") o.only = "walks", o.walks = 1, o.one = true, o.from = std::strtoull(value, nullptr, 10);
        else usage();
    }
    if (!o.only.empty() && o.only != "search" && o.only != "walks") usage();
    return o;
}

// Where all was looked at that must be.
bool reached_all(Options const& o) {
    bool all = true;
    for (char const* name : {"both joined", "one alone", "both slots say alone", "takeover by time", "takeover by stop mark", "a cycle ends after joining", "forced, and the peer comes back"}) {
        if (o.only == "search" || o.one || reached.contains(name)) continue;
        std::printf("never reached: %s\n", name);
        all = false;
    }
    return all;
}

}  // namespace

int main(int count, char** words) {
    Options const o = parse(count, words);
    auto const begin = Clock::now();
    Sum sum;
    std::vector<Found> found;
    double const part = o.only.empty() ? o.seconds / 2 : o.seconds;
    bool bad = o.only != "walks" && search_all(part, o, sum, found);
    bad = bad || (o.only != "search" && walk_all(part, o, sum, found));
    for (auto const& f : found) tell(f);
    for (auto const& [name, times] : reached) std::printf("  %-32s %llu\n", name.c_str(), static_cast<unsigned long long>(times));
    double const took = std::chrono::duration<double>(Clock::now() - begin).count();
    if (bad) {
        std::printf("Two nodes could run the same thing: see above (%.0f s).\n", took);
        return 1;
    }
    if (!reached_all(o)) return 2;
    std::printf("Never two owners:");
    if (o.only != "walks") std::printf(" every order of %d to %d steps from each start (%.1f M states)", sum.least, sum.most, millions(sum.states));
    if (o.only != "search") std::printf("%s %llu random walks (%.1f M steps)", o.only.empty() ? " and" : "", static_cast<unsigned long long>(sum.walks), millions(sum.walk_steps));
    std::printf(", in %.0f s.\n", took);
    return 0;
}
