// One run of the simulator: a configuration, how badly things go, and a list of faults, all drawn from one seed. The list can be
// run again with some faults left out, which is how a failing run is shrunk.
#pragma once

#include "tests/sim/cluster.hpp"

namespace clusterd::sim {

enum class Kind : std::uint8_t {
    cut_both, cut_one_way, cut_one_link, loss, disk_fails, disk_hangs, disk_slow, store_slow, kill_worker, freeze_worker, freeze_all, kill_service,
    power_cut, leave, lose_store, resource_dies, resource_sticks, unhealthy, network_down, clock_rate, die_in_effects, command, reordered, lost_write,
    torn_write, wall_clock, agents_lie, starts_hang, stops_hang, resource_dies_unseen, upgrade, apply, pause_machine
};

struct Fault {
    Ns at = 0;
    Kind kind = Kind::cut_both;
    int which = 0;  // 0 a, 1 b, 2 both
    Ns lasts = 0;
    std::uint64_t detail = 0;
    std::size_t number = 0;  // in the list that the seed means
    Command command;
};
std::string describe(Fault const& f);

enum class Mode : std::uint8_t { storm, disk_only, link_only, calm };

// What stays broken in the liveness phase.
struct Rest {
    std::array<bool, 2> up{true, true}, link{true, true}, disk{true, true};
    char const* name = "";
    int sticks = -1;  // on this node, a resource of each of its groups fails and can't be killed
};

struct Scenario {
    std::uint64_t seed = 0;
    Mode mode = Mode::storm;
    Setup setup;
    Conditions conditions;
    bool resource_trouble = false, commands = false;
    std::vector<Fault> faults;
    std::size_t drawn = 0;  // faults that the seed means; some may be left out since
    double minutes = 0;
    Ns safety_ends = 0;
    Rest rest;
};

struct Result {
    bool failed = false;
    std::string invariant, what;
    Ns at = 0;
    Ns simulated = 0;
    std::uint64_t steps = 0;
    std::uint64_t digest = 0;  // where the random numbers ended: two builds that agree in it did the same
    std::map<std::string_view, std::uint64_t> probes;
    std::deque<std::string> log;
};

Scenario draw_scenario(std::uint64_t seed, double minutes);
Result run(Scenario const& scenario, bool logging);
Scenario shrink(Scenario scenario, Result const& failure, int runs);

// A recorded run (tests/traces/seeds): a seed, and which of its faults. Reading throws where the file can't be read, or where the
// seed doesn't mean as many faults as it did: then it isn't the same run any more, and another seed has to be found.
void write_trace(std::string const& path, Scenario const& scenario, Result const& failure);
Scenario read_trace(std::string const& path);

ConfigPtr sample_config(Timing const& timing, Random* random);
ConfigPtr other_config(Config const& first, Random& random, std::uint64_t number);  // configurations.cpp
Timing timing_of(std::string const& profile);

}  // namespace clusterd::sim
