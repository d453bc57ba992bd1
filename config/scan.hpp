// Walks over the bytes of a file once, without recursion, before tinyxml2 (which recurses) sees them. Inside config/ only.
#pragma once

#include "config/parse.hpp"

namespace clusterd {

// The first thing that breaks a limit or isn't plain XML: size, depth, number and length of attributes, DOCTYPE, entities,
// CDATA, processing instructions, bytes that aren't UTF-8, control characters, tags that don't match.
std::optional<Problem> scan_xml(std::string_view xml);

}  // namespace clusterd
