// A decision as bytes: on the sync channel, in the state store and in the areas of the quorum disk. The configuration stands in it
// only as its hash (hash_config); whoever decodes finds the configuration under that name.
#pragma once

#include "clusterd/core/decision.hpp"
#include "clusterd/core/result.hpp"

#include <string>
#include <string_view>

namespace clusterd {

// The same decision always gives the same bytes. `config` null is encoded as a hash of zeros.
std::string encode_decision(Decision const& decision);

struct DecodedDecision {
    Decision decision;  // its `config` is null: the caller finds it
    Hash config{};      // all zero: the decision has none
};
// Refuses unknown versions, trailing bytes and anything above the limits of bytes.hpp; never crashes.
Result<DecodedDecision> decode_decision(std::string_view bytes);

}  // namespace clusterd
