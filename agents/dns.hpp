// The agent `dns`: does a DNS server answer for a name? Attributes: address, port, name, record, answer.
//
// Asks by UDP, again every third of the time-out, and by TCP where the answer was cut off.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_dns_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
