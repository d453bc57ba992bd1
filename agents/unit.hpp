// The agent `unit`: is a systemd unit active? For a service beside the resource's own, which may run on both nodes.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_unit_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
