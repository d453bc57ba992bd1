// What a leader knows when an operator gives a command: for the tests of apply_command and of Operations.
#pragma once

#include "tests/unit/core/policy_world.hpp"

#include "clusterd/core/planner.hpp"

namespace clusterd::policy {

// Alpha leads, joined with beta, and owns web.
struct Office {
    Office() {
        decision.id = {3, 7};
        decision.groups["web"] = {};
        for (auto n : {a, b}) say(n, n == a ? ResourceState::online : ResourceState::offline);
    }
    GroupDecision& web() { return decision.groups.at("web"); }
    void say(NodeIndex n, ResourceState s) {
        reports[at(n)].node = n;
        reports[at(n)].under = decision.id;
        for (auto const& r : spec.groups[0].resources) say(n, r.name, s);
    }
    void say(NodeIndex n, std::string const& name, ResourceState s, std::string message = {}, std::int64_t retry = 0) {
        ResourceReport& e = reports[at(n)].resources[name];
        e = {};
        e.state = s;
        e.stopped = s == ResourceState::offline;
        e.message = std::move(message);
        e.retry_wall_ms = retry;
    }
    std::array<Report const*, 2> known() const { return {heard[0] ? &reports[0] : nullptr, heard[1] ? &reports[1] : nullptr}; }
    CommandVerdict order(Command c) {
        PlanView const view{spec, known(), a, joined, false, now};
        return apply_command(view, c, decision);
    }
    CommandVerdict order(Verb verb, std::string target, std::string to = {}) { return order({"1", verb, std::move(target), std::move(to)}); }

    Spec spec = web_spec();
    Decision decision;
    std::array<Report, 2> reports;
    std::array<bool, 2> heard{true, true};
    bool joined = true;
    Now now = at_time(0s);
};

inline Command pausing(std::string node, bool drain) {
    Command c{"1", Verb::pause, std::move(node)};
    c.drain = drain;
    return c;
}
inline Command resuming(std::string node, bool failback) {
    Command c{"1", Verb::resume, std::move(node)};
    c.failback = failback;
    return c;
}

}  // namespace clusterd::policy
