// What a node says of itself and its pair when asked: a copy, made from memory, whatever state anything is in.
// wire/ turns it into the JSON of the tool's contract. Fields the core can't know (link latencies, disk latency) the shell fills in.
#pragma once

#include "clusterd/core/events.hpp"

namespace clusterd {

enum class PermitSource : std::uint8_t { none, joined, alone };
enum class NodeState : std::uint8_t { up, seeking, down, paused, unknown };
enum class QuorumState : std::uint8_t { ok, slow, failed, uninitialised, none };
enum class GroupState : std::uint8_t { offline, online_pending, online, offline_pending, failed, partial_online, unknown };

struct LinkStatus {
    std::string address;  // that node's own address on the link
    bool up = false;
    std::int64_t last_heard_ms = -1;  // -1 = never
};
struct NodeStatus {
    std::string name;
    NodeState state = NodeState::unknown;
    Incarnation incarnation = 0;
    std::vector<LinkStatus> links;
    bool paused = false;
    bool leaving = false;
    bool flapping = false;  // lost so often that nothing fails back to it
};
struct ResourceStatus {
    std::string name, type;
    ResourceReport report;
    std::int64_t stale_ms = 0;  // > 0: the owner hasn't been heard for so long
};
struct GroupStatus {
    std::string name;
    GroupState state = GroupState::unknown;
    std::optional<NodeIndex> owner;
    std::optional<NodeIndex> draining_to;
    bool wanted_online = true;
    std::string cause;
    int failovers_in_window = 0, failover_limit = 0;
    std::int64_t maintenance_until = 0;  // wall clock, ms; 0: none; maintenance_without_end
    std::vector<ResourceStatus> resources;
};
struct QuorumStatus {
    std::string disk;
    QuorumState state = QuorumState::none;
    std::int64_t latency_ms = -1;
    std::string message;  // why, and which command to run
    std::array<std::optional<Slot>, 2> slots;  // as last read
};
struct Status {
    std::string cluster;
    NodeIndex self = NodeIndex::a;
    Role role = Role::seeking;
    ConfigOrigin origin;                // of the configuration that counts
    std::int64_t confirm_until = 0;     // wall clock, ms: it is taken back then, unless it is confirmed; 0: it stays
    DecisionId decision;  // newest committed that this node acts on
    Term term = 0;
    std::optional<NodeIndex> leader;
    PermitSource permit = PermitSource::none;
    std::int64_t permit_remaining_ms = 0;
    std::array<NodeStatus, 2> nodes;
    QuorumStatus quorum;
    std::vector<GroupStatus> groups;
    std::vector<std::string> warnings;  // what is not as it should be, each with what to do next
    std::string watchdog_device;        // this machine's, which is armed; empty: none
    std::int64_t watchdog_ms = 0;       // it resets the machine so long after it is no longer fed
    std::int64_t worst_margin_ms = -1;  // the least that was left of a permit when it was renewed; -1 = none yet
};

}  // namespace clusterd
