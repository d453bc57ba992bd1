// Starts one program: in its cgroup from its first instant, in a session of its own, with ordinary scheduling, nothing inherited
// but what is named here, and the rights of its user. Never waits: what goes wrong after the fork arrives on error_fd.
#pragma once

#include "clusterd/guard/util.hpp"

#include <sys/types.h>

namespace clusterd::guard {

struct Launch {
    char* const* argv = nullptr;  // argv[0]: a path, or a name looked up in the PATH of env
    char* const* env = nullptr;
    char const* user = "";  // empty: ours. Resolved in the child: a slow name service must not stop the guard
    char const* directory = "/";
    int output_fd = -1;            // stdout and stderr; -1: ours
    int cgroup_fd = -1;            // -1: none
    bool cgroup_fresh = false;     // see open_cgroup(): only then the kernel may put the child there itself
    int pass[2] = {-1, -1};        // become descriptors 3 and 4
    bool dies_with_guard = false;  // PDEATHSIG
};

struct Launched {
    pid_t pid = -1;     // -1: errno says why
    int error_fd = -1;  // ends empty when the program runs; else says why it doesn't
};

Launched launch(Launch const& launch);

}  // namespace clusterd::guard
