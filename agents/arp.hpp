// The agent `arp`: does a machine beside this one have an address, asked below IP (ARP, or neighbour discovery for IPv6)?
//
// For a gateway that doesn't answer pings. Attributes: address, interface.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_arp_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
