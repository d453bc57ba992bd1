// How much memory an agent host may have: a driver or agent that leaks ends its own host, and nothing else on the machine.
//
// The kernel counts (RLIMIT_DATA: the heap, and threads' stacks). What is started for resources doesn't run in here and has no such limit.
#pragma once

#include <cstddef>
#include <string>

namespace clusterd {

// At the program's start: threads get stacks of a size that is known, and where no memory is left the host says so and ends; the worker
// starts another one, which finds out again how its resources are.
void begin_with_limited_memory(std::string const& name);
// So many resources live here now.
void limit_memory(std::size_t resources);

}  // namespace clusterd
