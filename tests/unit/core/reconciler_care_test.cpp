// The reconciler's other half: checks, orders, what can't be taken offline, and what it does after everything was ended from outside.
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

// server has two checks.
Spec checked_web(int failures, int unknown_failures) {
    Spec s = web_spec();
    HealthSpec h;
    h.type = "http";
    h.failures = failures;
    h.unknown_failures = unknown_failures;
    spec_of(s, "server").health = {h, h};
    return s;
}

Spec never_restarted() {
    Spec s = web_spec();
    for (auto& r : s.groups[0].resources) r.restart.limit = 0;
    return s;
}

int severe(Bench const& bench, Severity severity, std::string const& part) {
    return static_cast<int>(std::count_if(bench.events.begin(), bench.events.end(), [&](auto const& e) {
        return e.severity == severity && e.message.find(part) != std::string::npos;
    }));
}

// ---- checks -----------------------------------------------------------------------------------------------------------------------

TEST(Checks, RunOnlyWhileTheResourceIsOnline) {
    Bench bench(checked_web(2, 0));
    bench.slow = {"server"};
    bench.settle();
    bench.answer(bench.under_way("server"));  // the probe
    bench.settle();
    EXPECT_FALSE(bench.checks.contains("server"));
    bench.answer(bench.under_way("server"));
    EXPECT_TRUE(bench.checks.at("server"));
    bench.web().wanted_online = false;
    bench.decide();
    EXPECT_FALSE(bench.checks.at("server")) << "ended before the stop is over";
}

TEST(Checks, AreNotStartedForAResourceThatHasNone) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    EXPECT_FALSE(bench.checks.contains("ip"));
}

TEST(Checks, OneFailedResultIsNotYetAFailureButIsShown) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    bench.check("server", Health::failed);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    EXPECT_EQ(bench.of("server").health, Health::failed);
    EXPECT_THAT(bench.of("server").message, HasSubstr("says the check"));
}

TEST(Checks, AsManyFailedResultsInARowAsConfiguredMakeTheResourceFail) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    bench.done();
    bench.check("server", Health::failed);
    bench.check("server", Health::failed);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop server", "start server"));
    EXPECT_TRUE(bench.checks.at("server"));
}

TEST(Checks, AnOkInBetweenBeginsTheRowAnew) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    for (auto h : {Health::failed, Health::ok, Health::failed}) bench.check("server", h);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Checks, AnUnknownInBetweenIsNotTakenAsOk) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    for (auto h : {Health::failed, Health::unknown, Health::failed}) bench.check("server", h);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Checks, AFailedInBetweenIsNotAnAnswerToUnknown) {
    Bench bench(checked_web(5, 2));
    bench.settle();
    for (auto h : {Health::unknown, Health::failed, Health::unknown}) bench.check("server", h);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Checks, TwoChecksAreCountedApart) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    bench.check("server", Health::failed, 0);
    bench.check("server", Health::failed, 1);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    bench.check("server", Health::failed, 1);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Checks, DegradedIsShownAndMovesNothing) {
    Bench bench(checked_web(2, 2));
    bench.settle();
    bench.done();
    for (int i = 0; i < 50; ++i) bench.check("server", Health::degraded);
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    EXPECT_EQ(bench.of("server").health, Health::degraded);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Checks, UnknownIsShownAndByDefaultNeverAFailure) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    for (int i = 0; i < 50; ++i) bench.check("server", Health::unknown);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    EXPECT_EQ(bench.of("server").health, Health::unknown);
}

TEST(Checks, UnknownHasACountOfItsOwn) {
    Bench bench(checked_web(2, 3));
    bench.settle();
    for (int i = 0; i < 2; ++i) bench.check("server", Health::unknown);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    bench.check("server", Health::unknown);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
    EXPECT_EQ(severe(bench, Severity::warning, "could not be run 3 times"), 1);
}

TEST(Checks, TheWorstOfSeveralIsShownAndUnknownIsWorseThanOk) {
    Bench bench(checked_web(9, 0));
    bench.settle();
    bench.check("server", Health::ok, 0);
    EXPECT_EQ(bench.of("server").health, Health::ok);
    bench.check("server", Health::unknown, 1);
    EXPECT_EQ(bench.of("server").health, Health::unknown);
    bench.check("server", Health::degraded, 0);
    EXPECT_EQ(bench.of("server").health, Health::degraded);
    bench.check("server", Health::failed, 1);
    EXPECT_EQ(bench.of("server").health, Health::failed);
}

TEST(Checks, AnOkOfOneDoesNotHideWhatAnotherHasToSay) {
    Bench bench(checked_web(9, 0));
    bench.settle();
    bench.check("server", Health::degraded, 0);
    bench.check("server", Health::ok, 1);
    EXPECT_THAT(bench.of("server").message, HasSubstr("says the check"));
}

TEST(Checks, ResultsAfterTheResourceWentOfflineMeanNothing) {
    Bench bench(checked_web(1, 0));
    bench.settle();
    bench.web().wanted_online = false;
    bench.decide();
    bench.check("server", Health::failed);
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    EXPECT_EQ(bench.of("server").health, Health::none);
}

TEST(Checks, BeginToCountAnewAfterARestart) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    bench.check("server", Health::failed);
    bench.breaks("server");
    bench.settle();
    bench.check("server", Health::failed);
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

TEST(Checks, ResultsOfACheckThatDoesNotExistAreDropped) {
    Bench bench(checked_web(1, 0));
    bench.settle();
    for (int which : {-1, 2, 1000}) bench.check("server", Health::failed, which);
    bench.check("nobody", Health::failed);
    EXPECT_TRUE(bench.all_online());
}

// ---- orders -----------------------------------------------------------------------------------------------------------------------

TEST(Orders, AnOrderToFailIsARealFailure) {
    Bench bench(web_spec());
    bench.settle();
    bench.done();
    bench.web().fail_orders["server"] = 1;
    bench.decide();
    EXPECT_THAT(bench.done(), ElementsAre("stop server", "start server"));
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Orders, AreObeyedOnce) {
    Bench bench(web_spec());
    bench.settle();
    bench.web().fail_orders["server"] = 1;
    bench.decide();
    bench.done();
    bench.decide();
    bench.decide();
    EXPECT_THAT(bench.done(), IsEmpty());
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Orders, ThatWereGivenBeforeThisWorkerStartedAreNotObeyed) {
    Bench bench(never_restarted());
    for (auto const* name : {"disk", "data", "ip", "server", "docs"}) bench.truth[name] = ResourceState::online;
    Effects out;
    bench.reconciler.reconcile(bench.now(), {}, nullptr, {}, out);  // everything is found out before any decision is known
    bench.take(out);
    for (auto const& probe : std::vector(bench.pending)) {
        bench.tell(probe.resource, probe.action, ResourceState::online);
    }
    bench.web().fail_orders["server"] = 4;
    bench.settle();
    EXPECT_TRUE(bench.all_online());
    EXPECT_THAT(bench.done(), IsEmpty());
}

TEST(Orders, TwoOrdersThatCameAsOneAreObeyedAsOne) {
    Bench bench(web_spec());
    bench.settle();
    bench.web().fail_orders["server"] = 2;
    bench.decide();
    EXPECT_EQ(bench.of("server").restarts_in_window, 1);
}

TEST(Orders, ThatWereForThePeerAreNotObeyedWhenTheGroupComesHere) {
    Bench bench(never_restarted());
    bench.web().owner = b;
    bench.settle();
    bench.web().fail_orders["server"] = 1;
    bench.decide();
    bench.web().owner = a;
    bench.decide();
    EXPECT_TRUE(bench.all_online());
    EXPECT_TRUE(bench.report().failed_groups.empty());
}

TEST(Orders, WhatIsHeldOfflineStaysOfflineAndTheRestRuns) {
    Bench bench(web_spec());
    bench.web().held_offline = {"server"};
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    for (auto const* name : {"disk", "data", "ip", "docs"}) EXPECT_EQ(bench.state(name), ResourceState::online) << name;
}

TEST(Orders, WhatNeedsAHeldResourceIsNotStarted) {
    Bench bench(web_spec());
    bench.web().held_offline = {"data"};
    bench.settle();
    EXPECT_THAT(bench.done(), UnorderedElementsAre("start disk", "start ip"));
}

TEST(Orders, WhatIsHeldStaysHeldWhenTheGroupComesHere) {
    Bench bench(web_spec());
    bench.web().owner = b;
    bench.web().held_offline = {"docs"};
    bench.settle();
    bench.web().owner = a;
    bench.decide();
    EXPECT_EQ(bench.state("docs"), ResourceState::offline);
    EXPECT_EQ(bench.state("server"), ResourceState::online);
}

// ---- what can't be taken offline --------------------------------------------------------------------------------------------------

TEST(Stopping, WhatDoesNotStopIsKilled) {
    Bench bench(web_spec());
    bench.settle();
    bench.clings = {"docs"};
    bench.web().wanted_online = false;
    bench.done();
    bench.decide();
    auto const log = bench.done();
    EXPECT_EQ(std::count(log.begin(), log.end(), "stop docs"), 1);
    EXPECT_EQ(std::count(log.begin(), log.end(), "kill docs"), 1);
    EXPECT_FALSE(bench.reconciler.anything_running());
    EXPECT_EQ(severe(bench, Severity::error, "could not be taken offline"), 1);
}

TEST(Stopping, NothingBelowAResourceThatIsStillThereIsTakenAway) {
    Bench bench(web_spec());
    bench.settle();
    bench.clings = bench.immortal = {"server"};
    bench.web().wanted_online = false;
    bench.decide();
    bench.pass(5min);
    EXPECT_EQ(bench.state("data"), ResourceState::online);
    EXPECT_EQ(bench.state("ip"), ResourceState::online);
    EXPECT_FALSE(bench.of("server").stopped);
}

TEST(Stopping, KillsAreRepeatedAtAPaceAndNeverGivenUp) {
    Bench bench(web_spec());
    bench.settle();
    bench.clings = bench.immortal = {"docs"};
    bench.web().wanted_online = false;
    bench.decide();
    EXPECT_EQ(bench.times("kill docs"), 1) << "the first at once, the next later";
    auto const next = bench.reconciler.next_wakeup(bench.now());
    EXPECT_GT(next, bench.now().mono);
    EXPECT_LE(next, bench.now().mono + 30s);
    for (int i = 0; i < 3600; ++i) bench.pass(1s);
    EXPECT_GE(bench.times("kill docs"), 100);
    EXPECT_LE(bench.times("kill docs"), 200);
    EXPECT_EQ(bench.state("docs"), ResourceState::failed);
    EXPECT_GE(severe(bench, Severity::critical, "could not be killed"), 1);
    bench.immortal.clear();
    bench.pass(30s);
    EXPECT_FALSE(bench.reconciler.anything_running());
}

TEST(Stopping, AHostThatHangsInAStopIsFollowedByAKill) {
    Bench bench(web_spec());
    bench.settle();
    bench.slow = {"docs"};
    bench.web().wanted_online = false;
    bench.decide();
    bench.tell("docs", bench.under_way("docs").action, ResourceState::unknown, "its host hung");
    bench.reconcile();
    EXPECT_EQ(bench.under_way("docs").kind, ActionKind::kill);
    EXPECT_FALSE(bench.of("docs").stopped);
}

TEST(Stopping, AFailedRestartIsAfterItsKill) {
    Bench bench(web_spec());
    bench.settle();
    bench.clings = {"docs"};
    bench.done();
    bench.breaks("docs");
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop docs", "kill docs", "start docs"));
    EXPECT_EQ(bench.of("docs").restarts_in_window, 1) << "a stop that fails is no further failure";
}

// ---- what isn't known ---------------------------------------------------------------------------------------------------------------

TEST(Unknown, IsProbedAgainOnceASecond) {
    Bench bench(web_spec());
    bench.unknowable = {"disk"};
    bench.settle();
    EXPECT_EQ(bench.probes["disk"], 1);
    EXPECT_EQ(bench.reconciler.next_wakeup(bench.now()), bench.now().mono + 1s);
    bench.pass(1s - 1ns);
    EXPECT_EQ(bench.probes["disk"], 1);
    bench.pass(1ns);
    EXPECT_EQ(bench.probes["disk"], 2);
}

TEST(Unknown, IsNeverTakenAsOnlineNorAsStopped) {
    Bench bench(web_spec());
    bench.unknowable = {"disk"};
    bench.settle();
    EXPECT_EQ(bench.state("data"), ResourceState::offline);
    EXPECT_FALSE(bench.of("disk").stopped);
    EXPECT_TRUE(bench.reconciler.anything_running());
}

// The worker is started again under running resources: until all is found out, nothing is torn down.
TEST(Unknown, DependenciesDoNotStopWhatRuns) {
    Bench bench(web_spec());
    for (auto const* name : {"disk", "data", "ip", "server", "docs"}) bench.truth[name] = ResourceState::online;
    bench.slow = {"disk"};
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    bench.slow.clear();
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    EXPECT_TRUE(bench.all_online());
}

TEST(Unknown, ADependentThatMayBeThereIsWaitedForBeforeAStop) {
    Bench bench(web_spec());
    for (auto const* name : {"disk", "data", "ip", "server", "docs"}) bench.truth[name] = ResourceState::online;
    bench.web().wanted_online = false;
    bench.slow = {"docs"};
    bench.settle();
    EXPECT_EQ(bench.times("stop data"), 0);
    bench.slow.clear();
    bench.settle();
    EXPECT_FALSE(bench.reconciler.anything_running());
}

TEST(Unknown, AHostThatDiedIsNoFailureOfItsResource) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    bench.done();
    bench.tell("server", 0, ResourceState::unknown, "its host died");
    EXPECT_FALSE(bench.checks.at("server"));
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    EXPECT_TRUE(bench.checks.at("server")) << "checked again";
    EXPECT_EQ(bench.of("server").restarts_in_window, 0);
}

TEST(Unknown, EverythingIsFoundOutAgainAfterAnEmergencyStopAndNothingIsCounted) {
    Bench bench(checked_web(2, 0));
    bench.settle();
    for (auto& [name, state] : bench.truth) state = ResourceState::offline;
    bench.reconciler.forget_states(bench.now(), true, "stopped at the permit's end");
    EXPECT_EQ(bench.of("server").message, "stopped at the permit's end");
    EXPECT_TRUE(bench.reconciler.anything_running());
    bench.done();
    bench.settle();
    EXPECT_EQ(bench.done().size(), 5U);
    EXPECT_TRUE(bench.all_online());
    EXPECT_EQ(bench.of("server").restarts_in_window, 0);
    EXPECT_TRUE(bench.checks.at("server"));
}

TEST(Unknown, AFailureThatWasGivenUpIsStillGivenUpAfterAnEmergencyStop) {
    Bench bench(never_restarted());
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.reconciler.forget_states(bench.now(), true, "stopped");
    for (auto& [name, state] : bench.truth) state = ResourceState::offline;
    bench.settle();
    EXPECT_EQ(bench.state("server"), ResourceState::failed);
    EXPECT_EQ(bench.report().failed_groups.count("web"), 1U);
}

TEST(Unknown, WhatIsNoticedDuringAnActionIsLeftToItsAnswer) {
    Bench bench(web_spec());
    bench.slow = {"ip"};
    bench.settle();
    bench.answer(bench.under_way("ip"));  // the probe
    bench.settle();
    ASSERT_EQ(bench.state("ip"), ResourceState::online_pending);
    bench.tell("ip", 0, ResourceState::failed, "not there yet");
    EXPECT_EQ(bench.state("ip"), ResourceState::online_pending);
    bench.answer(bench.under_way("ip"));
    EXPECT_EQ(bench.state("ip"), ResourceState::online);
    EXPECT_EQ(bench.of("ip").restarts_in_window, 0);
}

TEST(Unknown, AResourceThatIsntConfiguredIsNobodys) {
    Bench bench(web_spec());
    bench.tell("stranger", 0, ResourceState::failed);
    Effects out;
    bench.reconciler.fail(bench.now(), "stranger", "x", true, out);
    EXPECT_THAT(out, IsEmpty());
}

// ---- reports ------------------------------------------------------------------------------------------------------------------------

TEST(Reports, RiseInNumberOnlyWhereSomethingChanged) {
    Bench bench(web_spec());
    bench.settle();
    auto const before = bench.report().sequence;
    EXPECT_FALSE(bench.reconciler.refresh_report(bench.now(), bench.decision.id, false, false));
    EXPECT_EQ(bench.reconciler.report().sequence, before);
    EXPECT_TRUE(bench.reconciler.refresh_report(bench.now(), {1, 2}, false, false));
    EXPECT_GT(bench.reconciler.report().sequence, before);
    EXPECT_TRUE(bench.reconciler.refresh_report(bench.now(), {1, 2}, true, false));
}

TEST(Reports, OfALaterWorkerOfTheSameIncarnationAreNewer) {
    Bench first(web_spec());
    for (int i = 0; i < 100; ++i) first.reconciler.refresh_report(first.now(), {1, static_cast<std::uint64_t>(i)}, false, false);
    Bench second(web_spec());
    second.elapsed = 1s;
    EXPECT_GT(second.report().sequence, first.report().sequence);
}

TEST(Reports, AnAddressThatIsToFailForItsNetworkFailsOnlyWhileOnline) {
    Bench bench(web_spec());
    Effects out;
    bench.reconciler.fail(bench.now(), "ip", "network public is down here", false, out);
    EXPECT_THAT(out, IsEmpty());
    bench.settle();
    bench.reconciler.fail(bench.now(), "ip", "network public is down here", false, out);
    bench.reconciler.fail(bench.now(), "ip", "network public is down here", false, out);
    bench.take(out);
    EXPECT_EQ(bench.events.size(), 1U) << "told once";
    EXPECT_EQ(bench.report().failed_groups.at("web"), "ip");
}

TEST(Wakeup, ARetryThatIsDueAlreadyIsNoReasonToSpin) {
    Bench bench(never_restarted());
    bench.settle();
    bench.breaks("server");
    bench.settle();
    bench.elapsed += 2min;  // nothing is reconciled meanwhile: an emergency stop is under way
    EXPECT_GT(bench.reconciler.next_wakeup(bench.now()), bench.now().mono);
}

}  // namespace
