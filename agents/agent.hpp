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
class GuardEvents;

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
// Never null. `events`: exits of the programs that checks start (resources/guard_events.hpp).
AgentPtr make_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events);

}  // namespace clusterd
