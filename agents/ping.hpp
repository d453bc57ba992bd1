// The agent `ping`: does an address answer an ICMP echo, such as the gateway's? Attribute: address.
//
// Three echoes are spread over the time-out: one lost packet isn't a failure. Where neither kind of ICMP socket is allowed: unknown.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_ping_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
