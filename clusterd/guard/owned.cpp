// The records of what is owned, and the sweep; see owned.hpp.
#include "clusterd/guard/owned.hpp"

#include "clusterd/guard/address.hpp"
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/log.hpp"
#include "clusterd/guard/proctree.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace clusterd::guard {

namespace {

constexpr std::int64_t sweep_limit = 5 * second;

void read_boot_id(Text<64>& id) {
    char text[64];
    if (read_file("/proc/sys/kernel/random/boot_id", text, sizeof text) > 0)
        if (char* end = std::strchr(text, '\n')) *end = 0, id.set(text);
}

struct Sweep {
    char const* mark = nullptr;
    Running recorded[1024];
    int n_recorded = 0;
    OwnedAddress addresses[256];
    int n_addresses = 0;
    Path units[256];  // their cgroups
    int n_units = 0;
    OwnedMount mounts[128];
    int n_mounts = 0;
    int unmounted = 0;
    int killed = 0;
    int alive = 0;
    Text<256> names;  // of what is alive
};
Sweep swept;

// A line that doesn't parse (a write that a crash cut off) is skipped: the cgroup and the mark still find its process.
void read_record(char const* path, char const* boot_id) {
    FILE* file = std::fopen(path, "re");
    if (!file) return;
    char line[640];
    bool this_boot = false;
    while (std::fgets(line, sizeof line, file)) {
        char a[128], b[128];
        if (std::sscanf(line, "boot %127s", a) == 1) this_boot = std::strcmp(a, boot_id) == 0;
        int pid = 0;
        unsigned long start = 0;
        if (std::sscanf(line, "process %d %lu", &pid, &start) == 2 && this_boot && swept.n_recorded < 1024) {
            Running& r = swept.recorded[swept.n_recorded++];
            r.pid = pid;
            r.start = start;
        }
        char group[512];
        if (std::sscanf(line, "cgroup %511s", group) == 1 && this_boot && swept.n_units < 256) {
            Line why;
            if (unit_cgroup(group, swept.units[swept.n_units], why)) ++swept.n_units;
        }
        if (std::sscanf(line, "address %127s %127s", a, b) == 2 && valid_address(a) && swept.n_addresses < 256) {
            OwnedAddress& owned = swept.addresses[swept.n_addresses++];
            owned.address.set(a);
            owned.interface.set(b);
        }
        char point[512];
        DeviceNumber device;
        if (this_boot && swept.n_mounts < 128 && std::sscanf(line, "mount %511s %u %u", point, &device.major, &device.minor) == 3) {
            OwnedMount& owned = swept.mounts[swept.n_mounts++];
            owned.point.set(point);
            owned.device = device;
        }
    }
    std::fclose(file);
}

void for_each_record(char const* run_dir, void (*visit)(char const* path, char const* boot_id)) {
    Path directory;
    directory.add("%s/owned", run_dir);
    DIR* dir = opendir(directory.s);
    if (!dir) return;
    Text<64> boot_id;
    read_boot_id(boot_id);
    while (dirent* entry = readdir(dir)) {
        if (entry->d_name[0] == '.') continue;
        Path path;
        path.add("%s/%s", directory.s, entry->d_name);
        visit(path.s, boot_id.s);
    }
    closedir(dir);
}

void end_if_ours(Running const& process, void*) {
    bool ours = false;
    for (int i = 0; i < swept.n_recorded; ++i)
        ours = ours || (swept.recorded[i].pid == process.pid && swept.recorded[i].start == process.start);
    if (!ours && process.pid != getpid()) ours = has_variable(process.pid, swept.mark) == Has::yes;
    if (!ours) return;
    if (signal_exactly(process, SIGKILL)) {
        ++swept.killed;
        ++swept.alive;
        swept.names.add(" %d", process.pid);
    }
}

bool end_processes(char const* cgroup_base) {
    std::int64_t const until = boot_now() + sweep_limit;
    for (;;) {
        swept.alive = 0;
        swept.names = {};
        if (cgroup_base[0] && cgroup_populated(cgroup_base)) {
            kill_cgroup(cgroup_base);
            ++swept.alive;
            swept.names.add(" (cgroup %s)", cgroup_base);
        }
        for (int i = 0; i < swept.n_units; ++i) {
            if (!cgroup_populated(swept.units[i].s)) continue;
            swept.killed += cgroup_count(swept.units[i].s);
            kill_cgroup(swept.units[i].s);
            ++swept.alive;
            swept.names.add(" (cgroup %s)", swept.units[i].s);
        }
        for_each_running(end_if_ours, nullptr);
        if (swept.alive == 0) return true;
        if (boot_now() > until) return false;
        timespec const pause{0, 2 * ms};  // nothing is served yet: here, and only here, the guard may wait
        nanosleep(&pause, nullptr);
    }
}

// What hangs at it hangs in a child, and the start is refused.
bool end_mounts_of_record() {
    std::int64_t const until = boot_now() + sweep_limit;
    bool clean = true;
    for (int i = 0; i < swept.n_mounts; ++i) {
        OwnedMount& owned = swept.mounts[i];
        while ((owned.child > 0 || is_mounted(owned.device)) && boot_now() < until) {
            if (owned.child <= 0) owned.child = start_ending(owned.point.s, owned.device);
            timespec const pause{0, 2 * ms};
            nanosleep(&pause, nullptr);
            if (owned.child > 0 && waitpid(owned.child, nullptr, WNOHANG) == owned.child) owned.child = 0;
            if (owned.child <= 0 && !is_mounted(owned.device)) ++swept.unmounted;
        }
        if (owned.child <= 0 && !is_mounted(owned.device)) continue;
        log(Level::error, "filesystem %s, left by an earlier clusterd, can't be unmounted; not started", owned.point.s);
        clean = false;
    }
    return clean;
}

}  // namespace

bool write_owned(char const* run_dir, char const* resource, Belongings const& all) {
    Path path, draft;
    path.add("%s/owned/res-%s", run_dir, resource);
    draft.add("%s/owned/.res-%s", run_dir, resource);
    if (all.n_processes == 0 && all.n_addresses == 0 && all.n_mounts == 0 && !all.cgroup) return unlink(path.s) == 0 || errno == ENOENT;
    FILE* file = std::fopen(draft.s, "we");
    if (!file) return false;
    Text<64> boot_id;
    read_boot_id(boot_id);
    std::fprintf(file, "boot %s\n", boot_id.s);
    for (int i = 0; i < all.n_processes; ++i)
        std::fprintf(file, "process %d %lu\n", all.processes[i].pid, static_cast<unsigned long>(all.processes[i].start));
    for (int i = 0; i < all.n_addresses; ++i)
        std::fprintf(file, "address %s %s\n", all.addresses[i].address.s, all.addresses[i].interface.s);
    for (int i = 0; i < all.n_mounts; ++i)
        std::fprintf(file, "mount %s %u %u\n", all.mounts[i].point.s, all.mounts[i].device.major, all.mounts[i].device.minor);
    if (all.cgroup) std::fprintf(file, "cgroup %s\n", all.cgroup);
    bool const written = std::fclose(file) == 0;  // outlives the guard in the page cache; a reboot ends what it names anyway
    return written && rename(draft.s, path.s) == 0;
}

bool sweep(char const* run_dir, char const* cgroup_base, char const* mark) {
    Path directory;
    directory.add("%s/owned", run_dir);
    if (mkdir(directory.s, 0700) != 0 && errno != EEXIST) {
        log(Level::error, "can't make %s: %s; not started", directory.s, strerror(errno));
        return false;
    }
    swept = {};
    swept.mark = mark;
    for_each_record(run_dir, read_record);
    bool const ended = end_processes(cgroup_base);
    if (!ended)
        log(Level::error, "what an earlier clusterd started here can't be ended, even by SIGKILL:%s; not started", swept.names.s);
    int removed = 0;
    bool clean = end_mounts_of_record() && ended;
    for (int i = 0; i < swept.n_addresses; ++i) {
        OwnedAddress const& owned = swept.addresses[i];
        Removed const result = remove_address(owned.address.s, owned.interface.s);
        if (result == Removed::gone) ++removed;
        if (result != Removed::failed) continue;
        log(Level::error,
            "address %s on %s, left by an earlier clusterd, can't be removed: %s; run `ip address del %s dev %s`. Not started",
            owned.address.s, owned.interface.s, strerror(errno), owned.address.s, owned.interface.s);
        clean = false;
    }
    if (swept.killed || removed || swept.unmounted)
        log(Level::warning, "an earlier clusterd ended without leaving: swept %d processes, %d filesystems and %d addresses", swept.killed,
            swept.unmounted, removed);
    if (!clean) return false;
    for_each_record(run_dir, [](char const* path, char const*) { unlink(path); });
    if (cgroup_base[0]) {
        remove_cgroup(cgroup_base);
        mkdir(cgroup_base, 0755);
    }
    return true;
}

}  // namespace clusterd::guard
