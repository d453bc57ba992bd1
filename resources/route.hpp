// The type route: a route that stands on the owner only.
//
// The guard needn't know it: a route draws nothing to this node, and what would use it here is ended, or silenced with its address
// (docs/types/route.md). The kernel remembers which routes are the cluster's, so a node that went dark takes it off when it is itself again.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_route_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
