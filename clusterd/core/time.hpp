// Time as the core knows it: an argument, never a clock.
//
// Instant is a point on *this node's* CLOCK_BOOTTIME (it goes on during suspend; two nodes' instants are never compared).
// Wall-clock milliseconds are for people, for failback windows and for the failure ledger only; no permit depends on them.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace clusterd {

using Duration = std::chrono::nanoseconds;

struct Instant {
    std::int64_t ns = 0;  // nanoseconds since boot

    friend constexpr auto operator<=>(Instant, Instant) = default;
    friend constexpr Instant operator+(Instant at, Duration by) { return {at.ns + by.count()}; }
    friend constexpr Instant operator-(Instant at, Duration by) { return {at.ns - by.count()}; }
    friend constexpr Duration operator-(Instant a, Instant b) { return Duration{a.ns - b.ns}; }
};

inline constexpr Instant forever{INT64_MAX};     // a deadline that doesn't exist
inline constexpr Instant long_ago{INT64_MIN / 2};  // "it never happened"

// What the shell passes with every event.
struct Now {
    Instant mono;
    std::int64_t wall_ms = 0;  // milliseconds since 1970-01-01 UTC
    int local_minute = 0;      // minute of the day in the node's own zone, 0..1439: for failback windows
};

constexpr std::int64_t to_ms(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }

}  // namespace clusterd
