// Reads Membership's private members, so that two states can be told apart: the small world prunes what it has seen.
//
// The core has no hook for tests; an explicit instantiation may name private members, which is all that is used here. A member that
// is renamed breaks the build; one that is added, and that decides anything, has to be added here and in small_world.cpp.
#pragma once

#include "clusterd/core/membership.hpp"

namespace clusterd::exhaustive {

template <class Tag, auto Member>
struct Reveal {
    friend auto& peek(Tag, Membership const& m) { return m.*Member; }
};

#define CLUSTERD_PEEK(member)                             \
    struct Tag_##member {                                 \
        friend auto& peek(Tag_##member, Membership const&); \
    };                                                    \
    template struct Reveal<Tag_##member, &Membership::member>;

CLUSTERD_PEEK(role_)
CLUSTERD_PEEK(wanted_)
CLUSTERD_PEEK(durable_)
CLUSTERD_PEEK(permit_end_)
CLUSTERD_PEEK(started_)
CLUSTERD_PEEK(r_last_)
CLUSTERD_PEEK(last_grant_)
CLUSTERD_PEEK(newest_echoed_)
CLUSTERD_PEEK(last_echo_)
CLUSTERD_PEEK(heard_)
CLUSTERD_PEEK(peer_)
CLUSTERD_PEEK(peer_incarnation_)
CLUSTERD_PEEK(greeting_)
CLUSTERD_PEEK(joined_with_)
CLUSTERD_PEEK(former_)
CLUSTERD_PEEK(joined_term_)
CLUSTERD_PEEK(granted_term_)
CLUSTERD_PEEK(last_joined_)
CLUSTERD_PEEK(foreign_)
CLUSTERD_PEEK(alone_term_)
CLUSTERD_PEEK(was_in_)
CLUSTERD_PEEK(offer_)
CLUSTERD_PEEK(accepting_)
CLUSTERD_PEEK(stint_)
CLUSTERD_PEEK(step_)
CLUSTERD_PEEK(claim_)
CLUSTERD_PEEK(flight_)
CLUSTERD_PEEK(read_id_)
CLUSTERD_PEEK(next_cycle_)
CLUSTERD_PEEK(next_read_)
CLUSTERD_PEEK(next_heartbeat_)
CLUSTERD_PEEK(heartbeat_owed_)
CLUSTERD_PEEK(own_slot_read_)
CLUSTERD_PEEK(reread_)
CLUSTERD_PEEK(own_slot_)
CLUSTERD_PEEK(peer_slot_)
CLUSTERD_PEEK(peer_slot_known_)
CLUSTERD_PEEK(peer_slot_seen_)
CLUSTERD_PEEK(baseline_known_)
CLUSTERD_PEEK(baseline_beat_)
CLUSTERD_PEEK(takeover_slot_seen_)
CLUSTERD_PEEK(takeover_slot_term_)
CLUSTERD_PEEK(disk_ok_)
CLUSTERD_PEEK(disk_fresh_)
CLUSTERD_PEEK(forcing_)
CLUSTERD_PEEK(forced_)

#undef CLUSTERD_PEEK
#define PEEK(membership, member) (peek(::clusterd::exhaustive::Tag_##member{}, membership))  // found by its argument

}  // namespace clusterd::exhaustive
