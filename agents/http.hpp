// The agent `http`: fetches a URL as a client would and looks at status, headers and body.
//
// Attributes: see config's table (show agents). A connection of its own for each check, no proxy, no redirects, no more of the
// body than 256 KiB. Refused, too slow, a bad certificate or the wrong answer: failed. A name that can't be resolved, a CA file or
// secret that can't be read: the check couldn't be run, unknown.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_http_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
