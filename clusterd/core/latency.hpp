// How long something takes: counts per power of two and its eighths, so that p50 and p99 are right to about 10 % at any scale.
// Pure and unsynchronised: the room that measures holds a lock around it. Old measurements fade: at 4096 all counts are halved.
#pragma once

#include "clusterd/core/time.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace clusterd {

struct LatencyStats {
    std::uint64_t count = 0;  // measured since the start; 0 = the rest means nothing
    Duration p50{}, p99{};    // of the recent ones
    Duration max{};           // since the start
    Duration last{};
};

class LatencyHistogram {
public:
    void add(Duration taken) {
        auto const us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, taken.count() / 1000));
        ++buckets_[bucket_of(us)];
        ++count_;
        last_ = taken;
        max_ = std::max(max_, taken);
        if (++recent_ >= fade_at) fade();
    }

    LatencyStats stats() const { return {count_, std::min(max_, quantile(50)), std::min(max_, quantile(99)), max_, last_}; }

private:
    static constexpr std::uint64_t fade_at = 4096;
    static constexpr std::size_t parts = 8;  // of each power of two

    // Below 8 us exact; above, eight buckets a power of two. 2^41 us is 25 days: longer ones count as that.
    static constexpr std::size_t bucket_of(std::uint64_t us) {
        if (us < parts) return static_cast<std::size_t>(us);
        us = std::min<std::uint64_t>(us, (std::uint64_t{1} << 41) - 1);
        auto const power = static_cast<std::size_t>(std::bit_width(us)) - 1;  // >= 3
        return (power - 2) * parts + static_cast<std::size_t>((us >> (power - 3)) & (parts - 1));
    }
    // The upper end of a bucket: a quantile is never told smaller than it was.
    static constexpr Duration upper(std::size_t bucket) {
        if (bucket < parts) return std::chrono::microseconds(bucket + 1);
        std::size_t const power = bucket / parts + 2;
        return std::chrono::microseconds((std::uint64_t{parts} + bucket % parts + 1) << (power - 3));
    }
    Duration quantile(std::uint64_t percent) const {
        std::uint64_t total = 0;
        for (auto const n : buckets_) total += n;
        std::uint64_t const rank = (total * percent + 99) / 100;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen >= rank && seen > 0) return upper(i);
        }
        return {};
    }
    void fade() {
        recent_ = 0;
        for (auto& n : buckets_) {
            n = (n + 1) / 2;  // a rare slow one stays seen
            recent_ += n;
        }
        // Rounding up keeps every bucket at 1 or more; far fewer buckets than fade_at / 2, so this ends.
    }

    std::array<std::uint32_t, 39 * parts> buckets_{};
    std::uint64_t count_ = 0, recent_ = 0;
    Duration max_{}, last_{};
};

}  // namespace clusterd
