// The agent smb: negotiates a dialect with an SMB server over TCP, and has smbclient connect to a share where one is named. Called through
// agents/registry.cpp.
#pragma once

#include "agents/agent.hpp"

namespace clusterd {

AgentPtr make_smb_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
