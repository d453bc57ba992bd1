// The agent `nfs`: does an NFS server serve? Attributes: address, port, version.
//
// The NULL procedure of program 100003 (RFC 5531, RFC 7530): it costs the server nothing and says that its RPC answers in that version.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_nfs_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
