// Filesystems that are resources: what a host asks to remember of them, and their end by force. See guard.hpp.
//
// All that may hang (opening a mount point, the unmount of a device that is gone) is done by a child for each filesystem; the guard
// only reads mountinfo, and looks until the device is mounted nowhere. The child kills its users, shuts the filesystem down, so
// that nothing dirty is written any more, then unmounts.
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <cerrno>

namespace clusterd::guard {

namespace {

bool good_mount_point(char const* path) {
    if (path[0] != '/' || path[1] == 0 || std::strlen(path) > 400) return false;
    for (char const* c = path; *c; ++c)
        if (*c <= ' ' || *c == '\\' || *c == 0x7f) return false;
    return true;
}

OwnedMount* find_mount(char const* resource) {
    for (OwnedMount& owned : g.mounts)
        if (!owned.point.empty() && owned.resource == resource) return &owned;
    return nullptr;
}

void own(char const* resource, char const* point, DeviceNumber device, Line& why) {
    OwnedMount* owned = find_mount(resource);
    for (OwnedMount& each : g.mounts) {
        if (each.point.empty())
            owned = owned ? owned : &each;
        else if (each.device == device && !(each.resource == resource))
            why.add("its device is already owned by %.100s", each.resource.s);
    }
    if (!owned && why.empty()) why.add("%d filesystems are owned already", max_mounts);
    if (!why.empty()) return;
    OwnedMount const before = *owned;
    owned->resource.set(resource);
    owned->point.set(point);
    owned->device = device;
    if (record(resource)) return;
    why.add("filesystem %.200s can't be recorded in %.100s: %s; nothing was done", point, g.options.run_dir.s, strerror(errno));
    *owned = before;
}

}  // namespace

void do_own_mount(int slot, std::uint64_t id, Unpacker& u) {
    char const* resource = u.text();
    char const* point = u.text();
    DeviceNumber const device{u.number(), u.number()};
    bool const to_start = u.number() != 0;
    Line why;
    if (!u.complete() || !safe_name(resource))
        why.set("own_mount: the request doesn't parse");
    else if (!good_mount_point(point))
        why.add("'%.200s' is no mount point that can be recorded (an absolute path without blanks)", point);
    else if (g.stop.active)
        why.add("%.200s refused: an emergency stop is under way", point);
    else if (to_start && !permit_holds(boot_now()))
        why.add("mount of %.200s refused: no permit: this node may not have resources online now", point);
    else
        own(resource, point, device, why);
    answer(ref(slot), id, why.empty() ? nullptr : why.s);
}

void do_disown_mount(int slot, std::uint64_t id, Unpacker& u) {
    char const* resource = u.text();
    bool const parses = u.complete();
    if (OwnedMount* owned = parses ? find_mount(resource) : nullptr) {
        Name const name = owned->resource;
        *owned = {};
        record(name.s);
    }
    answer(ref(slot), id, parses ? nullptr : "disown_mount: the request doesn't parse");
}

namespace {

int kill_holders(char const* point, DeviceNumber device) {
    int n = 0;
    for_each_holder(device, point, [&n](int pid) {
        kill(pid, SIGKILL);
        ++n;
    });
    return n;
}

// Users first, but not for long: whether they are gone or not, nothing may be written any more.
void end_mount(char const* point, DeviceNumber device) {
    timespec const pause{0, 2 * ms};
    for (int tries = 0; tries < 10 && kill_holders(point, device) > 0; ++tries) nanosleep(&pause, nullptr);
    shut_down_filesystem(point, device);
    for_each_mount(device, [](char const* at, bool) { umount2(at, UMOUNT_NOFOLLOW); });
}

}  // namespace

pid_t start_ending(char const* point, DeviceNumber device) {
    pid_t const child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // A socket that the guard closes stays in its epoll set as long as a copy of it is open here: it would be told of it for ever.
    if (syscall(SYS_close_range, 3u, ~0u, 0u) != 0)
        for (int fd = 3; fd < 1024; ++fd) close(fd);
    for (int tries = 0; tries < 200 && is_mounted(device); ++tries) {
        end_mount(point, device);
        timespec const pause{0, 5 * ms};
        nanosleep(&pause, nullptr);
    }
    _exit(0);
}

void end_mounts() {
    for (OwnedMount& owned : g.mounts)
        if (!owned.point.empty() && owned.child == 0 && is_mounted(owned.device)) {
            pid_t const child = start_ending(owned.point.s, owned.device);
            owned.child = child > 0 ? child : 0;
        }
}

bool ends_a_mount(pid_t pid) {
    for (OwnedMount const& owned : g.mounts)
        if (owned.child == pid) return true;
    return false;
}

void mount_child_died(pid_t pid) {
    for (OwnedMount& owned : g.mounts)
        if (owned.child == pid) owned.child = 0;
}

void forget_mounts() {
    for (OwnedMount& owned : g.mounts) {
        if (owned.point.empty()) continue;
        Name const resource = owned.resource;
        owned = {};
        record(resource.s);
    }
}

}  // namespace clusterd::guard
