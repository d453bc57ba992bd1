// What a monitoring plugin's end and output mean (Nagios' convention). Called by the exec agent; pure.
#pragma once

#include "agents/agent.hpp"

#include <string_view>

namespace clusterd {

inline constexpr std::size_t max_plugin_output = 4096;  // what is kept of it

// `wait_status` as of waitpid. Exit 0 ok, 1 degraded, 2 failed, all else unknown. The message is the first line of the output up
// to its performance data ("|").
CheckOutcome plugin_outcome(int wait_status, std::string_view output);

}  // namespace clusterd
