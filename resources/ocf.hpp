// The type `ocf`: any OCF resource agent, as Pacemaker runs them (Open Cluster Framework, Resource Agent API 1.1). Attributes: agent,
// monitor-every, monitor-timeout, check-level, check-every; param:NAME and param-file:NAME from its <param> elements.
//
// start, stop and monitor are commands of the agent, run through the guard in the resource's cgroup. Its exit codes are what they are in
// the standard: "not installed", "not configured", "wrong arguments" and "not permitted" mean that another try on this node can't help. What
// an agent leaves that is no process (an address, a mount) only its own stop takes away: the guard can't.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_ocf_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
