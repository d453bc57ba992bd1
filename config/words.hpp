// Splits a command line into its words as a shell would, without being one: nothing is expanded, nothing is run.
//
// Called by config/ to check commands and environments, and by drivers and agents to make argv. Blanks separate words; '...'
// keeps everything; "..." keeps everything but \" and \\; a backslash elsewhere keeps the next character. $, *, |, > mean
// themselves. Any bytes give words or an error.
#pragma once

#include "clusterd/core/result.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clusterd {

Result<std::vector<std::string>> split_words(std::string_view line);

// The inverse, for people and logs: split_words(join_words(w)) == w.
std::string join_words(std::vector<std::string> const& words);

// `A=1 B='two words'` -> pairs in their order. Names are [A-Za-z_][A-Za-z0-9_]*; one given twice is an error.
using Environment = std::vector<std::pair<std::string, std::string>>;
Result<Environment> parse_environment(std::string_view line);

// \r \n \t \0 \\ and \xHH become the bytes they name: what the tcp agent sends and expects.
Result<std::string> unescape(std::string_view text);

}  // namespace clusterd
