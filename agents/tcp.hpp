// The agent `tcp`: connects, and may send something and wait for an answer.
//
// Attributes: address (a literal), port, send, expect (both with \r \n \xHH). Refused, no answer in time or the wrong one: failed.
// Unknown only where this node couldn't ask at all.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_tcp_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
