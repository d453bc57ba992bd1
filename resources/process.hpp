// The type `process`: a command that the guard starts and watches, in the resource's own cgroup where there is one.
//
// Attributes: command, stop-command or stop-signal (TERM), stop-timeout (10s; then everything is killed), environment,
// environment-file, user, working-directory, ready (started | tcp:PORT | file:PATH). Its exit is known at once, by the guard's
// event; no poll is needed. Offline only when nothing of it is left.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_process_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
