// Takes addresses off interfaces by raw rtnetlink: part of the emergency stop and of the sweep. Adding them is a driver's task.
#pragma once

namespace clusterd::guard {

// "10.0.0.100/24" or "fd00::1/64".
bool valid_address(char const* address_with_prefix);

enum class Removed { gone, was_not_there, failed };
Removed remove_address(char const* address_with_prefix, char const* interface);  // errno says why it failed

}  // namespace clusterd::guard
