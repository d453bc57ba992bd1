// The driver interface: how one type of resource is found out about, put online, taken offline and killed.
//
// Drivers run in an agent host (cluster-agent), never in the worker: they may block. A call that outlives its deadline gets its
// host killed and the resource's state found out again by probe(). One object per resource; its calls come one at a time, on
// any thread of the host; different resources' calls run at the same time.
// What a driver puts into the world it first names to the guard (GuardClient: spawn in the resource's cgroup, own_address), so
// that it can be ended when driver, host and worker are gone.
#pragma once

#include "clusterd/core/report.hpp"
#include "clusterd/core/spec.hpp"

#include <functional>
#include <memory>
#include <string>

namespace clusterd {

class GuardClient;
class GuardEvents;

struct DriverOutcome {
    ResourceState state = ResourceState::unknown;  // online, offline, failed; unknown = could not be found out
    std::string message;                           // for people: what, where, what to do next
    bool restart_here = true;                      // false: starting it again on this node can't help
};

struct DriverContext {
    GuardClient& guard;
    GuardEvents& events;  // exits of the resource's processes (guard_events.hpp)
    // Tell the cluster, from any thread and at any time between start and stop, that the state changed by itself
    // (a process exited, an address was removed).
    std::function<void(DriverOutcome)> changed;
    // Does the permit hold at this moment? Asked before each announcement of an address; empty = no.
    std::function<bool()> may_announce = {};
    std::function<Instant()> permit_end = {};  // as far as it was told; empty = unknown
};

class Driver {
public:
    virtual ~Driver() = default;
    virtual DriverOutcome probe(Instant deadline) = 0;  // what is the state now? changes nothing; resumes watching if online
    virtual DriverOutcome start(Instant deadline) = 0;  // must end online or failed; starting what is online is success
    virtual DriverOutcome stop(Instant deadline) = 0;   // must end offline, or failed/unknown if that can't be proven
    virtual DriverOutcome kill(Instant deadline) { return stop(deadline); }  // by force
    // May be called ahead of start(): finds out what start() would otherwise lose time with. Changes nothing in the world.
    virtual void prepare(Instant /*deadline*/) {}
    // Tell the neighbours again, so many times, where an address is that is online here. Returns at once; never beside another call.
    virtual void announce(int /*times*/) {}
};

using DriverPtr = std::unique_ptr<Driver>;
// Never null: config/ has already refused unknown types.
DriverPtr make_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
