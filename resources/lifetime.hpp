// How long the kernel is to keep an address that nobody renews: the second line behind the address gate.
//
// Called by the ip-address driver and its watch. The kernel counts in whole seconds and takes an address off up to 250 ms late; so
// with a permit under 1500 ms nothing is set (docs/protocol.md, "The address gate").
#pragma once

#include "clusterd/core/time.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace clusterd::net {

struct Lifetime {
    Duration renew_every{0};  // P/4; 0: addresses live until they are removed
    // No gate stands: then no address may outlive the permit. Else the gate silences it, and an address that outlives the permit by
    // less than a second is better than one that is lost while the permit holds.
    bool alone = false;
    std::function<Instant()> permit_end;
};

inline constexpr Duration expiry_lateness = std::chrono::milliseconds(250);

// In seconds; 0: none that may be set now.
inline std::uint32_t lifetime_for(Duration left_of_permit, bool alone) {
    if (left_of_permit <= Duration{0}) return 0;
    auto const whole = std::chrono::floor<std::chrono::seconds>(left_of_permit - expiry_lateness).count();
    std::int64_t const least = alone ? 0 : 1;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(whole, least, 365 * 24 * 3600));
}

}  // namespace clusterd::net
