// The agents `pressure` and `load`: is this node itself too busy? Attributes: of (pressure), degraded, failed.
//
// They say nothing of the resource; degraded by default, so that they are seen and move nothing.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_pressure_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);
AgentPtr make_load_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
