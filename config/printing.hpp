// What may be a queue's name and its device in CUPS. For the configuration's check of <print-queue>; pure.
#pragma once

#include <string_view>

namespace clusterd {

// lpadmin(8): printable characters but blanks, /, # and what a shell or CUPS would take for something else; at most 127.
bool is_queue_name(std::string_view name);
// The URI of a backend, SCHEME:REST, without blanks and control characters.
bool is_device_uri(std::string_view uri);

}  // namespace clusterd
