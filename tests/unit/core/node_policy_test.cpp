// Two whole nodes (simulated, with everything prompt) against the operator's view of design.md: commands and their outcomes on either
// node, failover and failback, pause and leave, the network that is down, the emergency stop and what follows.
#include "tests/unit/core/pair.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

Command pausing(char const* node, bool drain) {
    Command c{"", Verb::pause, node};
    c.drain = drain;
    return c;
}
Command resuming(char const* node, bool failback) {
    Command c{"", Verb::resume, node};
    c.failback = failback;
    return c;
}

// ---- commands, on either node -------------------------------------------------------------------------------------------------------------

class OnEitherNode : public testing::TestWithParam<NodeIndex> {};
INSTANTIATE_TEST_SUITE_P(Nodes, OnEitherNode, testing::Values(a, b), [](auto const& i) { return i.param == a ? "Alpha" : "Beta"; });

TEST_P(OnEitherNode, AMoveIsDoneWhenTheGroupRunsThere) {
    Pair p;
    ASSERT_TRUE(p.web_on(a));
    EXPECT_EQ(p.order(GetParam(), Verb::move, "web"), Outcome::done);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_TRUE(p.on(a, "mail-ip")) << "the other group stays";
    EXPECT_TRUE(p.web(GetParam()).failovers.empty());
}

TEST_P(OnEitherNode, AMoveToThePresentOwnerIsDoneAndMovesNothing) {
    Pair p;
    auto const before = p.c.machine(a).node->decision()->id;
    EXPECT_EQ(p.order(GetParam(), Verb::move, "web", "alpha"), Outcome::done);
    EXPECT_EQ(p.c.machine(a).node->decision()->id, before);
}

TEST_P(OnEitherNode, AMoveToAPausedNodeIsRefused) {
    Pair p;
    ASSERT_EQ(p.order(GetParam(), pausing("beta", false)), Outcome::done);
    EXPECT_EQ(p.order(GetParam(), Verb::move, "web"), Outcome::refused);
    EXPECT_TRUE(p.web_on(a));
}

TEST_P(OnEitherNode, OfflineLastsAlsoOverAFailover) {
    Pair p;
    EXPECT_EQ(p.order(GetParam(), Verb::offline, "web-data"), Outcome::done);
    EXPECT_FALSE(p.on(a, "web-server")) << "its dependents, too";
    EXPECT_TRUE(p.on(a, "web-ip"));
    p.c.power_cut(a);
    p.run(10 * s);
    EXPECT_TRUE(p.on(b, "web-ip"));
    EXPECT_FALSE(p.on(b, "web-data"));
    EXPECT_EQ(p.order(b, Verb::online, "web-server"), Outcome::done);
    EXPECT_TRUE(p.web_on(b)) << "with its dependencies";
}

TEST_P(OnEitherNode, AnOfflineGroupThatIsMovedStaysOffline) {
    Pair p;
    EXPECT_EQ(p.order(GetParam(), Verb::offline, "web"), Outcome::done);
    EXPECT_EQ(p.order(GetParam(), Verb::move, "web"), Outcome::done);
    EXPECT_EQ(p.web().owner, b);
    EXPECT_FALSE(p.on(a, "web-ip") || p.on(b, "web-ip"));
}

TEST_P(OnEitherNode, AnUnknownNameIsRefused) { EXPECT_EQ(Pair().order(GetParam(), Verb::online, "nobody"), Outcome::refused); }

TEST_P(OnEitherNode, PauseWithDrainAndResumeWithFailbackGoThereAndBack) {
    Pair p;
    EXPECT_EQ(p.order(GetParam(), pausing("alpha", true)), Outcome::done);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_TRUE(p.nothing_on(a));
    EXPECT_EQ(p.order(GetParam(), resuming("alpha", true)), Outcome::done);
    EXPECT_TRUE(p.web_on(a));
    EXPECT_TRUE(p.on(a, "mail-ip"));
}

TEST_P(OnEitherNode, FailIsARealFailureAndIsRestarted) {
    Pair p;
    EXPECT_EQ(p.order(GetParam(), Verb::fail, "web-server"), Outcome::done);
    EXPECT_TRUE(p.web_on(a));
    EXPECT_EQ(p.web_resources(a)[2].report.restarts_in_window, 1);
    EXPECT_EQ(p.order(GetParam(), Verb::reset, "web-server"), Outcome::done);
    EXPECT_EQ(p.web_resources(a)[2].report.restarts_in_window, 0);
}

TEST(NodePolicy, AMoveToANodeThatIsDownIsRefused) {
    Pair p;
    p.c.power_cut(b);
    p.run(5 * s);
    EXPECT_EQ(p.order(a, Verb::move, "web"), Outcome::refused);
    EXPECT_TRUE(p.web_on(a));
}

TEST(NodePolicy, ANodeWithoutQuorumRefusesCommands) {
    Pair p;
    for (auto n : {a, b}) p.c.cut(n, true), p.c.disk_fails(n, true);
    p.run(5 * s);
    EXPECT_EQ(p.order(a, Verb::offline, "web"), Outcome::refused);
}

// Whatever was said is so: at no moment of a loss of the leader may "done" be untrue, or "refused" be done after all.
TEST(NodePolicy, ALeaderThatIsLostAtAnyMomentLeavesNoUntrueAnswer) {
    for (Ns moment = 0; moment <= 30 * ms; moment += ms) {
        Pair p;
        NodeIndex const lost = p.leader(), stays = other(lost);
        Command c = pausing("alpha", false);
        c.id = "1";
        p.c.command(stays, c);
        p.run(moment);
        p.c.power_cut(lost);
        p.run(10 * s);
        bool const paused = p.c.machine(stays).node->decision()->paused[0];
        switch (p.c.memory.commands.at("1").outcome) {
        case Outcome::done: EXPECT_TRUE(paused) << moment; break;
        case Outcome::refused: EXPECT_FALSE(paused) << moment; break;
        case Outcome::failed: break;  // "may or may not be"
        case Outcome::running: ADD_FAILURE() << "never answered " << moment; break;
        }
    }
}

TEST(NodePolicy, ACommandGivenWhileThePeerRejoinsIsAnsweredTruly) {
    for (Ns moment = 0; moment <= 600 * ms; moment += 10 * ms) {
        Pair p;
        p.c.power_cut(b);
        p.run(5 * s);
        p.c.conditions.fsync = {60 * ms, 60 * ms};
        p.c.power_on(b);
        p.run(moment);
        Outcome const said = p.order(a, pausing("alpha", false), 8 * s);
        bool const paused = p.c.machine(a).node->decision()->paused[0];
        EXPECT_NE(said, Outcome::running) << moment / ms;
        if (said == Outcome::done) { EXPECT_TRUE(paused) << moment / ms; }
        if (said == Outcome::refused) { EXPECT_FALSE(paused) << moment / ms; }
    }
}

// ---- failures ---------------------------------------------------------------------------------------------------------------------------------

TEST(NodePolicy, AfterItsRestartsTheGroupFailsOverAndAtItsLimitItStays) {
    auto made = std::make_shared<Config>(*config());
    for (auto& r : made->spec.groups[0].resources) r.restart.limit = 1;
    made->spec.groups[0].failover_limit = 1;
    made->spec.groups[0].resources[2].retry_after = std::chrono::minutes(5);
    Pair p(made);
    p.dies(a, "web-server");
    EXPECT_TRUE(p.web_on(a)) << "restarted here";
    p.dies(a, "web-server");
    EXPECT_TRUE(p.web_on(b)) << "failed over, all of it";
    EXPECT_EQ(p.web().failovers.size(), 1U);
    EXPECT_TRUE(p.on(a, "mail-ip")) << "and only it";
    p.dies(b, "web-server");
    p.dies(b, "web-server");
    EXPECT_EQ(p.web().owner, b) << "its limit is reached";
    EXPECT_TRUE(p.on(b, "web-ip") && p.on(b, "web-data")) << "everything that can run runs";
    EXPECT_FALSE(p.on(b, "web-server"));
    p.run(300 * s);
    EXPECT_TRUE(p.web_on(b)) << "tried again";
}

TEST(NodePolicy, ImmediateFailbackDoesNotSendAGroupBackToWhereItsResourceFails) {
    auto made = std::make_shared<Config>(*config(FailbackSpec::Kind::immediate));
    for (auto& r : made->spec.groups[0].resources) r.restart.limit = 0;
    Pair p(made);
    p.dies(a, "web-server");
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_EQ(p.web().failovers.size(), 1U);
}

TEST(NodePolicy, NodeLossIsNotCountedAndImmediateFailbackBringsItHome) {
    Pair p(config(FailbackSpec::Kind::immediate));
    p.c.power_cut(a);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_TRUE(p.web(b).failovers.empty());
    p.c.power_on(a);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(a));
    EXPECT_TRUE(p.on(b, "mail-ip")) << "mail prefers nobody";
}

TEST(NodePolicy, WithoutFailbackItStays) {
    Pair p;
    p.c.power_cut(a);
    p.run(5 * s);
    p.c.power_on(a);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(b));
}

TEST(NodePolicy, APausedNodeTakesNothingOverUntilItIsResumed) {
    Pair p;
    ASSERT_EQ(p.order(a, pausing("beta", false)), Outcome::done);
    p.c.power_cut(a);
    p.run(10 * s);
    EXPECT_TRUE(p.nothing_on(b));
    EXPECT_EQ(p.order(b, resuming("beta", false)), Outcome::done);
    EXPECT_TRUE(p.web_on(b));
}

TEST(NodePolicy, ANetworkThatIsDownHereAndWellThereMovesTheGroup) {
    Pair p;
    p.c.network(a, false);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(b));
    ASSERT_EQ(p.web().failovers.size(), 1U);
    EXPECT_EQ(p.web().failovers[0].resource, "web-ip");
}

TEST(NodePolicy, ANetworkThatIsDownOnBothMovesNothing) {
    Pair p;
    p.c.network(b, false);
    p.run(s);
    p.c.network(a, false);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(a));
}

// ---- leaving ------------------------------------------------------------------------------------------------------------------------------------

TEST(NodePolicy, ACleanStopMovesTheGroupsAwayFirst) {
    Pair p;
    p.c.leave(a);
    p.run(5 * s);
    EXPECT_TRUE(p.c.memory.probes["clean leave"] == 1 && p.c.machine(a).node == nullptr);
    EXPECT_TRUE(p.web_on(b) && p.on(b, "mail-ip"));
    EXPECT_TRUE(p.web(b).failovers.empty());
}

TEST(NodePolicy, ACleanStopOfAGroupThatIsOnlyPossibleHereTakesItOffline) {
    auto made = std::make_shared<Config>(*config());
    made->spec.groups[0].possible = {true, false};
    for (auto& r : made->spec.groups[0].resources) r.possible = {true, false};
    Pair p(made);
    p.c.leave(a);
    p.run(5 * s);
    EXPECT_EQ(p.c.machine(a).node, nullptr);
    EXPECT_TRUE(p.on(b, "mail-ip"));
    EXPECT_FALSE(p.on(b, "web-ip"));
}

TEST(NodePolicy, ACleanStopWithAPausedPeerTakesEverythingOffline) {
    Pair p;
    ASSERT_EQ(p.order(a, pausing("beta", false)), Outcome::done);
    p.c.leave(a);
    p.run(5 * s);
    EXPECT_EQ(p.c.machine(a).node, nullptr);
    EXPECT_TRUE(p.nothing_on(a) && p.nothing_on(b));
}

TEST(NodePolicy, ACleanStopOfTheLastNodeTakesEverythingOffline) {
    Pair p;
    p.c.power_cut(b);
    p.run(5 * s);
    p.c.leave(a);
    p.run(5 * s);
    EXPECT_EQ(p.c.machine(a).node, nullptr);
    EXPECT_TRUE(p.nothing_on(a));
}

TEST(NodePolicy, BothLeaveAtTheSameTime) {
    Pair p;
    p.c.leave(a);
    p.c.leave(b);
    p.run(10 * s);
    EXPECT_EQ(p.c.machine(a).node, nullptr);
    EXPECT_EQ(p.c.machine(b).node, nullptr);
}

// ---- the permit's end ------------------------------------------------------------------------------------------------------------------------------

TEST(NodePolicy, AfterAnEmergencyStopEverythingComesBackAndNothingIsCounted) {
    Pair p;
    for (auto n : {a, b}) p.c.cut(n, true), p.c.disk_fails(n, true);
    p.run(5 * s);
    EXPECT_TRUE(p.nothing_on(a) && p.nothing_on(b));
    for (auto n : {a, b}) p.c.cut(n, false), p.c.disk_fails(n, false);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(a) || p.web_on(b));
    EXPECT_TRUE(p.web().failovers.empty());
    for (auto const& r : p.web_resources(p.web().owner))
        EXPECT_EQ(r.report.restarts_in_window, 0) << r.name;
}

TEST(NodePolicy, AWorkerThatGoesOnAsTheSameIncarnationStopsNothing) {
    int went_on = 0;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        Pair p(config(), seed);
        Incarnation const before = p.c.machine(a).incarnation;
        p.c.conditions.nothing_may_stop = true;
        p.c.conditions.only_fault = "its worker was killed";
        p.c.kill_worker(a, 100 * ms);
        try {
            p.run(5 * s);
        } catch (Violation const& v) {
            EXPECT_NE(p.c.machine(a).incarnation, before) << v.what();
        }
        if (p.c.machine(a).incarnation != before) continue;  // the simulator also begins anew now and then
        ++went_on;
        EXPECT_TRUE(p.web_on(a));
    }
    EXPECT_GT(went_on, 0);
}

}  // namespace
