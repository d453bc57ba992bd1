// See watchdog_device.hpp.
#include "clusterd/guard/watchdog_device.hpp"

#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"

#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <cerrno>

namespace clusterd::guard {

namespace {

// Several chances within its time-out, and never so seldom that a short one is missed.
std::int64_t pace() {
    std::int64_t const quarter = g.dog.seconds * second / 4;
    return quarter < 500 * ms ? quarter : 500 * ms;
}

Path record_path() {
    Path path;
    path.add("%s/watchdog", g.options.run_dir.s);
    return path;
}

// A guard that is killed leaves it ticking: the next one must know, before any worker can tell.
void record() {
    Text<600> line;
    line.add("%s %d\n", g.dog.path.s, g.dog.seconds);
    int const fd = open(record_path().s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    (void)!write(fd, line.s, std::strlen(line.s));
    close(fd);
}

// Its time-out, set; or -1.
int set_timeout(int fd, int seconds) {
    int timeout = seconds;
    if (ioctl(fd, WDIOC_SETTIMEOUT, &timeout) != 0 && ioctl(fd, WDIOC_GETTIMEOUT, &timeout) != 0) return -1;
    return timeout;
}

void close_without_reset(int fd) {
    (void)!write(fd, "V", 1);  // watchdog-api.rst, "Magic Close feature"
    close(fd);
}

}  // namespace

bool arm_watchdog(char const* path, int seconds, Line& why) {
    if (g.dog.fd >= 0 && g.dog.path == path && g.dog.seconds == seconds) return true;
    disarm_watchdog();
    int const fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        why.add("%s can't be opened: %s%s", path, strerror(errno), errno == EBUSY ? " (another program has it: systemd's RuntimeWatchdogSec=, watchdogd?)" : "");
        return false;
    }
    watchdog_info info{};
    if (ioctl(fd, WDIOC_GETSUPPORT, &info) != 0) {
        why.add("%s is no watchdog device: %s", path, strerror(errno));
        close(fd);
        return false;
    }
    int const timeout = set_timeout(fd, seconds);
    if (timeout < 1 || timeout > seconds) {
        if (timeout < 1)
            why.add("%s: its time-out can be neither set nor read", path);
        else
            why.add("%s can't be set to less than %d s, %d s are wanted; give timeout=\"%ds\" or more", path, timeout, seconds, timeout);
        close_without_reset(fd);
        return false;
    }
    if (!(info.options & WDIOF_MAGICCLOSE))
        log(Level::warning, "%s knows no magic close: once armed it resets the machine also after a clean end of clusterd", path);
    g.dog.path.set(path);
    g.dog.fd = fd;
    g.dog.seconds = timeout;
    g.dog.feed_at = 0;
    g.dog.starved = false;
    record();
    tend_watchdog(boot_now());
    log(Level::notice, "watchdog %s (%.30s) is armed: it resets this machine %d s after clusterd feeds it no more", path, reinterpret_cast<char const*>(info.identity), timeout);
    return true;
}

void disarm_watchdog() {
    if (g.dog.fd < 0) return;
    close_without_reset(g.dog.fd);
    log(Level::notice, "watchdog %s is disarmed", g.dog.path.s);
    unlink(record_path().s);
    g.dog = {};
}

void tend_watchdog(std::int64_t now) {
    if (g.dog.fd < 0) return;
    // An emergency stop is active until all that it was for has ended, proven.
    bool const safe = permit_holds(now) || (!g.stop.active && !any_unit_runs());
    if (!safe) {
        if (!g.dog.starved) log(Level::error, "watchdog %s is fed no more until everything has stopped: else this machine is reset within %d s", g.dog.path.s, g.dog.seconds);
        g.dog.starved = true;
        return;
    }
    if (now < g.dog.feed_at && !g.dog.starved) return;
    if (ioctl(g.dog.fd, WDIOC_KEEPALIVE, nullptr) != 0) (void)!write(g.dog.fd, "", 1);
    g.dog.starved = false;
    g.dog.feed_at = now + pace();
}

std::int64_t next_feeding(std::int64_t never) { return g.dog.fd < 0 || g.dog.starved ? never : g.dog.feed_at; }

void adopt_watchdog(char const* path, int fd, int seconds) {
    g.dog.path.set(path);
    g.dog.fd = fd;
    g.dog.seconds = seconds;
}

bool arm_recorded_watchdog() {
    char line[600], path[512];
    int seconds = 0;
    if (read_file(record_path().s, line, sizeof line) <= 0) return false;
    if (std::sscanf(line, "%511s %d", path, &seconds) != 2 || seconds < 1) return false;
    Line why;
    if (arm_watchdog(path, seconds, why)) return true;
    log(Level::error, "the watchdog that an earlier clusterd armed can't be fed: %s; if it ticks, it resets this machine", why.s);
    unlink(record_path().s);
    return false;
}

}  // namespace clusterd::guard
