// The type `filesystem`: mount(8) and umount(8), run by the guard in the resource's cgroup, with deadlines.
//
// Attributes: device, mount, type (ext4, xfs), options, fsck, protection. Online only when mountinfo says so. Offline only when the
// kernel has given the device up, which is more than being mounted nowhere to be seen: a lazy unmount, or a copy of the mount in
// another namespace, isn't offline. A mount that is busy names who holds it, then ends them. The guard is told of the device before
// it is mounted.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_filesystem_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
