// What would happen if a node or resource failed, a group were moved, a node paused: the planner and the two nodes' reconcilers, the very
// ones that ship, on copies and in virtual time. For `clusterctl plan`, which Node::forecast serves.
//
// Pure. It takes what the nodes report for what is so, and each start and hand-over to last as long as it is told that they did before.
// It promises nothing about what else may fail meanwhile.
#pragma once

#include "clusterd/core/planner.hpp"
#include "clusterd/core/reconciler.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace clusterd {

struct WhatIf {
    enum class Kind : std::uint8_t { command, node_lost, used_up };  // used_up: as `fail`, with no restart left
    Kind kind = Kind::command;
    Command command;  // move, pause, resume, fail, online, offline; of node_lost and used_up only the target
};

// How long things take, as far as they were measured; what wasn't takes no time here.
struct Durations {
    std::map<std::string, Duration> online;             // resource -> its start
    std::map<std::string, Duration> offline;            // group -> all of it
    Duration hand_over{};                               // from "all offline" to the other node's first start
    Duration until_takeover{};                          // a lost node: from its last sign of life to the decision to take over
};

struct ForecastStep {
    enum class Kind : std::uint8_t { start, stop, kill, owner };  // owner: the group's owner is `node` from now on
    Kind kind = Kind::start;
    Duration at{};  // since it happened
    std::string node, group, resource;
    std::string why;  // of an owner step
    bool operator==(ForecastStep const&) const = default;
};

struct ForecastGroup {
    std::string name, from, to;  // owners before and after
    bool was_online = false, is_online = false;  // all of it that is wanted
    bool interrupted = false;    // something of it stopped, started or was lost
    Duration back_after{};       // when it was all online again; zero where it wasn't interrupted
    bool operator==(ForecastGroup const&) const = default;
};

struct Forecast {
    std::string refused;  // why it can't be, or can't be said; empty: the rest counts
    std::vector<ForecastStep> steps;
    std::vector<ForecastGroup> groups;  // in the file's order
    std::vector<std::string> remarks;   // what limits it, for people
    bool operator==(Forecast const&) const = default;
};

struct ForecastFrom {
    Spec const& spec;
    Decision const& decision;
    std::array<Report const*, 2> reports{};  // null: not a member
    NodeIndex self = NodeIndex::a;
    bool joined = false;
    bool disk_votes = false;  // a survivor could win the quorum disk
    Now now;
};

[[nodiscard]] Forecast forecast(ForecastFrom const& from, WhatIf const& what, Durations const& durations);

// All that a forecast needs of a node, to be made elsewhere than on the node's own thread: with hundreds of resources one takes longer than
// a heartbeat may wait. (Measured: 0.4 ms for 10 resources, 29 ms for 200, 0.7 s for 1000.)
struct ForecastInput {
    std::string refused;  // why none can be made; empty: the rest counts
    ConfigPtr config;
    DecisionPtr decision;
    std::array<std::optional<Report>, 2> reports;
    NodeIndex self = NodeIndex::a;
    bool joined = false, disk_votes = false;
    Now now{};
};
[[nodiscard]] Forecast forecast(ForecastInput const& input, WhatIf const& what, Durations const& durations);

}  // namespace clusterd
