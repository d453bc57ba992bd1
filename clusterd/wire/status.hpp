// Status <-> the JSON of `clusterctl status --json` (the tool's contract), and how every state is spelt.
//
// The API writes it, clusterctl reads it back. Fields beyond the contract may be added, none renamed: scripts rely on them.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/status.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

std::string status_json(Status const& status);
// Refuses what lacks a field of the contract or has an unknown value, naming the field.
Result<Status> parse_status(std::string_view json);

std::string_view spell(ResourceState state);
std::string_view spell(GroupState state);
std::string_view spell(NodeState state);
std::string_view spell(QuorumState state);
std::string_view spell(PermitSource source);
std::string_view spell(Health health);
std::string_view spell(Role role);

// 2026-11-22T19:57:01.042Z
std::string rfc3339(std::int64_t wall_ms);
// Only the form written by rfc3339(), with or without the fraction.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

}  // namespace clusterd
