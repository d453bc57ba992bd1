// The reconciler against design.md's "Failure policy": each test is one of its promises, on one node that owns group web.
#include "tests/unit/core/policy_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Spec limited(int limit, Duration period = 15min, Duration delay = 0s) {
    Spec s = web_spec();
    for (auto& r : s.groups[0].resources) r.restart = {limit, period, delay};
    return s;
}

std::ptrdiff_t position(std::vector<std::string> const& log, std::string const& what) {
    return std::find(log.begin(), log.end(), what) - log.begin();
}

// ---- finding out, starting, stopping ---------------------------------------------------------------------------------------------

TEST(Reconciler, FindsOutWhatThereIsBeforeItStartsAnything) {
    Bench bench(web_spec());
    bench.reconcile();
    EXPECT_THAT(bench.log, IsEmpty());
    EXPECT_EQ(bench.pending.size(), 5U);
    EXPECT_TRUE(bench.reconciler.anything_running());
    EXPECT_FALSE(bench.reconciler.anything_online());
}

TEST(Reconciler, StartsWhatIsNeededFirst) {
    Bench bench(web_spec());
    bench.settle();
    auto const log = bench.done();
    EXPECT_EQ(log.size(), 5U);
    EXPECT_LT(position(log, "start disk"), position(log, "start data"));
    EXPECT_LT(position(log, "start data"), position(log, "start server"));
    EXPECT_LT(position(log, "start ip"), position(log, "start server"));
    EXPECT_TRUE(bench.all_online());
    EXPECT_EQ(bench.reconciler.groups_online(), 1U);
}

TEST(Reconciler, StartsWhatNeedsNothingAtTheSameTime) {
    Bench bench(web_spec());
    bench.slow = {"disk", "ip"};
    for (auto const* name : {"disk", "data", "ip", "server", "docs"}) bench.truth[name] = ResourceState::offline;
    bench.reconcile();
    for (auto const& probe : std::vector(bench.pending)) bench.answer(probe);
    bench.settle();
    EXPECT_THAT(bench.done(), UnorderedElementsAre("start disk", "start ip"));
}

TEST(Reconciler, StopsDependentsFirst) {
    Bench bench(web_spec());
    bench.settle();
    bench.done();
    bench.web().wanted_online = false;
    bench.decide();
    auto const log = bench.done();
    EXPECT_EQ(log.size(), 5U);
    EXPECT_LT(position(log, "stop server"), position(log, "stop data"));
    EXPECT_LT(position(log, "stop server"), position(log, "stop ip"));
    EXPECT_LT(position(log, "stop docs"), position(log, "stop data"));
    EXPECT_LT(position(log, "stop data"), position(log, "stop disk"));
    EXPECT_FALSE(bench.reconciler.anything_running());
}

TEST(Reconciler, WaitsForADependentThatStopsSlowly) {
    Bench bench(web_spec());
    bench.settle();
    bench.slow = {"docs"};
    bench.done();
    bench.web().wanted_online = false;
    bench.decide();
    EXPECT_THAT(bench.done(), UnorderedElementsAre("stop docs", "stop server", "stop ip"));
    EXPECT_EQ(bench.state("data"), ResourceState::online);
    bench.slow.clear();
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop data", "stop disk"));
}

TEST(Reconciler, StartsNothingWithoutTheRightToStart) {
    Bench bench(web_spec());
    bench.rights.may_start = false;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
}

TEST(Reconciler, KeepsWhatRunsWhileItMayRunButNotStart) {
    Bench bench(web_spec());
    bench.settle();
    bench.done();
    bench.rights.may_start = false;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    EXPECT_TRUE(bench.all_online());
}

TEST(Reconciler, StopsEverythingOnceItMayNotRun) {
    Bench bench(web_spec());
    bench.settle();
    bench.rights.may_run = bench.rights.may_start = false;
    bench.settle();
    EXPECT_FALSE(bench.reconciler.anything_running());
}

TEST(Reconciler, StartsNothingOfAGroupThatThePeerOwns) {
    Bench bench(web_spec());
    bench.web().owner = b;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
}

TEST(Reconciler, StopsWhatThePeerOwnsEvenIfItWasFoundRunningHere) {
    Bench bench(web_spec());
    bench.web().owner = b;
    bench.truth["ip"] = ResourceState::online;
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop ip"));
}

TEST(Reconciler, TakesAGroupThatIsToMoveOffline) {
    Bench bench(web_spec());
    bench.settle();
    bench.web().draining_to = b;
    bench.decide();
    EXPECT_FALSE(bench.reconciler.anything_running());
    for (auto const& [name, r] : bench.report().resources) EXPECT_TRUE(r.stopped) << name;
}

TEST(Reconciler, PutsAGroupOnlineAgainWhenItsMoveIsCalledOff) {
    Bench bench(web_spec());
    bench.settle();
    bench.web().draining_to = b;
    bench.decide();
    bench.web().draining_to.reset();
    bench.decide();
    EXPECT_TRUE(bench.all_online());
}

TEST(Reconciler, StartsNothingWithoutADecision) {
    Bench bench(web_spec());
    Effects out;
    bench.reconciler.reconcile(bench.now(), bench.rights, nullptr, out);
    bench.take(out);
    for (auto const& probe : std::vector(bench.pending)) bench.answer(probe);
    out.clear();
    bench.reconciler.reconcile(bench.now(), bench.rights, nullptr, out);
    EXPECT_THAT(out, IsEmpty());
}

TEST(Reconciler, StartsOnlyWhatIsPossibleHere) {
    Spec s = web_spec();
    spec_of(s, "data").possible = {false, true};
    Bench bench(s);
    bench.settle();
    EXPECT_THAT(bench.done(), UnorderedElementsAre("start disk", "start ip"));
}

TEST(Reconciler, ACleanStopWithAnAblePeerLeavesOnlineWhatThePeerWillTake) {
    Bench bench(web_spec());
    bench.settle();
    bench.done();
    bench.rights.peer_takes = true;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
}

TEST(Reconciler, ACleanStopTakesOfflineWhatIsNotPossibleOnThePeer) {
    Spec s = web_spec();
    s.groups[0].possible = {true, false};
    Bench bench(s);
    bench.settle();
    bench.rights.peer_takes = true;
    bench.settle();
    EXPECT_FALSE(bench.reconciler.anything_running());
}

TEST(Reconciler, ACleanStopWithoutAnAblePeerTakesEverythingOffline) {
    Bench bench(web_spec());
    bench.settle();
    bench.rights.leaving_now = true;
    bench.settle();
    EXPECT_FALSE(bench.reconciler.anything_running());
}

TEST(Reconciler, ActionsCarryTheResourcesOwnTimeouts) {
    Spec s = web_spec();
    spec_of(s, "disk").online_timeout = 7s;
    spec_of(s, "disk").offline_timeout = 9s;
    Bench bench(s);
    bench.slow = {"disk"};
    bench.settle();
    bench.answer(bench.under_way("disk"));  // the probe
    bench.settle();
    EXPECT_EQ(bench.under_way("disk").kind, ActionKind::start);
    EXPECT_EQ(bench.under_way("disk").timeout, 7s);
    bench.answer(bench.under_way("disk"));
    bench.web().wanted_online = false;
    bench.settle();
    EXPECT_EQ(bench.under_way("disk").kind, ActionKind::stop);
    EXPECT_EQ(bench.under_way("disk").timeout, 9s);
}

TEST(Reconciler, AStartThatIsNoLongerWantedIsStoppedOnceItIsOver) {
    Bench bench(web_spec());
    bench.slow = {"disk"};
    bench.reconcile();
    bench.answer(bench.under_way("disk"));
    bench.settle();
    ASSERT_EQ(bench.under_way("disk").kind, ActionKind::start);
    bench.web().wanted_online = false;
    bench.decide();
    bench.done();
    bench.slow.clear();
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop disk"));
}

TEST(Reconciler, AnAnswerToAnActionThatWasGivenUpMeansNothing) {
    Bench bench(web_spec());
    bench.slow = {"disk"};
    bench.reconcile();
    auto const old = bench.under_way("disk");
    bench.reconciler.forget_states(bench.now(), "stopped");
    bench.tell("disk", old.action, ResourceState::online);
    EXPECT_EQ(bench.state("disk"), ResourceState::unknown);
}

// ---- dependencies with and / or --------------------------------------------------------------------------------------------------

Spec either_spec() {
    return spec_of({group("web", {resource("left"), resource("right"), resource("server", any_of({needs("left"), needs("right")}))})});
}

TEST(Reconciler, OneOfTwoAlternativesIsEnoughToStart) {
    Bench bench(either_spec());
    bench.breaks_at_start = {"left"};
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    EXPECT_EQ(bench.state("left"), ResourceState::failed);
}

TEST(Reconciler, LosingOneOfTwoAlternativesStopsNothing) {
    Bench bench(either_spec());
    bench.settle();
    bench.done();
    bench.breaks("left", "gone", false);
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop left"));
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Reconciler, LosingTheLastAlternativeStopsTheDependentFirst) {
    Bench bench(either_spec());
    bench.settle();
    bench.breaks("left", "gone", false);
    bench.settle();
    bench.done();
    bench.breaks("right", "gone", false);
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop server", "stop right"));
}

TEST(Reconciler, TheLastAlternativeIsTakenOfflineAfterItsDependent) {
    Bench bench(either_spec());
    bench.settle();
    bench.breaks("left", "gone", false);
    bench.settle();
    bench.done();
    bench.web().held_offline = {"right"};
    bench.slow = {"server"};
    bench.decide();
    EXPECT_THAT(bench.done(), ElementsAre("stop server"));
    bench.slow.clear();
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop right"));
}

TEST(Reconciler, EverythingOfAnAllDependencyIsNeeded) {
    Bench bench(web_spec());
    bench.breaks_at_start = {"ip"};
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    EXPECT_EQ(bench.state("docs"), ResourceState::online);
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
