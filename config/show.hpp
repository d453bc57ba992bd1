// The table of types.hpp as text, for `clusterctl show types|type NAME|agents|defaults|timing` and the man page.
//
// For --json, clusterctl walks resource_types(), agents(), elements() and timing_profiles() of types.hpp itself.
#pragma once

#include "config/types.hpp"

#include <optional>
#include <string>

namespace clusterd {

std::string show_types();
std::string show_agents();
// One resource type or, where there is none of the name, agent; both where both are named so (process). Nothing where neither
// is: unknown_type() then says why.
std::optional<std::string> show_type(std::string_view name);
std::string unknown_type(std::string_view name);
std::string show_defaults();
// The profiles, and `now` (the configuration's) in the first column where given, with both inequalities of protocol.md at
// cycle = F = 0.
std::string show_timing(std::optional<Timing> const& now = {});

// A row of show_defaults, for --json.
struct DefaultRow {
    std::string element, attribute, kind, allowed, default_value;  // default_value empty = none
    bool required = false;
    bool operator==(DefaultRow const&) const = default;
};
std::vector<DefaultRow> defaults();

}  // namespace clusterd
