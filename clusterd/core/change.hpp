// What differs between two configurations, and what of it can be changed while the cluster runs.
//
// The leader asks it before it decides a new one (node_change.cpp), each node before it goes over to it, clusterctl before it asks
// the operator.
//
// A resource that is other than it was, or is no more, *makes way*: it goes offline, by the driver and under the configuration that
// started it, on whichever node, and only when that is known of both nodes does the new configuration count. So nothing is forgotten
// while it runs, and what moves from one group to another is never in both.
#pragma once

#include "clusterd/core/decision.hpp"

#include <set>

namespace clusterd {

struct ConfigChange {
    std::vector<std::string> fixed;      // for people: what differs and can't be changed while the cluster runs; not empty: refused
    std::set<std::string> added;         // resources of the new one only
    std::set<std::string> dropped;       // of the old one only
    std::set<std::string> replaced;      // in both, and to be started anew
    std::set<std::string> adjusted;      // in both, and what differs can be changed in place
    std::set<std::string> groups;        // of either, in which anything differs
    bool other_networks = false;
    bool other_watchdog = false;

    std::set<std::string> makes_way() const;  // dropped and replaced
    bool nothing() const { return fixed.empty() && groups.empty() && !other_networks && !other_watchdog; }
};

[[nodiscard]] ConfigChange compare(Spec const& was, Spec const& is);

// On a node where `counts` counts and that acts on `acting` (null: on none): what is to be offline there for a configuration that is to
// be decided, or is decided already.
std::set<std::string> what_makes_way(Config const& counts, Decision const* acting);

// Can `was`, online, go on as `is`? Of the same name; groups are compared by the caller.
bool goes_on_as(ResourceSpec const& was, ResourceSpec const& is);

}  // namespace clusterd
