// The expressions of `depends`, and cycles among names. Inside config/ only.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/spec.hpp"

#include <map>

namespace clusterd {

// Blanks between names mean `and`, which binds tighter than `or`; parentheses at most 32 deep.
Result<Dependency> parse_depends(std::string_view text);

// Every name in it, in the text's order.
std::vector<std::string> names_in(Dependency const& dependency);

// One cycle of the graph, "a, b, c, a", or nothing. No recursion: chains may be as long as a file allows.
std::vector<std::string> find_cycle(std::map<std::string, std::vector<std::string>> const& graph);

}  // namespace clusterd
