// The type `script`: three commands that start something, stop it and tell its state.
//
// Attributes: start, stop (exit 0: done), status (exit 0 online; 3 or 7 offline; anything else failed), status-every (10s),
// environment, environment-file, user, working-directory. The last lines of a failing command's output become the message.
// What start leaves behind runs in the resource's cgroup; what stop leaves of it is killed.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_script_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
