// What two nodes tell each other every heartbeat, and what a node writes on the quorum disk. Values only; wire/ makes the bytes.
#pragma once

#include "clusterd/core/ids.hpp"
#include "clusterd/core/time.hpp"

#include <optional>

namespace clusterd {

enum class Role : std::uint8_t { seeking = 0, alone = 1, joined = 2 };

// "I have your heartbeat, sent at `sent` on your clock, of this incarnation of yours." From a joined sender: a grant.
struct Echo {
    Incarnation incarnation = 0;  // 0 = I have none
    Instant sent;
    bool operator==(Echo const&) const = default;
};

struct Offer {
    Term term = 0;           // 0 = no offer
    Incarnation to = 0;      // the incarnation it is made to
    bool operator==(Offer const&) const = default;
};

// How fit a node is to go on where both could: only ever delays (protocol.md, "Who goes first").
struct Fitness {
    std::uint8_t networks_down = 0;
    std::uint32_t groups_online = 0;
    bool operator==(Fitness const&) const = default;
};

struct Heartbeat {
    NodeIndex from = NodeIndex::a;
    Incarnation incarnation = 0;
    Instant sent;              // sender's clock
    Role role = Role::seeking;
    Term highest = 0;          // the newest term the sender has seen
    Term own = 0;              // the highest term the sender was joined or alone in; joined: the term it grants in
    Echo echo;                 // of the incarnation it counts as its peer
    Echo greeting;             // of an incarnation that hasn't proved itself yet
    Offer offer;
    DecisionId newest;         // newest decision stored
    StoreId store = 0;         // the sender's state store
    bool store_listed = false; // its own newest decision lists that store
    bool disk_fresh = false;   // it has read the quorum disk, and no decision was ever written there
    bool disk_ok = false;      // the disk answered its last request
    bool abstains = false;     // it makes no offer, takes none and claims nothing: don't wait for it
    Uuid cluster{};            // as far as known
    Fitness fitness;
    std::uint32_t scheduling_delay_us = 0;  // the sender's own worst of the last second
    std::uint32_t disk_latency_us = 0;      // its last disk cycle; 0 = none
    std::uint32_t networks = 0;             // bit i: <network> i is well on the sender
    bool operator==(Heartbeat const&) const = default;
};

// One node's slot on the quorum disk. A slot never written is a default-constructed one.
struct Slot {
    Incarnation incarnation = 0;
    std::uint64_t beat = 0;      // every write advances it
    Role state = Role::seeking;  // seeking | alone; there is no `joined` on disk
    Term alone_term = 0;         // the highest term with which `alone` was ever written; never goes back
    Term stopped_term = 0;       // the highest term joined or alone in, given only once all is certainly stopped
    DecisionId newest;           // newest decision this node has put into its area on the disk
    std::uint8_t area = 0;       // which of its two areas holds it
    std::int64_t wall_ms = 0;    // for people only
    bool operator==(Slot const&) const = default;
};

}  // namespace clusterd
