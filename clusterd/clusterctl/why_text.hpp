// Why something is as it is: the events that brought it there, with what was known and the rule that was followed, the time line, and what
// isn't well now. Pure, so tests read it. For why_verb.cpp.
#pragma once

#include "clusterd/clusterctl/status_text.hpp"
#include "clusterd/wire/api.hpp"

#include <optional>
#include <string>
#include <vector>

namespace clusterd::tool {

// What a node knows: its status and the history, oldest first.
struct Known {
    Status status;
    std::vector<EventRecord> events;
    std::vector<FailoverRecord> failovers;
};

enum class Subject : std::uint8_t { cluster, node, group, resource };

struct Why {
    Subject subject = Subject::cluster;
    std::string name;
    std::string now;                   // how it is: "online on beta since 12:03:05"
    std::vector<EventRecord> chain;    // what brought it there; the deciding one is `decided`
    std::optional<std::size_t> decided;
    std::optional<FailoverRecord> took;
    std::vector<EventRecord> since;    // what has happened to it since
    std::vector<Concern> concerns;     // that are about it
};

// nullopt: there is no node, group or resource of that name. Empty name: the cluster.
std::optional<Why> find_why(Known known, std::string const& name, std::int64_t now_ms);
std::string why_text(Why const& why, Paint const& paint, std::int64_t now_ms);
std::string why_json(Why const& why);

}  // namespace clusterd::tool
