// The nearest known name to a mistyped one, for messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// Edits (insert, delete, replace, swap of neighbours) that turn a into b; letters' case counts as nothing.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the fewest edits, or empty where none is near (more than a third of the longer name, at least 2).
std::string_view nearest(std::string_view name, std::vector<std::string_view> const& candidates);

// `; did you mean "x"?` or nothing.
std::string did_you_mean(std::string_view name, std::vector<std::string_view> const& candidates);

}  // namespace clusterd
