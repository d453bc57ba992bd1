// What is owned now, written down in RUN-DIR/owned/: one file per resource with its processes and addresses. Should the guard
// itself be killed, the next start ends all of it (sweep) before the worker, and with it any decision, is started.
#pragma once

#include "clusterd/guard/util.hpp"

#include <sys/types.h>

namespace clusterd::guard {

struct OwnedAddress {
    Name resource;
    Text<64> address;  // with prefix; empty = a free entry
    Text<16> interface;
};
struct OwnedProcess {
    pid_t pid = 0;
    std::uint64_t start = 0;
};

// Replaces the resource's file (removes it where nothing is owned). False: could not be written (errno).
bool write_owned(char const* run_dir, char const* resource, OwnedProcess const* processes, int n_processes,
                 OwnedAddress const* addresses, int n_addresses);

// Ends what a dead guard of the same run directory left behind: processes by cgroup, by record and by the mark in their
// environment (`mark`: NAME=value), then addresses. False: something can't be ended (logged); nothing may be started.
bool sweep(char const* run_dir, char const* cgroup_base, char const* mark);

}  // namespace clusterd::guard
