// The agent `redis`: does a Redis server serve, and in which role?
//
// Attributes: address, port, user, password-file, role. Loading its data or waiting for its master is failed, as clients see it. A login
// that is refused, or a password file that can't be read, is unknown: it says nothing of the server's health.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_redis_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
