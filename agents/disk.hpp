// The agent `disk`: can a filesystem be written and read? Attributes: path (a folder on it), min-free.
//
// Writes 4 KiB, forces them to the disk, reads them back past the cache where the filesystem can, compares. Leaves nothing behind. A disk
// that hangs holds the check up beyond its time-out: its host reports it unknown, and kills itself free (host.hpp).
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_disk_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
