// The ladder of design.md's failure policy, as far as one node climbs it: restart here, give up, retry; and what is counted.
#include "tests/unit/core/policy_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;

Spec limited(int limit, Duration period = 15min, Duration delay = 0s) {
    Spec s = web_spec();
    for (auto& r : s.groups[0].resources) r.restart = {limit, period, delay};
    return s;
}

std::ptrdiff_t position(std::vector<std::string> const& log, std::string const& what) {
    return std::find(log.begin(), log.end(), what) - log.begin();
}

// ---- failures: restart here ------------------------------------------------------------------------------------------------------

TEST(Reconciler, AFailedResourceIsRestartedHere) {
    Bench bench(web_spec());
    bench.settle();
    bench.done();
    bench.breaks("server");
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop server", "start server"));
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
    EXPECT_TRUE(bench.report().failed_groups.empty());
}

TEST(Reconciler, DependentsGoOfflineFirstAndComeBackAfterARestart) {
    Bench bench(web_spec());
    bench.settle();
    bench.done();
    bench.breaks("data");
    bench.settle();
    auto const log = bench.done();
    EXPECT_EQ(log.size(), 6U);
    EXPECT_LT(position(log, "stop server"), position(log, "stop data"));
    EXPECT_LT(position(log, "stop docs"), position(log, "stop data"));
    EXPECT_LT(position(log, "stop data"), position(log, "start data"));
    EXPECT_LT(position(log, "start data"), position(log, "start server"));
    EXPECT_TRUE(bench.all_online());
    EXPECT_EQ(bench.of("server").restarts_in_window, 0) << "only the one that failed is counted";
}

TEST(Reconciler, GoingOfflineByItselfIsAFailure) {
    Bench bench(web_spec());
    bench.settle();
    bench.truth["server"] = ResourceState::offline;
    bench.tell("server", 0, ResourceState::offline);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
    bench.settle();
    EXPECT_TRUE(bench.all_online());
}

TEST(Reconciler, AStartThatFailsCountsAsAFailureAndIsCleanedUp) {
    Bench bench(limited(2));
    bench.breaks_at_start = {"ip"};
    bench.settle();
    EXPECT_EQ(bench.times("start ip"), 3);
    EXPECT_EQ(bench.times("stop ip"), 3);
    EXPECT_EQ(bench.state("ip"), ResourceState::failed);
    EXPECT_TRUE(bench.of("ip").stopped);
}

TEST(Reconciler, RestartsUpToTheLimitAndThenGivesTheGroupUp) {
    Bench bench(limited(3));
    bench.settle();
    for (int i = 0; i < 3; ++i) {
        bench.breaks("server");
        bench.settle();
        EXPECT_EQ(bench.state("server"), ResourceState::online) << "restart " << i;
        EXPECT_TRUE(bench.report().failed_groups.empty()) << "restart " << i;
    }
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::failed);
    EXPECT_EQ(bench.report().failed_groups.at("web"), "server");
}

TEST(Reconciler, ARestartLeavesTheWindowAfterItsPeriod) {
    Bench bench(limited(1, 10min));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.pass(10min - 1ms);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
    bench.pass(1ms);
    EXPECT_EQ(bench.of("server").restarts_in_window, 0);
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Reconciler, TheWindowSlidesAndIsNotResetByTheFirstOneLeaving) {
    Bench bench(limited(2, 10min));
    bench.settle();
    bench.breaks("server");
    bench.pass(6min);
    bench.breaks("server");
    bench.pass(5min);  // the first has left the window, the second hasn't
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    bench.pass(1min);
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::failed) << "two within the last ten minutes";
}

TEST(Reconciler, ALimitOfZeroNeverRestartsHere) {
    Bench bench(limited(0));
    bench.settle();
    bench.done();
    bench.breaks("server");
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop server"));
    EXPECT_EQ(bench.report().failed_groups.count("web"), 1U);
}

TEST(Reconciler, WhereARestartHereCantHelpNoneIsTried) {
    Bench bench(limited(3));
    bench.settle();
    bench.done();
    bench.breaks("ip", "the network is down", false);
    bench.settle();
    EXPECT_EQ(bench.times("start ip"), 0);
    EXPECT_EQ(bench.report().failed_groups.at("web"), "ip");
}

TEST(Reconciler, ARestartWaitsForItsDelay) {
    Bench bench(limited(3, 15min, 5s));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    EXPECT_EQ(bench.reconciler.next_wakeup(bench.now()), bench.now().mono + 5s);
    bench.pass(5s - 1ns);
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    bench.pass(1ns);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Reconciler, OneFailureThatIsToldTwiceIsCountedOnce) {
    Bench bench(web_spec());
    bench.settle();
    bench.slow = {"server"};
    bench.breaks("data");
    bench.reconcile();  // server and docs are being stopped; data waits for them
    bench.tell("data", 0, ResourceState::failed, "and again");
    bench.slow.clear();
    bench.settle();
    EXPECT_EQ(bench.of("data").restarts_in_window, 1);
    EXPECT_TRUE(bench.all_online());
}

TEST(Reconciler, AResourceThatIsOfflineAlreadyDoesntFailByBeingToldSo) {
    Bench bench(limited(3, 15min, 5s));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    ASSERT_EQ(bench.state("server"), ResourceState::offline);  // waits for its restart delay
    bench.tell("server", 0, ResourceState::offline, "its address was removed");
    bench.settle();
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Reconciler, AResourceThatFailsWhileItIsTakenOfflineIsNotCounted) {
    Bench bench(web_spec());
    bench.settle();
    bench.slow = {"server"};
    bench.web().wanted_online = false;
    bench.decide();
    bench.breaks("data");
    bench.slow.clear();
    bench.settle();
    EXPECT_EQ(bench.of("data").restarts_in_window, 0);
    EXPECT_FALSE(bench.reconciler.anything_running());
}

// How often ip is started when each start ends like this.
int starts_until_given_up(Bench& bench, ResourceState end_of_start) {
    bench.slow = {"ip"};
    int starts = 0;
    for (int i = 0; i < 30; ++i) {
        bench.settle();
        auto const action = bench.under_way("ip");
        if (action.action == 0) continue;
        if (action.kind == ActionKind::start) ++starts, bench.tell("ip", action.action, end_of_start, "its host hung");
        else bench.answer(action);
    }
    return starts;
}

// A start that hangs is ended with its host (hosts.hpp): the core is told "unknown" and then finds it offline.
TEST(Reconciler, AStartThatHangsCountsAsAFailure) {
    Bench bench(limited(2));
    EXPECT_EQ(starts_until_given_up(bench, ResourceState::unknown), 3);
    EXPECT_EQ(bench.state("ip"), ResourceState::failed);
    EXPECT_EQ(bench.report().failed_groups.count("web"), 1U);
}

TEST(Reconciler, AStartThatEndsOfflineCountsAsAFailure) {
    Bench bench(limited(2));
    EXPECT_EQ(starts_until_given_up(bench, ResourceState::offline), 3);
    EXPECT_EQ(bench.report().failed_groups.count("web"), 1U);
}

// ---- failures: the group stays, and is retried -------------------------------------------------------------------------------------

TEST(Reconciler, WhatDoesNotNeedTheFailedOneGoesOnRunning) {
    Bench bench(limited(0));
    bench.settle();
    bench.breaks("ip");
    bench.settle();
    EXPECT_EQ(bench.state("ip"), ResourceState::failed);
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    for (auto const* name : {"disk", "data", "docs"}) EXPECT_EQ(bench.state(name), ResourceState::online) << name;
}

TEST(Reconciler, AResourceThatDoesNotAffectTheGroupMakesNoFailover) {
    Spec s = limited(0);
    spec_of(s, "docs").affects_group = false;
    Bench bench(s);
    bench.settle();
    bench.breaks("docs");
    bench.settle();
    EXPECT_EQ(bench.state("docs"), ResourceState::failed);
    EXPECT_TRUE(bench.report().failed_groups.empty());
    EXPECT_NE(bench.of("docs").retry_wall_ms, 0) << "but it is retried";
}

TEST(Reconciler, WhatStaysFailedIsRetriedAndTheTimeIsTold) {
    Spec s = limited(0);
    spec_of(s, "server").retry_after = 1min;
    Bench bench(s);
    bench.settle();
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.of("server").retry_wall_ms, bench.now().wall_ms + 60'000);
    EXPECT_EQ(bench.reconciler.next_wakeup(bench.now()), bench.now().mono + 1min);
    bench.pass(1min - 1ns);
    EXPECT_EQ(bench.state("server"), ResourceState::failed);
    bench.pass(1ns);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    EXPECT_EQ(bench.of("server").retry_wall_ms, 0);
    EXPECT_TRUE(bench.report().failed_groups.empty());
}

TEST(Reconciler, TheRetryGrowsTwofoldUpToAnHour) {
    Spec s = limited(0);
    spec_of(s, "server").retry_after = 10min;
    Bench bench(s);
    bench.breaks_at_start = {"server"};
    bench.settle();
    for (auto wait : {10min, 20min, 40min, 60min, 60min}) {
        EXPECT_EQ(bench.of("server").retry_wall_ms - bench.now().wall_ms, to_ms(wait));
        bench.done();
        bench.pass(wait);
        EXPECT_EQ(bench.times("start server"), 1);
    }
}

TEST(Reconciler, AResourceThatRanWellForItsPeriodBeginsAnewWithTheFirstRetry) {
    Spec s = limited(0, 15min);
    spec_of(s, "server").retry_after = 1min;
    Bench bench(s);
    bench.settle();
    bench.breaks("server");
    bench.pass(1min);
    ASSERT_EQ(bench.state("server"), ResourceState::online);
    bench.pass(24h);
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.of("server").retry_wall_ms - bench.now().wall_ms, to_ms(1min));
}

TEST(Reconciler, ResetForgetsFailuresAndTriesAtOnce) {
    Bench bench(limited(0));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.web().reset_orders["server"] = 1;
    bench.decide();
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    EXPECT_TRUE(bench.report().failed_groups.empty());
    EXPECT_EQ(bench.of("server").retry_wall_ms, 0);
}

TEST(Reconciler, ResetGivesTheFullNumberOfRestartsBack) {
    Bench bench(limited(1));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.web().reset_orders["server"] = 1;
    bench.decide();
    EXPECT_EQ(bench.of("server").restarts_in_window, 0);
    bench.breaks("server");
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Reconciler, AGroupThatComesBackFromThePeerIsTriedAfresh) {
    Bench bench(limited(0));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.web().owner = b;
    bench.decide();
    EXPECT_TRUE(bench.report().failed_groups.empty());
    bench.web().owner = a;
    bench.decide();
    EXPECT_TRUE(bench.all_online());
}

TEST(Reconciler, WhileAGroupIsDrainedAwayItsFailureIsNotForgotten) {
    Bench bench(limited(0));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.web().draining_to = b;
    bench.decide();
    EXPECT_EQ(bench.report().failed_groups.count("web"), 1U);
    EXPECT_TRUE(bench.of("server").stopped);
}

// What an operator took offline isn't failed any more: it must not make the group fail over when the peer comes back.
TEST(Reconciler, AFailedResourceThatIsOrderedOfflineIsOffline) {
    Bench bench(limited(0));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.web().held_offline = {"server"};
    bench.decide();
    EXPECT_TRUE(bench.report().failed_groups.empty());
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
}

TEST(Reconciler, AFailedGroupThatIsOrderedOfflineIsOffline) {
    Bench bench(limited(0));
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.web().wanted_online = false;
    bench.decide();
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    EXPECT_TRUE(bench.report().failed_groups.empty());
}

}  // namespace
