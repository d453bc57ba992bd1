// Tells systemd how the service is doing (sd_notify's protocol, by hand). Without $NOTIFY_SOCKET nothing happens. Never waits.
#pragma once

#include <cstdint>

namespace clusterd::guard {

void notify(char const* lines);
// The interval of WatchdogSec= in ns; 0 = systemd watches no one, or not us.
std::int64_t watchdog_interval();

}  // namespace clusterd::guard
