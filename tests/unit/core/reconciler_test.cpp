// The reconciler on one node: what it starts and stops, in which order, and what it leaves alone.
#include "tests/unit/core/policy_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

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
    bench.reconciler.reconcile(bench.now(), bench.rights, nullptr, {}, out);
    bench.take(out);
    for (auto const& probe : std::vector(bench.pending)) bench.answer(probe);
    out.clear();
    bench.reconciler.reconcile(bench.now(), bench.rights, nullptr, {}, out);
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
    bench.reconciler.forget_states(bench.now(), true, "stopped");
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

}  // namespace
