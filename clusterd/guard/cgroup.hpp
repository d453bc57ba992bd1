// The guard's own subtree of cgroup v2: one group below it for each resource and each agent host, so that everything that ever
// came from a resource can be counted and killed, whatever it forked. Where there is no writable cgroup v2, the guard falls back
// to process groups and to the tree of its descendants (proctree.hpp).
#pragma once

#include "clusterd/guard/util.hpp"

namespace clusterd::guard {

// Finds our own cgroup and makes `base` in it, named after the node and `id`. False: none (the reason is put into `why`).
bool make_cgroup_base(char const* node, std::uint64_t id, Path& base, Line& why);

// All of these take the path of a group; one that doesn't exist is empty.
// Makes base/KIND-NAME; a directory fd, or -1 (errno). `fresh`: it is new, nothing was ever killed in it.
int open_cgroup(Path const& base, char const* kind, char const* name, bool& fresh);
Path cgroup_path(Path const& base, char const* kind, char const* name);
// The path of a unit's cgroup, given as in /proc/PID/cgroup. False: it is none that may be killed as a whole (why): not that of a
// service or scope, or one that we are in ourselves.
bool unit_cgroup(char const* group, Path& path, Line& why);
bool kill_cgroup(char const* path);  // SIGKILL to everything in it and below it; false: could not be written
bool cgroup_populated(char const* path);
int cgroup_count(char const* path);    // processes in it and below it
void remove_cgroup(char const* path);  // with what is below it; stays where something still runs in it

}  // namespace clusterd::guard
