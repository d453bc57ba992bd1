// What a node says about its own resources. Sent whole at every change; the newest counts.
#pragma once

#include "clusterd/core/ids.hpp"

#include <map>
#include <string>

namespace clusterd {

// As in Microsoft's enumerations; `unknown` until it was found out.
enum class ResourceState : std::uint8_t { offline, online_pending, online, offline_pending, failed, unknown };
enum class Health : std::uint8_t { none, ok, degraded, failed, unknown };

struct ResourceReport {
    ResourceState state = ResourceState::unknown;
    bool stopped = false;        // certainly does nothing here; also of a failed one that was cleaned up
    Health health = Health::none;
    std::int64_t since_wall_ms = 0;
    int restarts_in_window = 0;
    std::int64_t retry_wall_ms = 0;  // 0 = no retry planned
    std::string message;             // one line for people; empty = nothing to say
    bool operator==(ResourceReport const&) const = default;
};

struct Report {
    NodeIndex node = NodeIndex::a;
    Incarnation incarnation = 0;
    std::uint64_t sequence = 0;  // rises with every report of an incarnation
    DecisionId under;            // the newest decision this node has stored and acts on
    bool leaving = false;        // a clean stop is under way: move everything away
    bool giving_up = false;      // something wanted here can't be stopped: the rest is to move away, then the permit is given up
    std::map<std::string, ResourceReport> resources;
    std::map<std::string, std::string> failed_groups;  // group -> resource that used up its restarts here
    bool operator==(Report const&) const = default;
};

}  // namespace clusterd
