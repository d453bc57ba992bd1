// Makes one safe line of what a server or a program said, for messages. Any bytes are allowed.
#pragma once

#include <string>
#include <string_view>

namespace clusterd {

// The first line, blanks trimmed, control characters as blanks, what isn't UTF-8 as '?', cut at `max` bytes (between characters).
std::string one_line(std::string_view text, std::size_t max = 400);

}  // namespace clusterd
