// `quorum force`: alone by an operator's word, without disk and peer. Two whole nodes, simulated.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

struct ForcedPair : Pair {
    explicit ForcedPair(std::uint64_t seed = 1) : Pair(config(), seed) {
        c.power_cut(b);
        c.disk_fails(a, true);
        c.disk_fails(b, true);
        run(5 * s);
        c.force(a);
        run(3 * s);
    }
};

TEST(Forced, ServesWithoutDiskAndPeer) {
    ForcedPair p;
    EXPECT_TRUE(p.web_on(a));
    p.run(60 * s);
    EXPECT_TRUE(p.web_on(a));
}

TEST(Forced, LastsOverAWorkerThatGoesOn) {
    int went_on = 0;  // not every dead worker is followed by one of the same incarnation
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        ForcedPair p(seed);
        ASSERT_TRUE(p.web_on(a));
        std::uint64_t const incarnation = p.c.machine(a).incarnation;
        p.c.kill_worker(a, 50 * ms);
        p.run(10 * s);
        if (p.c.machine(a).incarnation != incarnation) continue;
        ++went_on;
        EXPECT_TRUE(p.web_on(a)) << "seed " << seed;
        EXPECT_TRUE(p.c.permitted(a)) << "seed " << seed;
    }
    EXPECT_GT(went_on, 0);
}

TEST(Forced, EndsWhenThePeerComesBackWithARight) {
    ForcedPair p;
    p.c.disk_fails(a, false);
    p.c.disk_fails(b, false);
    p.c.power_on(b);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(a) || p.web_on(b));
    EXPECT_EQ(p.c.machine(a).resume.role, Role::joined);
    EXPECT_FALSE(p.c.machine(a).node->resume_state().forced);
}

}  // namespace
