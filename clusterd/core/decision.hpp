// The decision: one replicated document with everything the leader decided. Named by (term, index); immutable once made.
#pragma once

#include "clusterd/core/ids.hpp"
#include "clusterd/core/spec.hpp"

#include <deque>
#include <set>

namespace clusterd {

// One failover counted against a group's limit.
struct LedgerEntry {
    std::int64_t wall_ms = 0;
    NodeIndex from = NodeIndex::a;
    std::string resource;  // whose failure it was
    bool operator==(LedgerEntry const&) const = default;
};

inline constexpr std::int64_t maintenance_without_end = INT64_MAX;

struct GroupDecision {
    NodeIndex owner = NodeIndex::a;
    bool wanted_online = true;
    std::set<std::string> held_offline;       // resources an operator took offline; lasts over failovers
    std::optional<NodeIndex> draining_to;     // the owner takes the group offline; then this node becomes owner
    std::string cause;                        // why the last change was made, for people
    bool away_by_failure = false;             // on this node only because the other failed: failback may bring it home
    std::optional<NodeIndex> drained_from;    // moved by `pause --drain`: `resume --failback` brings it home
    std::deque<LedgerEntry> failovers;        // within failover_period
    std::int64_t maintenance_until = 0;       // wall clock, ms: what fails is shown and left alone until then; 0 = no maintenance
    std::map<std::string, std::uint64_t> fail_orders;   // `fail R`: a counter per resource; the owner fails R when it rises
    std::map<std::string, std::uint64_t> reset_orders;  // `reset R`: likewise, forget failures
    bool operator==(GroupDecision const&) const = default;
};

// Where the configuration that counts came from.
struct ConfigOrigin {
    std::uint64_t revision = 0;  // 0: the file of the first start; each one applied is one higher
    std::int64_t wall_ms = 0;    // when it was decided
    std::string user, reason;
    bool operator==(ConfigOrigin const&) const = default;
};

// `clusterctl apply --confirm`: the configuration before comes back unless an operator says in time that the new one is to stay.
struct Unconfirmed {
    std::int64_t until_wall_ms = 0;  // 0: nothing waits for a word
    std::int64_t for_ms = 0;
    std::string previous_xml;
    bool operator==(Unconfirmed const&) const = default;
};
inline constexpr std::size_t longest_unconfirmed_xml = 128 << 10;  // bytes: it stands in the decision, whose area on the quorum disk is small

struct Decision {
    DecisionId id;
    Uuid cluster{};
    std::array<StoreId, 3> stores{};  // node a's, node b's, the quorum disk's; 0 = not yet seen
    std::map<std::string, GroupDecision> groups;
    // Resources that go offline, on whichever node, because a new configuration that drops or replaces them is about to be decided
    // (change.hpp). Of the leader that wrote it: another one knows nothing of that configuration and empties it.
    std::set<std::string> making_way;
    std::array<bool, 2> paused{};
    std::array<std::deque<std::int64_t>, 2> losses;  // wall clock, ms: when each node was lost without a word, within flap_window
    ConfigOrigin origin;
    Unconfirmed unconfirmed;
    ConfigPtr config;  // on the wire and on disk by its hash
};
using DecisionPtr = std::shared_ptr<Decision const>;

inline DecisionId id_of(DecisionPtr const& d) { return d ? d->id : DecisionId{}; }

}  // namespace clusterd
