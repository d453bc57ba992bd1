// The type `dummy`: a resource that is nothing but its state. For trying a configuration, for demos and for tests.
//
// Attributes: start-delay, stop-delay, probe-delay (durations), fail-start, fail-stop (so many times, or always), crash-after (a
// duration online), state-file (absolute path). The state stands in state-file, else in $CLUSTERD_RUN_DIR/dummy/NAME, else in
// memory only, and names the guard it was made under: with another guard (the node was off, or the daemon was killed) it counts as
// offline, as a process would be. Removing the file by hand takes the resource offline.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_dummy_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
