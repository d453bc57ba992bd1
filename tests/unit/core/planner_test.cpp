// The planner against design.md: first owners, takeover, moves by draining, the failover ledger and failback.
#include "tests/unit/core/policy_world.hpp"

#include "clusterd/core/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a leader (alpha, joined with beta) knows. Reports are as of the present decision unless a test makes them old.
struct Table {
    explicit Table(Spec s = web_spec()) : spec(std::move(s)) {
        decision.id = {3, 7};
        for (auto n : {a, b}) {
            reports[at(n)].node = n;
            say(n, n == a ? ResourceState::online : ResourceState::offline);
        }
        decision.groups["web"] = {};
    }
    GroupSpec& group() { return spec.groups[0]; }
    GroupDecision& web() { return decision.groups.at("web"); }
    void say(NodeIndex n, ResourceState s) {
        reports[at(n)].under = decision.id;
        for (auto const& g : spec.groups)
            for (auto const& r : g.resources) reports[at(n)].resources[r.name] = {s, s == ResourceState::offline};
    }
    void fails_on(NodeIndex n, std::string const& resource = "server") { reports[at(n)].failed_groups["web"] = resource; }
    void alone(NodeIndex n, bool may_take) {
        joined = false;
        self = n;
        may_take_over = may_take;
        known[at(other(n))] = false;
    }
    Plan look() const {
        PlanView const view{spec, {known[0] ? &reports[0] : nullptr, known[1] ? &reports[1] : nullptr}, self, joined, may_take_over, now};
        return plan(view, decision);
    }
    // The plan becomes the decision, committed; both nodes say what they said, under it.
    GroupDecision& go() {
        Plan p = look();
        if (p.changed) {
            decision = std::move(p.next);
            ++decision.id.index;
            for (auto& r : reports) r.under = decision.id;
        }
        reasons = std::move(p.reasons);
        return web();
    }
    // Plans until nothing changes; each node does at once what it is told.
    GroupDecision& go_on() {
        for (int i = 0; i < 50; ++i) {
            auto const before = decision.id;
            go();
            if (decision.id == before) return web();
            for (auto n : {a, b}) {
                bool const runs = web().owner == n && !web().draining_to && web().wanted_online;
                say(n, runs ? ResourceState::online : ResourceState::offline);
                if (!runs) reports[at(n)].failed_groups.clear();
            }
        }
        ADD_FAILURE() << "the planner never comes to rest";
        return web();
    }

    Spec spec;
    Decision decision;
    std::array<Report, 2> reports;
    std::array<bool, 2> known{true, true};
    NodeIndex self = a;
    bool joined = true, may_take_over = false;
    Now now = at_time(0s);
    std::vector<Reason> reasons;
};

// ---- first owners -----------------------------------------------------------------------------------------------------------------

Table first_start(std::optional<NodeIndex> preferred) {
    Table t;
    t.decision.groups.clear();
    t.group().preferred = preferred;
    return t;
}

TEST(PlannerPlacement, TheFirstOwnerIsThePreferredNode) { EXPECT_EQ(first_start(b).go().owner, b); }

TEST(PlannerPlacement, WithoutAPreferredNodeTheFirstOfTheFile) { EXPECT_EQ(first_start(std::nullopt).go().owner, a); }

TEST(PlannerPlacement, TheFirstPossibleNodeWherePossibleSaysSo) {
    Table t = first_start(std::nullopt);
    t.group().possible = {false, true};
    EXPECT_EQ(t.go().owner, b);
}

TEST(PlannerPlacement, APreferredNodeThatIsDownIsPassedOverAndMayGetItBack) {
    Table t = first_start(b);
    t.alone(a, false);
    EXPECT_EQ(t.go().owner, a);
    EXPECT_TRUE(t.web().away_by_failure);
}

TEST(PlannerPlacement, ANodeThatIsPausedIsPassedOver) {
    Table t = first_start(a);
    t.decision.paused[0] = true;
    EXPECT_EQ(t.go().owner, b);
}

TEST(PlannerPlacement, ANodeThatIsBeingStoppedIsPassedOver) {
    Table t = first_start(a);
    t.reports[0].leaving = true;
    EXPECT_EQ(t.go().owner, b);
}

TEST(PlannerPlacement, AutoIsTheDefaultAndManualStaysOffline) {
    EXPECT_TRUE(first_start(a).go().wanted_online);
    Table t = first_start(a);
    t.group().start = GroupSpec::Start::manual;
    EXPECT_FALSE(t.go().wanted_online);
    t.decision.groups.clear();
    t.group().start = GroupSpec::Start::as_was;
    EXPECT_TRUE(t.go().wanted_online);
}

TEST(PlannerPlacement, IsDoneOnceAndNotAgainAtEveryStart) {
    Table t;
    t.group().preferred = b;
    t.group().start = GroupSpec::Start::manual;
    EXPECT_FALSE(t.look().changed);
    EXPECT_EQ(t.go().owner, a);
    EXPECT_TRUE(t.web().wanted_online);
}

TEST(PlannerPlacement, AGroupThatIsNoLongerConfiguredIsForgotten) {
    Table t;
    t.decision.groups["old"] = {};
    EXPECT_TRUE(t.look().changed);
    t.go();
    EXPECT_FALSE(t.decision.groups.contains("old"));
}

TEST(PlannerPlacement, NothingToDoIsNoDecision) { EXPECT_FALSE(Table().look().changed); }

// ---- node loss --------------------------------------------------------------------------------------------------------------------

TEST(PlannerTakeover, WaitsUntilThePeersPermitsAreOver) {
    Table t;
    t.alone(b, false);
    EXPECT_FALSE(t.look().changed);
    t.may_take_over = true;
    EXPECT_EQ(t.go().owner, b);
    EXPECT_THAT(t.web().cause, HasSubstr("alpha"));
}

TEST(PlannerTakeover, NeverCountsAgainstALimit) {
    Table t;
    t.group().failover_limit = 0;
    t.alone(b, true);
    EXPECT_EQ(t.go().owner, b);
    EXPECT_THAT(t.web().failovers, IsEmpty());
}

TEST(PlannerTakeover, WhatIsNotPossibleHereStaysDown) {
    Table t;
    t.group().possible = {true, false};
    t.alone(b, true);
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerTakeover, APausedNodeOwnsNothingNew) {
    Table t;
    t.decision.paused[1] = true;
    t.alone(b, true);
    EXPECT_EQ(t.go().owner, a);
}

TEST(PlannerTakeover, ANodeThatIsBeingStoppedTakesNothing) {
    Table t;
    t.reports[1].leaving = true;
    t.alone(b, true);
    EXPECT_EQ(t.go().owner, a);
}

TEST(PlannerTakeover, EndsADrainThatWasUnderWay) {
    Table t;
    t.web().draining_to = b;
    t.alone(b, true);
    EXPECT_EQ(t.go().owner, b);
    EXPECT_FALSE(t.web().draining_to);
}

TEST(PlannerTakeover, AnOfflineGroupChangesItsOwnerAndStaysOffline) {
    Table t;
    t.web().wanted_online = false;
    t.alone(b, true);
    EXPECT_EQ(t.go().owner, b);
    EXPECT_FALSE(t.web().wanted_online);
}

TEST(PlannerTakeover, WhatIsHeldOfflineStaysHeld) {
    Table t;
    t.web().held_offline = {"docs"};
    t.alone(b, true);
    EXPECT_THAT(t.go().held_offline, ::testing::ElementsAre("docs"));
}

TEST(PlannerTakeover, LeavesOwnGroupsWhereTheyAre) {
    Table t;
    t.alone(a, true);
    EXPECT_FALSE(t.look().changed);
}

// ---- draining ---------------------------------------------------------------------------------------------------------------------

Table draining() {
    Table t;
    t.web().draining_to = b;
    t.web().cause = "moved by an operator";
    return t;
}

TEST(PlannerDraining, TheNewOwnerComesAfterTheOldOneSaidItIsOffline) {
    Table t = draining();
    EXPECT_FALSE(t.look().changed);
    t.say(a, ResourceState::offline);
    EXPECT_EQ(t.go().owner, b);
    EXPECT_FALSE(t.web().draining_to);
}

TEST(PlannerDraining, WhatIsHomeAgainIsNoLongerDrained) {
    for (auto from : {a, b}) {
        Table t = draining();
        t.web().drained_from = from;
        t.say(a, ResourceState::offline);
        t.go();
        EXPECT_EQ(t.web().drained_from.has_value(), from == a) << "it came to beta";
    }
}

TEST(PlannerDraining, EverythingHasToBeOffline) {
    Table t = draining();
    t.say(a, ResourceState::offline);
    t.reports[0].resources["docs"] = {ResourceState::offline_pending, false};
    EXPECT_FALSE(t.look().changed);
    t.reports[0].resources["docs"] = {ResourceState::failed, false};
    EXPECT_FALSE(t.look().changed);
    t.reports[0].resources["docs"] = {ResourceState::failed, true};
    EXPECT_EQ(t.go().owner, b);
}

TEST(PlannerDraining, AResourceThatIsNotReportedIsNotOffline) {
    Table t = draining();
    t.say(a, ResourceState::offline);
    t.reports[0].resources.erase("docs");
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerDraining, AReportOfAnotherDecisionDoesNotCount) {
    Table t = draining();
    t.say(a, ResourceState::offline);
    for (DecisionId const id : {DecisionId{3, 6}, DecisionId{3, 8}, DecisionId{1, 7}, DecisionId{}}) {
        t.reports[0].under = id;
        EXPECT_FALSE(t.look().changed);
    }
}

TEST(PlannerDraining, WithoutAReportNothingMoves) {
    Table t = draining();
    t.say(a, ResourceState::offline);
    t.known[0] = false;
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerDraining, IsCalledOffWhenTheTargetCantTakeItAnyMore) {
    for (int why = 0; why < 4; ++why) {
        Table t = draining();
        t.say(a, ResourceState::offline);
        if (why == 0) t.decision.paused[1] = true;
        if (why == 1) t.reports[1].leaving = true;
        if (why == 2) t.group().possible = {true, false};
        if (why == 3) t.alone(a, false);
        EXPECT_EQ(t.go().owner, a) << why;
        EXPECT_FALSE(t.web().draining_to) << why;
        EXPECT_THAT(t.web().cause, HasSubstr("beta")) << why;
    }
}

TEST(PlannerDraining, AGroupLeavesANodeThatIsBeingStopped) {
    Table t;
    t.group().preferred = a;
    t.reports[0].leaving = true;
    t.go();
    EXPECT_EQ(t.web().draining_to, b);
    EXPECT_TRUE(t.web().away_by_failure) << "home again when the node is back, if failback allows it";
    EXPECT_THAT(t.web().failovers, IsEmpty());
}

TEST(PlannerDraining, AGroupStaysOnANodeThatIsBeingStoppedWhereNoOneElseCanTakeIt) {
    Table t;
    t.reports[0].leaving = true;
    t.decision.paused[1] = true;
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerDraining, AGroupLeavesANodeWhereItIsNoLongerPossible) {
    Table t;
    t.group().possible = {false, true};
    EXPECT_EQ(t.go().draining_to, b);
}

// ---- failover ----------------------------------------------------------------------------------------------------------------------

TEST(PlannerFailover, AGroupThatFailedHereMovesAndIsCounted) {
    Table t;
    t.fails_on(a);
    t.go();
    EXPECT_EQ(t.web().draining_to, b);
    ASSERT_THAT(t.web().failovers, SizeIs(1));
    EXPECT_EQ(t.web().failovers[0].wall_ms, t.now.wall_ms);
    EXPECT_EQ(t.web().failovers[0].from, a);
    EXPECT_EQ(t.web().failovers[0].resource, "server");
    ASSERT_THAT(t.reasons, SizeIs(1));
    EXPECT_EQ(t.reasons[0].severity, Severity::error);
    EXPECT_THAT(t.reasons[0].text, HasSubstr("server failed on alpha (failover 1 of 2)"));
}

TEST(PlannerFailover, AReportOfAnOlderDecisionMovesNothing) {
    Table t;
    t.fails_on(a);
    t.reports[0].under = {3, 6};
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailover, AFailureOnTheNodeThatDoesNotOwnItMovesNothing) {
    Table t;
    t.fails_on(b);
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailover, AGroupThatIsWantedOfflineDoesNotMove) {
    Table t;
    t.fails_on(a);
    t.web().wanted_online = false;
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailover, WithNowhereToGoItStaysAndIsNotCounted) {
    for (int why = 0; why < 3; ++why) {
        Table t;
        t.fails_on(a);
        if (why == 0) t.decision.paused[1] = true;
        if (why == 1) t.group().possible = {true, false};
        if (why == 2) t.alone(a, true);
        EXPECT_FALSE(t.look().changed) << why;
    }
}

TEST(PlannerFailover, ItGoesAsSoonAsThereIsSomewhereToGo) {
    Table t;
    t.fails_on(a);
    t.decision.paused[1] = true;
    t.go();
    t.decision.paused[1] = false;
    EXPECT_EQ(t.go().draining_to, b);
}

TEST(PlannerFailover, StaysOnceTheLimitIsReached) {
    Table t;
    for (auto from : {a, b}) {
        t.fails_on(from);
        t.go_on();
        EXPECT_EQ(t.web().owner, other(from));
    }
    t.fails_on(a);
    EXPECT_FALSE(t.look().changed) << "failover-limit is 2";
    EXPECT_THAT(t.web().failovers, SizeIs(2));
}

TEST(PlannerFailover, ALimitOfZeroNeverMoves) {
    Table t;
    t.group().failover_limit = 0;
    t.fails_on(a);
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailover, TheWindowSlides) {
    Table t;
    t.group().failover_limit = 1;
    t.group().failover_period = 6h;
    t.fails_on(a);
    t.go_on();
    ASSERT_EQ(t.web().owner, b);
    t.fails_on(b);
    t.now = at_time(6h - 1ms);
    EXPECT_FALSE(t.look().changed);
    t.now = at_time(6h);
    t.go_on();
    EXPECT_EQ(t.web().owner, a);
    EXPECT_THAT(t.web().failovers, SizeIs(1));
}

TEST(PlannerFailover, EachEntryLeavesTheWindowByItself) {
    Table t;
    t.web().failovers = {{start_of_time_ms, a, "x"}, {start_of_time_ms + to_ms(3h), b, "x"}};
    t.now = at_time(6h);
    t.go();
    ASSERT_THAT(t.web().failovers, SizeIs(1));
    EXPECT_EQ(t.web().failovers[0].from, b);
}

// The wall clock was set back after a failover: the entry counts from now, not from a time that may be years away.
TEST(PlannerFailover, AnEntryFromTheFutureCountsFromNow) {
    Table t;
    t.web().failovers = {{start_of_time_ms + to_ms(24h * 365), a, "x"}};
    t.go();
    ASSERT_THAT(t.web().failovers, SizeIs(1));
    t.now = at_time(6h);
    t.go();
    EXPECT_THAT(t.web().failovers, IsEmpty());
}

TEST(PlannerFailover, TwoGroupsAreCountedApart) {
    Spec s = web_spec();
    s.groups.push_back(group("mail", {resource("mail-ip")}));
    Table t(s);
    t.decision.groups["mail"] = {};
    t.fails_on(a);
    t.go();
    EXPECT_EQ(t.web().draining_to, b);
    EXPECT_FALSE(t.decision.groups.at("mail").draining_to);
    EXPECT_THAT(t.decision.groups.at("mail").failovers, IsEmpty());
}

// ---- failback -----------------------------------------------------------------------------------------------------------------------

// web prefers alpha, which was lost: beta has taken it over, and alpha is back.
Table back_again(FailbackSpec failback) {
    Table t;
    t.group().preferred = a;
    t.group().failback = failback;
    t.alone(b, true);
    t.go();
    t.joined = true;
    t.may_take_over = false;
    t.known[0] = true;
    t.say(a, ResourceState::offline);
    t.say(b, ResourceState::online);
    return t;
}

TEST(PlannerFailback, NeverIsTheDefaultAndMovesNothing) { EXPECT_FALSE(back_again({}).look().changed); }

TEST(PlannerFailback, ImmediateBringsAGroupHomeWhenItsNodeIsBack) {
    Table t = back_again({FailbackSpec::Kind::immediate, 0, 0});
    t.go_on();
    EXPECT_EQ(t.web().owner, a);
    EXPECT_THAT(t.web().failovers, IsEmpty());
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailback, WaitsUntilTheNodeHasSaidWhatItRuns) {
    Table t = back_again({FailbackSpec::Kind::immediate, 0, 0});
    t.reports[0].under = {3, 1};
    EXPECT_FALSE(t.look().changed);
    t.known[0] = false;
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailback, NotToANodeThatIsPausedOrBeingStopped) {
    Table t = back_again({FailbackSpec::Kind::immediate, 0, 0});
    t.decision.paused[0] = true;
    EXPECT_FALSE(t.look().changed);
    t.decision.paused[0] = false;
    t.reports[0].leaving = true;
    EXPECT_FALSE(t.look().changed);
}

TEST(PlannerFailback, InItsWindowOnly) {
    Table t = back_again({FailbackSpec::Kind::window, 22 * 60, 4 * 60});
    t.now.local_minute = 12 * 60;
    EXPECT_FALSE(t.look().changed);
    t.now.local_minute = 23 * 60;
    EXPECT_EQ(t.go().draining_to, a);
}

TEST(PlannerFailback, WindowsMaySpanMidnight) {
    FailbackSpec const night{FailbackSpec::Kind::window, 22 * 60, 4 * 60}, noon{FailbackSpec::Kind::window, 11 * 60, 13 * 60};
    for (int minute : {22 * 60, 23 * 60 + 59, 0, 3 * 60 + 59}) EXPECT_TRUE(failback_open(night, minute)) << minute;
    for (int minute : {4 * 60, 12 * 60, 22 * 60 - 1}) EXPECT_FALSE(failback_open(night, minute)) << minute;
    for (int minute : {11 * 60, 13 * 60 - 1}) EXPECT_TRUE(failback_open(noon, minute)) << minute;
    for (int minute : {0, 11 * 60 - 1, 13 * 60, 23 * 60}) EXPECT_FALSE(failback_open(noon, minute)) << minute;
}

TEST(PlannerFailback, AGroupThatAnOperatorMovedStaysWhereItIs) {
    Table t;
    t.group().preferred = a;
    t.group().failback.kind = FailbackSpec::Kind::immediate;
    t.web().owner = b;
    t.say(b, ResourceState::online);
    t.say(a, ResourceState::offline);
    EXPECT_FALSE(t.look().changed);
}

// Else a group whose resource fails on the preferred node goes to and fro until its limit is used up, and stays on the bad one.
TEST(PlannerFailback, NoneToANodeWhereTheGroupFailedWithinTheFailoverPeriod) {
    Table t;
    t.group().preferred = a;
    t.group().failback.kind = FailbackSpec::Kind::immediate;
    t.fails_on(a);
    t.go_on();
    EXPECT_EQ(t.web().owner, b);
    EXPECT_THAT(t.web().failovers, SizeIs(1));
    t.now = at_time(6h);
    t.go_on();
    EXPECT_EQ(t.web().owner, a) << "forgotten by then: home again";
}

}  // namespace
