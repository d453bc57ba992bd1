// What can happen to a node, and what it may want done: the whole contract between the core and its shell.
//
//   Effects Node::step(Now, Event)       pure; the shell performs the effects in order and reports each result as an event.
//
// The order contract is etcd's: what must be durable first is an effect of its own (Persist), and the core goes on only at the
// event Persisted. At most one DiskCycle or DiskRead, and one DiskStoreDecision or DiskLoadDecisions of each kind, is under
// way; the shell does them one after another, in the order asked.
#pragma once

#include "clusterd/core/decision.hpp"
#include "clusterd/core/event_kind.hpp"
#include "clusterd/core/heartbeat.hpp"
#include "clusterd/core/report.hpp"

#include <string>
#include <variant>
#include <vector>

namespace clusterd {

// ---- operators' commands -------------------------------------------------------------------------------------------------

enum class Verb : std::uint8_t { online, offline, move, fail, reset, pause, resume, apply, maintenance, confirm };

struct Command {
    std::string id;      // unique; drawn by the API
    Verb verb = Verb::online;
    std::string target;  // a group, resource or node
    std::string to;      // move: a node; empty = the other one
    bool drain = false;
    bool failback = false;
    std::string user;    // who asked, for the record
    ConfigPtr config = {};  // apply: what is to count; null: it came from the peer and can't be read here
    bool on = true;         // maintenance: begins; false: ends
    std::int64_t for_ms = 0;  // maintenance: for so long; 0 = until it is ended
    Hash base{};            // apply: the configuration it was compared with when the operator agreed; zero: whichever
    std::int64_t confirm_ms = 0;  // apply: the configuration before comes back after that, unless it is confirmed; 0 = it stays
    std::string reason = {};  // the operator's own words, for the record; may be empty
    bool operator==(Command const&) const = default;
};

enum class Outcome : std::uint8_t { running, done, failed, refused };  // exit codes 0, 1, 5 of clusterctl

// ---- failures and moves, as they are told afterwards --------------------------------------------------------------------------

struct Phase {
    std::string name;  // detect, arbitrate, permit wait, commit, offline R, online R ...
    std::int64_t ms = 0;
    bool operator==(Phase const&) const = default;
};

struct FailoverRecord {
    std::string id;  // given by the shell
    std::string group;
    std::string from, to;  // node names; from may be empty (first start)
    std::string cause;
    std::int64_t start_wall_ms = 0;
    std::vector<Phase> phases;
    bool operator==(FailoverRecord const&) const = default;
};

enum class Severity : std::uint8_t { info, warning, error, critical };

// ---- node to node, over the sync channel ------------------------------------------------------------------------------------

namespace sync {
// Follower to leader, after it joined `term`: what it has stored.
struct FollowerState {
    Term term = 0;
    DecisionId stored;
    DecisionPtr decision;
    StoreId store = 0;
};
struct StoreDecision { Term term = 0; DecisionPtr decision; };       // leader to follower: store it, act on it
struct DecisionStored { Term term = 0; DecisionId id; };             // follower to leader
struct CommandForward { Command command; };                          // to the leader
struct CommandAnswer {                                               // back: accepted under a decision, or refused
    std::string id;
    bool accepted = false;
    DecisionId under;
    std::string message;
};
struct History { FailoverRecord record; };
}  // namespace sync
using SyncMessage = std::variant<sync::FollowerState, sync::StoreDecision, sync::DecisionStored, Report, sync::CommandForward,
                                 sync::CommandAnswer, sync::History>;

// ---- events ---------------------------------------------------------------------------------------------------------------

namespace event {
struct Tick {};  // next_wakeup() has come, or any other moment: never wrong
struct HeartbeatReceived { Heartbeat heartbeat; int link = 0; };
struct SyncUp {};    // the channel to the peer's `incarnation` stands (again): nothing sent before is known to have arrived
struct SyncDown {};
struct SyncReceived { SyncMessage message; };
struct Persisted { std::uint64_t ticket = 0; bool ok = true; std::string error; };
// `started` is when the write began, the event's time when the read was complete.
struct CycleDone { std::uint64_t id = 0; bool ok = true; Instant started; Slot peer; std::string error; };
struct DiskReadDone { std::uint64_t id = 0; bool ok = true; Instant started; Slot own, peer; StoreId disk = 0; Uuid cluster{}; std::string error; };
struct DiskDecisionStored { std::uint64_t id = 0; bool ok = true; std::uint8_t area = 0; std::string error; };
// The newest of what both nodes' slots name; null = no decision was ever written there.
struct DiskDecisionsLoaded { std::uint64_t id = 0; bool ok = true; DecisionPtr newest; std::string error; };
// What became of a ResourceAction, or (action 0) what was noticed without being asked.
struct ResourceChanged {
    std::string resource;
    std::uint64_t action = 0;
    ResourceState state = ResourceState::unknown;  // online, offline, failed; unknown = could not be found out
    std::string message;
    bool restart_here = true;  // false: a restart on this node can't help (the network is down, not installed, ...)
};
struct HealthResult { std::string resource; int check = 0; Health result = Health::unknown; Duration latency{}; std::string message; };
struct NetworkState { int network = 0; bool well = true; std::string message; };
struct CommandGiven { Command command; };
struct CommandAbandoned { std::string id; };  // nobody waits for it any more
struct EmergencyStopped { bool proven = true; std::string message; };  // everything of resources has ended (or can't be proven to)
struct LeaveRequested {};                     // SIGTERM
// `quorum force`: an operator has made sure that the peer runs nothing and can't come back by itself, and says: go on alone.
struct Forced { std::string user; };
struct Measured { std::uint32_t scheduling_delay_us = 0; };
}  // namespace event
using Event = std::variant<event::Tick, event::HeartbeatReceived, event::SyncUp, event::SyncDown, event::SyncReceived, event::Persisted,
                           event::CycleDone, event::DiskReadDone, event::DiskDecisionStored, event::DiskDecisionsLoaded,
                           event::ResourceChanged, event::HealthResult, event::NetworkState, event::CommandGiven,
                           event::CommandAbandoned, event::EmergencyStopped, event::LeaveRequested, event::Forced, event::Measured>;

// ---- effects --------------------------------------------------------------------------------------------------------------

// What a node keeps on its own disk besides the decision.
struct Terms {
    Term highest = 0;  // the highest term seen
    Term joined = 0;   // the highest term it was, or may have been, joined in
    Term alone = 0;    // the highest term with which it wrote, or may have written, `alone`
    bool operator==(Terms const&) const = default;
};

// prepare: what can be found out ahead of a start (is an address free?), while the permit is waited for; has no answer.
enum class ActionKind : std::uint8_t { probe, start, stop, kill, prepare };

namespace effect {
struct SendHeartbeat { Heartbeat heartbeat; };                        // on every link, now
struct SendSync { SyncMessage message; };                             // dropped where the channel is down
struct Persist { std::uint64_t ticket = 0; Terms terms; DecisionPtr decision; };  // both, durably, then Persisted
struct DiskCycle { std::uint64_t id = 0; Slot mine; };                // write my slot, then read the other's
struct DiskRead { std::uint64_t id = 0; };                            // read both slots
struct DiskStoreDecision { std::uint64_t id = 0; DecisionPtr decision; std::uint8_t area = 0; };
struct DiskLoadDecisions { std::uint64_t id = 0; };
// The right to have resources online, told to guard and gate before anything else is done. end in the past = none.
struct Permit { Instant end; };
struct ResourceAction { ActionKind kind = ActionKind::probe; std::string resource; std::uint64_t action = 0; Duration timeout{}; };
struct Checks { std::string resource; bool run = false; };            // start or stop its health agents
// Its time is over unconfirmed: the shell gives the leader a command `apply` of this configuration, compared with `base`.
struct RevertConfiguration { std::string xml; Hash base{}; };
struct EmergencyStop { std::string reason; };                         // end everything of every resource, now
struct CommandUpdate { std::string id; Outcome outcome = Outcome::running; std::string message; };
// evidence: what was known when it was decided, for who asks why; may be empty.
struct RecordEvent {
    Severity severity = Severity::info;
    std::string group, resource, message;
    EventKind kind = EventKind::note;
    std::string evidence = {};
};
struct RecordFailover { FailoverRecord record; bool mine = true; };   // mine: give it an id; else it came from the peer with one
struct Left {};                                                       // a clean stop is complete: exit 0
}  // namespace effect
using Effect = std::variant<effect::SendHeartbeat, effect::SendSync, effect::Persist, effect::DiskCycle, effect::DiskRead,
                            effect::DiskStoreDecision, effect::DiskLoadDecisions, effect::Permit, effect::ResourceAction, effect::Checks,
                            effect::EmergencyStop, effect::RevertConfiguration, effect::CommandUpdate, effect::RecordEvent, effect::RecordFailover, effect::Left>;
using Effects = std::vector<Effect>;

}  // namespace clusterd
