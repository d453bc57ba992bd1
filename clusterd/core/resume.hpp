// What the guard keeps for the worker, so that a worker that died can be followed by one of the same incarnation.
//
// Written into shared memory before the effects of the step it follows from (protocol.md, "The permit"): then a crash is the
// same as a freeze. Trivially copyable, at most 4 KiB; decisions come from the store, resources' states from guard and hosts.
#pragma once

#include "clusterd/core/heartbeat.hpp"

#include <type_traits>

namespace clusterd {

struct ResumeState {
    static constexpr std::uint32_t current_version = 3;
    std::uint32_t version = current_version;
    NodeIndex self = NodeIndex::a;
    Role role = Role::seeking;
    bool forced = false;           // alone by an operator's word: renews its permit from its own clock
    Incarnation incarnation = 0;
    Incarnation peer_incarnation = 0;
    Instant peer_sent;             // newest send time of that incarnation
    std::array<Incarnation, 4> former{};  // those that are over: a late packet of theirs must not make one the peer again
    Term highest = 0, joined_term = 0, granted_term = 0, alone_term = 0, was_in = 0;
    Instant permit_end, r_last, started;
    Instant last_grant;            // when the last fresh grant came
    Instant last_grant_sent;       // my send time it echoed
    std::uint64_t beat = 0;        // of my slot
    Slot peer_slot;
    Instant peer_slot_seen;
    Instant takeover_slot_seen;    // of the slot that step 2 saw; `forever` if none
    Term takeover_slot_term = 0;   // its alone-term
    DecisionId newest;
};
static_assert(std::is_trivially_copyable_v<ResumeState> && sizeof(ResumeState) <= 4096);

}  // namespace clusterd
