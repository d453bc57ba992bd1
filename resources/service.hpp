// The type `service`: a systemd unit. Attribute: unit.
//
// systemd starts and stops it, and says by a signal when it fails: nothing polls. While the resource is configured here, a drop-in in /run
// takes Restart= from the unit: it is the cluster that starts it again, or what the guard kills would come back by itself. The guard knows
// the unit's cgroup before the unit is started, and ends it with the permit.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_service_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
