// What can't be stopped, and can't be killed either: the node gives up its permit, so that the other one can take over
// (design.md, "Failure policy"), but only where that helps. Two whole nodes, simulated.
#include "tests/unit/core/pair.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

struct Stuck : Pair {
    explicit Stuck(Ns until = never) { c.resource_sticks(a, "web-server", until); }
    bool within(Ns limit, std::function<bool()> const& there) {
        for (Ns const end = c.now + limit; c.now < end && !there(); c.run_until(c.now + 10 * ms)) {}
        return there();
    }
    std::string warnings(NodeIndex n) {
        std::string all;
        for (auto const& w : c.machine(n).node->status({c.clock(n), 0, 0}).warnings) all += w + "\n";
        return all;
    }
    Role role(NodeIndex n) { return c.machine(n).resume.role; }
    static constexpr Ns killed_in_vain = 15 * s;  // 3 s to stop it, 10 s to kill it
};

TEST(Unstoppable, TheRestMovesAwayThenThePermitIsGivenUpAndThePeerTakesOver) {
    Stuck p;
    EXPECT_TRUE(p.within(Stuck::killed_in_vain, [&] { return p.on(b, "mail-ip"); })) << "what can be stopped moves in order";
    EXPECT_TRUE(p.within(5 * s, [&] { return p.role(a) == Role::seeking; }));
    EXPECT_FALSE(p.c.permitted(a));
    EXPECT_TRUE(p.within(2 * s, [&] { return p.web_on(b); })) << "P(1 + rho) after the last grant";
    EXPECT_TRUE(p.on(b, "mail-ip"));
    EXPECT_THAT(p.warnings(a), testing::HasSubstr("gave up its permit, because web-server of group web can't be stopped here"));
    EXPECT_THAT(p.warnings(b), testing::HasSubstr("alpha gave up its permit"));
    p.run(60 * s);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_EQ(p.role(a), Role::seeking) << "as long as something is left";
    EXPECT_TRUE(p.web(b).failovers.empty()) << "like the loss of a node, it counts against no limit";
}

TEST(Unstoppable, OnceNothingIsLeftTheNodeTakesPartAgain) {
    Stuck p(5 * s + 40 * s);
    ASSERT_TRUE(p.within(30 * s, [&] { return p.web_on(b); }));
    EXPECT_EQ(p.role(a), Role::seeking);
    EXPECT_TRUE(p.within(60 * s, [&] { return p.role(a) == Role::joined; }));
    EXPECT_EQ(p.warnings(a), "");
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_EQ(p.order(a, Verb::move, "web"), Outcome::done) << "and can be given groups";
}

TEST(Unstoppable, WithNobodyToTakeItTheRestGoesOnHereUntilThePeerIsBack) {
    Stuck p(0);
    p.c.power_cut(b);
    p.run(5 * s);
    p.c.resource_sticks(a, "web-server", never);
    p.run(120 * s);
    EXPECT_TRUE(p.on(a, "mail-ip"));
    EXPECT_TRUE(p.c.permitted(a));
    p.c.power_on(b);
    EXPECT_TRUE(p.within(60 * s, [&] { return p.web_on(b) && p.on(b, "mail-ip"); }));
}

TEST(Unstoppable, WithoutTheDiskThePeerCouldNotGoOnAloneSoThePermitStays) {
    Stuck p;
    p.c.disk_fails(a, true);
    p.c.disk_fails(b, true);
    p.run(120 * s);
    EXPECT_TRUE(p.on(a, "mail-ip"));
    EXPECT_EQ(p.role(a), Role::joined);
    p.c.disk_fails(a, false);
    p.c.disk_fails(b, false);
    EXPECT_TRUE(p.within(60 * s, [&] { return p.web_on(b); }));
}

TEST(Unstoppable, APausedPeerTakesNothingSoThePermitStays) {
    Stuck p;
    ASSERT_EQ(p.order(b, {"", Verb::pause, "beta"}), Outcome::done);
    p.run(60 * s);
    EXPECT_TRUE(p.on(a, "mail-ip"));
    ASSERT_EQ(p.order(b, {"", Verb::resume, "beta"}), Outcome::done);
    EXPECT_TRUE(p.within(60 * s, [&] { return p.web_on(b); }));
}

TEST(Unstoppable, WhatAnOperatorTookOfflineBlocksNobody) {
    Stuck p;
    p.order(a, Verb::offline, "web", {});
    p.run(60 * s);
    EXPECT_TRUE(p.on(a, "mail-ip"));
    EXPECT_EQ(p.role(a), Role::joined);
    p.order(b, Verb::online, "web");
    EXPECT_TRUE(p.within(60 * s, [&] { return p.web_on(b); })) << "wanted again, it is";
}

TEST(Unstoppable, AMoveOfWhatCantBeStoppedEndsOnTheOtherNode) {
    Stuck p(0);
    p.c.conditions.stop_hangs = 1;  // the stop hangs, and then
    p.c.conditions.unkillable = 1;
    p.c.conditions.dies_after = {1000 * s, 1000 * s};
    p.c.command(b, {"m", Verb::move, "web"});
    p.run(10 * s);
    p.c.conditions.stop_hangs = 0;
    EXPECT_TRUE(p.within(90 * s, [&] { return p.web_on(b); }));
    EXPECT_EQ(p.c.memory.commands.at("m").outcome, Outcome::done);
}

}  // namespace
