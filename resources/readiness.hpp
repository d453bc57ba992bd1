// Could this resource be started on this node? Looked at while it runs elsewhere, so that what is missing is known before a failover needs
// it: programs, files, units, devices, mount points, interfaces, ports. For the agent host, which asks it now and then.
//
// Changes nothing, starts nothing (systemd loads a unit that it hadn't yet). May block as long as a device or systemd does not answer.
#pragma once

#include "clusterd/core/spec.hpp"
#include "clusterd/wire/readiness.hpp"

#include <vector>

namespace clusterd {

// `elsewhere`: mount points of its group, whose files come with it: what is below them isn't looked for.
std::vector<Lack> lacks_of(ResourceSpec const& resource, std::vector<std::string> const& elsewhere);

}  // namespace clusterd
