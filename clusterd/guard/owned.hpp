// What is owned now, written down in RUN-DIR/owned/: one file per resource with its processes and addresses. Should the guard
// itself be killed, the next start ends all of it (sweep) before the worker, and with it any decision, is started.
#pragma once

#include "clusterd/guard/mounts.hpp"
#include "clusterd/guard/util.hpp"

#include <sys/types.h>

namespace clusterd::guard {

struct OwnedAddress {
    Name resource;
    Text<64> address;  // with prefix; empty = a free entry
    Text<16> interface;
};
// A cgroup outside our own that a resource runs in: a systemd unit's. There is one a resource.
struct OwnedCgroup {
    Name resource;  // empty = a free entry
    Path path;      // as in /proc/PID/cgroup: /system.slice/nginx.service
};
struct OwnedMount {
    Name resource;
    Path point;  // empty = a free entry
    DeviceNumber device;
    pid_t child = 0;  // that ends it just now
};
pid_t start_ending(char const* point, DeviceNumber device);  // that child (mount_stop.cpp); it ends within seconds, or hangs
struct OwnedProcess {
    pid_t pid = 0;
    std::uint64_t start = 0;
};

// All that a resource owns. `cgroup`: of its unit, or null.
struct Belongings {
    OwnedProcess const* processes = nullptr;
    int n_processes = 0;
    OwnedAddress const* addresses = nullptr;
    int n_addresses = 0;
    OwnedMount const* mounts = nullptr;
    int n_mounts = 0;
    char const* cgroup = nullptr;
};
// Replaces the resource's file (removes it where nothing is owned). False: could not be written (errno).
bool write_owned(char const* run_dir, char const* resource, Belongings const& all);

// Ends what a dead guard of the same run directory left behind: processes by cgroup (also units'), by record and by the mark in their
// environment (`mark`: NAME=value), then filesystems and addresses. False: something can't be ended (logged); nothing may be started.
bool sweep(char const* run_dir, char const* cgroup_base, char const* mark);

}  // namespace clusterd::guard
