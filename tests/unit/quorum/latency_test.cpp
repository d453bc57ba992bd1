// The latency histogram: quantiles are never told too small, and not much too large.
#include "clusterd/core/latency.hpp"

#include <gtest/gtest.h>

using namespace clusterd;
using std::chrono::microseconds;

TEST(Latency, NothingMeasuredIsZero) { EXPECT_EQ(LatencyHistogram{}.stats().count, 0u); }

TEST(Latency, QuantilesAreRightToAnEighth) {
    LatencyHistogram h;
    for (int us = 1; us <= 1000; ++us) h.add(microseconds(us * 100));
    auto const s = h.stats();
    EXPECT_EQ(s.count, 1000u);
    EXPECT_GE(s.p50, microseconds(50'000));
    EXPECT_LE(s.p50, microseconds(57'000));
    EXPECT_GE(s.p99, microseconds(99'000));
    EXPECT_LE(s.p99, microseconds(100'000)) << "never above the largest";
    EXPECT_EQ(s.max, microseconds(100'000));
    EXPECT_EQ(s.last, microseconds(100'000));
}

TEST(Latency, AnyDurationHasAPlace) {
    LatencyHistogram h;
    for (std::int64_t ns = -5; ns < INT64_MAX / 3; ns = ns < 1 ? 1 : ns * 3) h.add(Duration{ns});
    h.add(Duration::max());
    EXPECT_LE(h.stats().p99, h.stats().max);
}

TEST(Latency, OldOnesFade) {
    LatencyHistogram h;
    for (int i = 0; i < 4000; ++i) h.add(microseconds(50'000));
    for (int i = 0; i < 40'000; ++i) h.add(microseconds(100));
    EXPECT_LT(h.stats().p50, microseconds(200));
    EXPECT_LT(h.stats().p99, microseconds(200)) << "a slow hour ago no longer counts";
    EXPECT_EQ(h.stats().max, microseconds(50'000)) << "but is still known";
}
