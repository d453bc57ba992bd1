// A virtual machine that is paused, with its clock: two whole nodes, simulated. What the protocol can't prevent then it ends at once.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

TEST(PausedMachine, WhatWasTakenOverMeanwhileEndsAtOnceAndNotInOrder) {
    Pair p;
    ASSERT_TRUE(p.web_on(a));
    p.c.pause_machine(a);
    p.run(10 * s);
    ASSERT_TRUE(p.web_on(b));
    p.c.conditions.stop = {20 * s, 20 * s};
    p.c.wake_machine(a);
    p.run(3 * s);
    EXPECT_TRUE(p.nothing_on(a));
    EXPECT_TRUE(p.web_on(b));
    EXPECT_EQ(p.c.machine(a).resume.role, Role::joined);
}

// Stops and starts that have time: what ends within a second isn't ended by its own deadline.
ConfigPtr patient() {
    auto made = std::make_shared<Config>(*config());
    for (auto& g : made->spec.groups)
        for (auto& r : g.resources) r.online_timeout = r.offline_timeout = std::chrono::minutes(2);
    return made;
}

// It was to move away just then, and stops slowly: that it is on its way changes nothing. (Trace 05; seed 22904.)
TEST(PausedMachine, AlsoWhatWasOnItsWayToTheOther) {
    Pair p(patient());
    ASSERT_EQ(p.order(a, Verb::offline, "mail"), Outcome::done);  // it would be enough
    p.c.conditions.stop = {60 * s, 60 * s};
    EXPECT_EQ(p.order(a, {"", Verb::move, "web", "beta"}, 500 * ms), Outcome::running);
    p.c.pause_machine(a);
    p.run(10 * s);
    ASSERT_TRUE(p.web_on(b));
    p.c.wake_machine(a);
    p.run(2 * s);
    EXPECT_TRUE(p.nothing_on(a));
    EXPECT_TRUE(p.web_on(b));
}

// A start of it hung, its worker died, and the one that went on hadn't found out yet. (Trace 06; seed 32336.)
TEST(PausedMachine, AlsoWhatItsWorkerHasNotFoundOut) {
    Pair p(patient());
    for (char const* group : {"mail", "web"}) ASSERT_EQ(p.order(a, Verb::offline, group), Outcome::done);
    p.c.conditions.start_hangs = 1;
    EXPECT_EQ(p.order(a, {"", Verb::online, "web"}, 500 * ms), Outcome::running);
    p.c.conditions.start_hangs = 0;
    p.c.kill_worker(a, 50 * ms);
    p.run(200 * ms);
    p.c.pause_machine(a);
    p.run(5 * s);
    ASSERT_TRUE(p.web_on(b));
    p.c.wake_machine(a);
    p.run(2 * s);
    EXPECT_TRUE(p.nothing_on(a));
    EXPECT_TRUE(p.web_on(b));
}

TEST(PausedMachine, APauseThatIsShortTakesNothingAway) {
    Pair p;
    p.c.conditions.nothing_may_stop = true;
    p.c.conditions.only_fault = "a short pause";
    p.c.pause_machine(a);
    p.run(100 * ms);
    p.c.wake_machine(a);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(a));
}

}  // namespace
