// The agent `exec`: runs a monitoring plugin, started by the guard in the resource's cgroup.
//
// Attributes: command, environment-file. Exit codes as in plugin.hpp; can't be started, or not done by the deadline: unknown (and
// it is killed then). One that can't even be killed isn't run a second time beside itself. Its output is read to the end but only the beginning kept; one that floods is cut off.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_exec_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
