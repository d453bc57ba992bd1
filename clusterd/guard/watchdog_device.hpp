// The machine's watchdog device: it resets the machine when the guard feeds it no more. The guard's last word, for when it is frozen or dead
// itself, or can't prove that what it was to stop has stopped (docs/protocol.md, "Who enforces the end of a permit").
//
// Opened only if configured, on the worker's word, with the kernel's API (Documentation/watchdog/watchdog-api.rst). Fed while the permit
// holds, and without one while nothing of a resource is left to run; so it resets at most its time-out after the last moment in which that
// was so. A clean end disarms it (the magic close), and so does a configuration without it; a re-execution hands it on.
#pragma once

#include "clusterd/guard/util.hpp"

namespace clusterd::guard {

struct WatchdogDevice {
    Path path;
    int fd = -1;
    int seconds = 0;  // until it resets
    std::int64_t feed_at = 0;
    bool starved = false;
};

// Idempotent. False: it isn't armed (why); one that was armed before under another path is disarmed.
bool arm_watchdog(char const* path, int seconds, Line& why);
void disarm_watchdog();
void tend_watchdog(std::int64_t now);           // at every turn of the loop
std::int64_t next_feeding(std::int64_t never);  // when tend_watchdog() is due
void adopt_watchdog(char const* path, int fd, int seconds);  // of the guard that was re-executed
bool arm_recorded_watchdog();  // one that a killed guard left ticking. False: there was none, or it can't be (logged)

}  // namespace clusterd::guard
