// `quorum force`: alone by an operator's word, without disk and peer. Two whole nodes, simulated.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

struct ForcedPair : Pair {
    ForcedPair() {
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
    ForcedPair p;
    ASSERT_TRUE(p.web_on(a));
    std::uint64_t const incarnation = p.c.machine(a).incarnation;
    p.c.kill_worker(a, 50 * ms);
    p.run(10 * s);
    ASSERT_EQ(p.c.machine(a).incarnation, incarnation) << "else this shows nothing";
    EXPECT_TRUE(p.web_on(a));
    EXPECT_TRUE(p.c.permitted(a));
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
