// XML -> Spec: reads a configuration, checks everything that can be checked without a machine, and says all that is wrong at once.
//
// Called by the worker (its file, and each configuration a decision brings), by clusterctl check|plan|apply, and by tests. Pure;
// needs no root and no daemon. Any bytes give a Spec or problems; limits (below) are enforced before anything recurses.
#pragma once

#include "clusterd/core/spec.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// What a file may be at most. Enough for thousands of resources, and for the store and the wire, which keep to the same.
inline constexpr std::size_t config_max_bytes = 4U << 20;
inline constexpr int config_max_depth = 32;  // elements within elements
inline constexpr std::size_t config_max_elements = 50'000;
inline constexpr std::size_t config_max_attributes = 64;   // of one element
inline constexpr std::size_t config_max_attribute = 4096;  // bytes of one value, before &...; are replaced
inline constexpr std::size_t config_max_links = 8;
inline constexpr std::size_t config_max_groups = 1024;
inline constexpr std::size_t config_max_resources = 8192;  // in all groups
inline constexpr std::size_t config_max_problems = 200;    // told in full; the rest is counted

struct Problem {
    int line = 0;
    bool warning = false;  // the configuration is valid all the same
    std::string message;   // element, attribute, what is allowed, the nearest known name; one line
    bool operator==(Problem const&) const = default;
};

struct ParseResult {
    std::optional<Spec> spec;       // set where no problem is an error
    std::vector<Problem> problems;  // by line
};

// `file_name` is what messages call the file.
ParseResult parse_config(std::string_view xml, std::string const& file_name);

// `FILE:LINE: message`, the contract of `clusterctl check`; warnings start with "warning: ".
std::string format(Problem const& problem, std::string const& file_name);

}  // namespace clusterd
