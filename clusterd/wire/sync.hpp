// What the nodes' cores tell each other over the sync channel, as bytes. A configuration stands in it only as its hash;
// link/replica sends the XML ahead where the peer may not have it.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/wire/decision.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

std::string encode_sync(SyncMessage const& message);

struct DecodedSync {
    SyncMessage message;                      // its decision, where it has one, is still null
    std::optional<DecodedDecision> decision;  // for it, once the configuration was found: see set_decision
};
// Refuses unknown versions and kinds, trailing bytes and anything above the limits; never crashes.
Result<DecodedSync> decode_sync(std::string_view bytes);

DecisionPtr decision_in(SyncMessage const& message);            // null: it carries none
void set_decision(SyncMessage& message, DecisionPtr decision);  // of FollowerState and StoreDecision; else nothing

}  // namespace clusterd
