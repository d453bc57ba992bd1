// The resource type `disk`: a disk that both nodes reach is there, is the right one and answers. What is on it depends on it.
//
// It puts nothing into the world and writes nothing: its state is a file in the run directory (state_file.hpp). A disk that hangs holds
// up neither a call nor its host: each read is made by a thread that can be left behind (block_reader.hpp).
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_disk_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
