// The agent `certificate`: when does a TLS server's certificate end? Attributes: url, connect, days.
//
// Only its end is looked at (the first of the chain to end): whether it is trusted is asked by http with tls-verify.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_certificate_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
