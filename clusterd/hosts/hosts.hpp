// The worker's side of the agent hosts: which resource lives in which host, what is asked of it, and what becomes of a host that
// hangs or dies.
//
// Called by the shell on the loop's thread; never blocks (starting and killing hosts waits for the guard on a thread of its own).
//   * Resource drivers run in host "drivers", checks in "checks", both of an isolated resource in "r-NAME".
//   * Every ResourceAction but `prepare` is answered by exactly one ResourceChanged of its number: also where its host dies, or is
//     killed because the action didn't return within its timeout + 1 s (state unknown: it is found out again by a probe).
//   * A host that ended is started again at once. What its drivers watched is probed again; a difference is told, unasked
//     (action 0). Checks go on.
//   * One that can't even be killed, since a driver in it waits in the kernel, is followed by another one all the same, unless it is a
//     resource's own. What is asked of the resource that hangs there is answered with unknown until that process has ended.
//   * A worker that follows a dead one meets running hosts: an action that is still under way there is awaited, its end told
//   unasked.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/readiness.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clusterd {

class GuardClient;

class Hosts {
public:
    // `deliver` is called on the loop's thread, never from within a call of this class.
    Hosts(Loop& loop, GuardClient& guard, std::function<void(Event)> deliver);
    ~Hosts();

    // The configuration that counts now: starts the hosts it needs, tells them what changed, ends those that aren't needed.
    void configure(Spec const& spec);

    void perform(effect::ResourceAction const& action);
    void perform(effect::Checks const& checks);
    void perform(effect::Permit const& permit);  // announcements leave a host only before its end
    // Tells the neighbours again, so many times, where an address is that is online here.
    void announce(std::string const& resource, int times);
    // What keeps it from being started on this node: answered by `looked`, which is called on the loop's thread; maybe never, where the look hangs.
    void look(std::string const& resource, std::vector<std::string> elsewhere);
    void on_looked(std::function<void(std::string const& resource, std::vector<Lack> lacks)> looked);
    // Nothing but their lifetimes silences addresses here. Before anything is started.
    void no_gate();

    void host_gone(std::string const& name);  // GuardEvent

    struct HostState {
        std::string name;
        bool connected = false;
        int in_flight = 0;
        int kills = 0;  // by us, because something hung
        int ends = 0;   // by itself
    };
    std::vector<HostState> states() const;  // for status

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace clusterd
