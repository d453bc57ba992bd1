// The agent `process`: are as many processes of the resource alive as there should be?
//
// Attributes: min (fewer: failed), max (more: degraded). Counted by the guard in the resource's cgroup (process group); the
// programs that checks run there don't count.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_process_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
