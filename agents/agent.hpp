// The health-agent interface: one check, run once. Scheduling, counting and consequences are elsewhere (host, core).
//
// ok, degraded (shown, moves nothing), failed, unknown (could not be run: never taken as ok). A check may block until `deadline`.
#pragma once

#include "clusterd/core/report.hpp"
#include "clusterd/core/spec.hpp"

#include <memory>
#include <string>

namespace clusterd {

class GuardClient;

struct CheckOutcome {
    Health result = Health::unknown;
    std::string message;  // one line: what was seen, what was expected
};

class Agent {
public:
    virtual ~Agent() = default;
    virtual CheckOutcome check(Instant deadline) = 0;
};

using AgentPtr = std::unique_ptr<Agent>;
AgentPtr make_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard);

}  // namespace clusterd
