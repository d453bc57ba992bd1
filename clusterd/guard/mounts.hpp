// Filesystems on block devices: where they are mounted, who uses them, and how they are ended by force. libc only, nothing
// allocates but opendir and fopen: the guard includes it, and the filesystem driver, too.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace clusterd::guard {

struct DeviceNumber {
    unsigned major = 0, minor = 0;
    bool operator==(DeviceNumber const& o) const { return major == o.major && minor == o.minor; }
};

// Calls visit(mount point, read only) for each mount of the device in this mount namespace, the newest last. A mount point with
// blanks is told as the kernel writes it (\040). False: can't be read, so nothing is known.
template <class Visit>
bool for_each_mount(DeviceNumber device, Visit visit) {
    FILE* file = std::fopen("/proc/self/mountinfo", "re");
    if (!file) return false;
    static thread_local char line[8192];
    while (std::fgets(line, sizeof line, file)) {
        unsigned major = 0, minor = 0;
        char point[4096], options[64];
        if (std::sscanf(line, "%*d %*d %u:%u %*s %4095s %63s", &major, &minor, point, options) != 4) continue;
        if (!(DeviceNumber{major, minor} == device)) continue;
        char const* super = std::strstr(line, " - ");  // "- ext4 /dev/loop0 rw,..."
        char super_options[64] = "";
        if (super) std::sscanf(super, " - %*s %*s %63s", super_options);
        auto const is_ro = [](char const* text) { return std::strncmp(text, "ro", 2) == 0 && (text[2] == 0 || text[2] == ','); };
        visit(static_cast<char const*>(point), is_ro(options) || is_ro(super_options));
    }
    std::fclose(file);
    return true;
}

// True also where it can't be found out.
inline bool is_mounted(DeviceNumber device) {
    bool found = false;
    bool const known = for_each_mount(device, [&found](char const*, bool) { found = true; });
    return found || !known;
}

namespace detail {

// `path`: a link in /proc. A filesystem that was shut down answers no stat any more (xfs): then the link's text must do.
inline bool is_on(char const* path, DeviceNumber device, char const* point) {
    struct stat st;
    if (stat(path, &st) == 0) return major(st.st_dev) == device.major && minor(st.st_dev) == device.minor;
    if (errno != EIO) return false;
    char target[4096];
    ssize_t const size = readlink(path, target, sizeof target - 1);
    std::size_t const n = std::strlen(point);
    if (size < static_cast<ssize_t>(n) || std::strncmp(target, point, n) != 0) return false;
    return size == static_cast<ssize_t>(n) || target[n] == '/' || target[n] == ' ';
}

inline bool maps_it(int pid, DeviceNumber device) {
    char path[64];
    static thread_local char line[4352];
    std::snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE* file = std::fopen(path, "re");
    if (!file) return false;
    bool found = false;
    while (!found && std::fgets(line, sizeof line, file)) {
        unsigned major = 0, minor = 0;
        unsigned long inode = 0;
        found = std::sscanf(line, "%*s %*s %*s %x:%x %lu", &major, &minor, &inode) == 3 && inode &&
                DeviceNumber{major, minor} == device;
    }
    std::fclose(file);
    return found;
}

}  // namespace detail

// Does a process have something open on it, stand in it or run from it?
inline bool holds(int pid, DeviceNumber device, char const* point) {
    char path[400];
    constexpr char const* links[] = {"cwd", "root", "exe"};
    for (char const* link : links) {
        std::snprintf(path, sizeof path, "/proc/%d/%s", pid, link);
        if (detail::is_on(path, device, point)) return true;
    }
    std::snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR* dir = opendir(path);
    bool found = false;
    while (dirent* entry = dir && !found ? readdir(dir) : nullptr) {
        if (entry->d_name[0] == '.') continue;
        std::snprintf(path, sizeof path, "/proc/%d/fd/%.300s", pid, entry->d_name);
        found = detail::is_on(path, device, point);
    }
    if (dir) closedir(dir);
    return found || detail::maps_it(pid, device);
}

template <class Visit>
void for_each_holder(DeviceNumber device, char const* point, Visit visit) {
    DIR* dir = opendir("/proc");
    while (dirent* entry = dir ? readdir(dir) : nullptr) {
        int const pid = std::atoi(entry->d_name);
        if (pid > 0 && pid != getpid() && holds(pid, device, point)) visit(pid);
    }
    if (dir) closedir(dir);
}

// What is dirty must not reach the device any more: everything written from now on fails. ext4 and xfs know it. False: errno.
inline bool shut_down_filesystem(char const* point, DeviceNumber device) {
    int const fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    struct stat st;
    unsigned int without_flush = 2;  // FS_SHUTDOWN_FLAGS_NOLOGFLUSH, of kernels' own headers
    bool const done = fstat(fd, &st) == 0 && major(st.st_dev) == device.major && minor(st.st_dev) == device.minor &&
                      ioctl(fd, _IOR('X', 125, unsigned int), &without_flush) == 0;
    close(fd);
    return done;
}

}  // namespace clusterd::guard
