// What runs below the guard, by /proc: for what left its cgroup, and for machines without one. Being a subreaper, the guard is an
// ancestor of everything that its children ever left behind.
#pragma once

#include <sys/types.h>
#include <cstdint>

namespace clusterd::guard {

struct Running {
    pid_t pid = 0;
    pid_t parent = 0;
    char state = 0;
    std::uint64_t start = 0;  // in clock ticks since boot: with the pid, the process's name for ever (of this boot)
};

bool look_up(pid_t pid, Running& process);  // false: there is none
inline bool is_dead(Running const& process) {
    return process.state == 'Z' || process.state == 'X';
}

// Calls visit for every living process below `root`, but not for `except` and what is below it. 0 = no exception.
void for_each_descendant(pid_t root, pid_t except, void (*visit)(Running const&, void*), void* context);
void for_each_running(void (*visit)(Running const&, void*), void* context);

// "NAME=value" stands among the first variables of its environment (ours are always put first). Unknown: it is amid an exec.
enum class Has { no, yes, unknown };
Has has_variable(pid_t pid, char const* variable);

// Signals that very process, never one that got its number since. False: it is gone.
bool signal_exactly(Running const& process, int signal);

}  // namespace clusterd::guard
