// The planner decides who owns what. Only the leader runs it; it is a pure function of what the leader knows.
//
// plan() returns the decision as it should be, and why; where it is that already, nothing is copied. apply_command() is an operator's word put into a decision.
// Neither gives it an id nor stores it: node.cpp does, and commits it before anyone acts on it.
#pragma once

#include "clusterd/core/events.hpp"

namespace clusterd {

struct PlanView {
    Spec const& spec;
    std::array<Report const*, 2> reports{};  // newest of each node; null: none. A gone node's is not given.
    NodeIndex self = NodeIndex::a;
    bool joined = false;          // both nodes are members; else this one is alone
    bool may_take_over = false;   // alone, and the peer's permits are certainly over
    Now now;
    // Can `n` be given a group now?
    bool member(NodeIndex n) const { return joined || n == self; }
};

struct Reason {
    Severity severity = Severity::info;
    std::string group;
    std::string text;
    EventKind kind = EventKind::note;
    std::string evidence = {};  // what the rule looked at, with its counters
};

struct Plan {
    bool changed = false;
    Decision next;  // only where it changed
    std::vector<Reason> reasons;
};

[[nodiscard]] Plan plan(PlanView const& view, Decision const& current);

struct CommandVerdict {
    bool accepted = true;
    bool changed = false;
    std::string message;  // refused: why and what to do
};
[[nodiscard]] CommandVerdict apply_command(PlanView const& view, Command const& command, Decision& decision);

// A node that was lost so often within so long without a word is given nothing back by itself, until an operator resumes it.
inline constexpr std::size_t flaps_at = 3;
inline constexpr Duration flap_window = std::chrono::hours(1);
bool flaps(Decision const& d, NodeIndex n, std::int64_t wall_ms);

// Nothing of the group does anything on the reporting node.
bool all_stopped(GroupSpec const& group, Report const& report);
bool failback_open(FailbackSpec const& f, int local_minute);

}  // namespace clusterd
