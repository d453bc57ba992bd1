// A node that comes and goes: after three losses without a word within an hour nothing fails back to it by itself. And one that was held
// up itself. Two whole nodes, simulated.
#include "tests/unit/core/pair.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

struct HomeAtOnce : Pair {
    HomeAtOnce() : Pair(config(FailbackSpec::Kind::immediate)) {}
    // alpha loses its power, and is back half a minute later.
    void flap() {
        c.power_cut(a);
        run(30 * s);
        c.power_on(a);
        run(30 * s);
    }
    bool flapping() { return c.machine(b).node->status({c.clock(b), 1'700'000'000'000 + c.now / ms, 0}).nodes[0].flapping; }
};

TEST(Flapping, AfterTheThirdLossNothingFailsBackUntilAnHourIsOver) {
    HomeAtOnce p;
    for (int i = 0; i < 2; ++i) {
        p.flap();
        ASSERT_TRUE(p.web_on(a)) << "loss " << i + 1;
        EXPECT_FALSE(p.flapping());
    }
    p.flap();
    EXPECT_TRUE(p.web_on(b));
    EXPECT_TRUE(p.flapping());
    p.run(50 * 60 * s);
    EXPECT_TRUE(p.web_on(b));
    p.run(15 * 60 * s);
    EXPECT_FALSE(p.flapping());
    EXPECT_TRUE(p.web_on(a)) << "an hour after the first loss";
}

TEST(Flapping, AnOperatorEndsItEarlier) {
    HomeAtOnce p;
    for (int i = 0; i < 3; ++i) p.flap();
    ASSERT_TRUE(p.web_on(b));
    EXPECT_EQ(p.order(b, {"", Verb::resume, "alpha"}), Outcome::done);
    EXPECT_FALSE(p.flapping());
    EXPECT_TRUE(p.web_on(a));
}

TEST(Flapping, AMoveByHandStaysPossible) {
    HomeAtOnce p;
    for (int i = 0; i < 3; ++i) p.flap();
    EXPECT_EQ(p.order(b, Verb::move, "web", "alpha"), Outcome::done);
    EXPECT_TRUE(p.web_on(a));
}

TEST(Flapping, ACleanStopIsNoLoss) {
    HomeAtOnce p;
    for (int i = 0; i < 4; ++i) {
        p.c.leave(a);
        p.run(30 * s);
        p.c.start_service(a);
        p.run(30 * s);
    }
    EXPECT_FALSE(p.flapping());
    EXPECT_TRUE(p.web_on(a));
}

// What a node concludes when it wakes it concludes from the quorum disk, never from its own silence.
TEST(OwnPause, AStandbyThatWasFrozenTakesNothingFromALivingOwner) {
    for (Ns held_up : {200 * ms, 295 * ms, 305 * ms, 400 * ms, 1000 * ms, 1100 * ms, 10 * s}) {
        Pair p;
        p.c.freeze(b, false);
        p.run(held_up);
        p.c.thaw(b);
        p.run(5 * s);
        EXPECT_TRUE(p.web_on(a)) << "frozen for " << held_up / ms << " ms";
        EXPECT_EQ(p.web(b).owner, a) << "frozen for " << held_up / ms << " ms";
    }
}

}  // namespace
