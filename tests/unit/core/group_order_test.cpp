// Groups among groups: `after` and `priority` order their starts on a node, `apart` their places; none of them may keep a group down.
#include "tests/unit/core/policy_world.hpp"

#include "clusterd/core/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two groups of one resource each, the first in the file being the one that waits.
Spec two(std::string const& after = "db") {
    Spec s = spec_of({group("web", {resource("server")}), group("db", {resource("data"), resource("engine", needs("data"))})});
    s.groups[0].after = after;
    return s;
}

// All is found out to be offline, nothing is started yet.
void find_out(Bench& bench) {
    bench.rights.may_start = false;
    bench.settle();
    bench.rights.may_start = true;
}

TEST(After, StartsOnceTheOtherGroupIsOnline) {
    Bench bench(two());
    find_out(bench);
    bench.slow = {"engine"};
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start data", "start engine"));
    EXPECT_THAT(bench.of("server").message, HasSubstr("waits for group db"));
    EXPECT_EQ(bench.state("server"), ResourceState::offline);
    bench.slow.clear();
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start server"));
    EXPECT_EQ(bench.of("server").message, "");
}

TEST(After, WaitsForNothingThatWontCome) {
    {
        Bench ordered_offline(two());
        find_out(ordered_offline);
        ordered_offline.decision.groups["db"].wanted_online = false;
        ordered_offline.settle();
        EXPECT_THAT(ordered_offline.done(), ElementsAre("start server"));
    }
    Bench fails(two());
    for (auto& r : fails.spec.groups[1].resources) r.restart.limit = 0;
    fails.reconciler.configure(fails.spec, fails.now());
    find_out(fails);
    fails.breaks_at_start = {"engine"};
    fails.settle();
    EXPECT_EQ(fails.state("engine"), ResourceState::failed);
    EXPECT_EQ(fails.state("server"), ResourceState::online);
    Bench held(two());
    find_out(held);
    held.decision.groups["db"].held_offline = {"data", "engine"};
    held.settle();
    EXPECT_EQ(held.state("server"), ResourceState::online);
}

TEST(After, WhatHasBegunGoesOn) {
    Bench bench(two());
    bench.settle();
    bench.done();
    bench.decision.groups["db"].wanted_online = false;
    bench.decide();
    EXPECT_EQ(bench.state("server"), ResourceState::online);
    bench.decision.groups["db"].wanted_online = true;
    bench.slow = {"data"};
    bench.decide();
    bench.done();
    bench.breaks("server");
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("stop server", "start server"));  // it is only restarted
}

TEST(After, LooksAtThePeerWhereTheOtherGroupLives) {
    Bench bench(two());
    find_out(bench);
    bench.decision.groups["db"].owner = b;
    bench.rights.joined = true;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());  // the peer has said nothing yet
    Report peer;
    bench.rights.peer = &peer;
    peer.resources["data"].state = ResourceState::online;
    peer.resources["engine"].state = ResourceState::online_pending;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    peer.resources["engine"].state = ResourceState::online;
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start server"));
}

TEST(After, DoesNotWaitForWhatFailedOnThePeerNorForWhatNeedsIt) {
    for (bool const whole : {true, false}) {
        Bench bench(two());
        find_out(bench);
        bench.decision.groups["db"].owner = b;
        bench.rights.joined = true;
        Report peer;
        bench.rights.peer = &peer;
        if (whole) peer.failed_groups["db"] = "data";
        else peer.resources["data"].retry_wall_ms = 1;
        bench.settle();
        EXPECT_THAT(bench.done(), ElementsAre("start server")) << whole;
    }
}

TEST(After, WithoutThePeerItWaitsForTheTakeoverOnlyWhereThereWillBeOne) {
    Bench bench(two());
    find_out(bench);
    bench.decision.groups["db"].owner = b;
    bench.settle();
    EXPECT_THAT(bench.done(), IsEmpty());
    bench.decision.paused[at(a)] = true;
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start server"));
    Spec elsewhere = two();
    elsewhere.groups[1].possible[at(a)] = false;
    Bench other_one(elsewhere);
    find_out(other_one);
    other_one.decision.groups["db"].owner = b;
    other_one.settle();
    EXPECT_THAT(other_one.done(), ElementsAre("start server"));
}

TEST(Priority, TheHigherComesOnlineFirst) {
    Spec s = two("");
    s.groups[1].priority = 10;
    Bench bench(s);
    find_out(bench);
    bench.slow = {"engine"};
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start data", "start engine"));
    EXPECT_THAT(bench.of("server").message, HasSubstr("waits for group db, which has priority"));
    bench.slow.clear();
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start server"));
}

TEST(Priority, OneThatHangsIsWaitedForOnlySoLong) {
    Spec s = two("");
    s.groups[1].priority = 10;
    Bench bench(s);
    find_out(bench);
    bench.slow = {"data"};
    bench.settle();
    bench.done();
    Instant const wakes = bench.reconciler.next_wakeup(bench.now());
    EXPECT_EQ(to_ms(wakes - bench.now().mono), 10'000);
    bench.pass(9s);
    EXPECT_THAT(bench.done(), IsEmpty());
    bench.pass(1s);
    EXPECT_THAT(bench.done(), ElementsAre("start server"));
}

TEST(Priority, DoesNotStandAgainstAfter) {
    Spec s = two();
    s.groups[0].priority = 10;  // web is more important, but comes after db
    Bench bench(s);
    find_out(bench);
    bench.settle();
    EXPECT_THAT(bench.done(), ElementsAre("start data", "start engine", "start server"));
}

// ---- apart -----------------------------------------------------------------------------------------------------------------------

struct Leader {
    explicit Leader(Spec s) : spec(std::move(s)) {
        decision.id = {3, 7};
        for (auto n : {a, b}) reports[at(n)].node = n;
    }
    void stopped_everywhere() {
        for (auto& r : reports) {
            r.under = decision.id;
            for (auto const& g : spec.groups)
                for (auto const& x : g.resources) r.resources[x.name] = {ResourceState::offline, true};
        }
    }
    void go() {
        for (int i = 0; i < 20; ++i) {
            stopped_everywhere();
            PlanView view{spec, {&reports[0], &reports[1]}, self, joined, !joined, at_time(0s)};
            if (!joined) view.reports[at(other(self))] = nullptr;
            Plan p = plan(view, decision);
            if (!p.changed) return;
            decision = std::move(p.next);
            ++decision.id.index;
        }
        ADD_FAILURE() << "the planner never comes to rest";
    }
    NodeIndex owner(std::string const& g) { return decision.groups.at(g).owner; }
    void lose(NodeIndex n) {
        joined = false;
        self = other(n);
        go();
    }
    void back() {
        joined = true;
        go();
    }
    Spec spec;
    Decision decision;
    std::array<Report, 2> reports;
    NodeIndex self = a;
    bool joined = true;
};

Spec apart_spec() {
    Spec s = spec_of({group("front", {resource("one")}), group("rear", {resource("two")})});
    s.groups[1].apart = "front";
    return s;
}

TEST(Apart, GroupsArePlacedOnTwoNodes) {
    Leader l(apart_spec());
    l.go();
    EXPECT_NE(l.owner("front"), l.owner("rear"));
    Spec preferring = apart_spec();
    preferring.groups[1].preferred = a;  // placed second, and yet it gets what it prefers
    Leader m(preferring);
    m.go();
    EXPECT_EQ(m.owner("rear"), a);
    EXPECT_EQ(m.owner("front"), b);
}

TEST(Apart, TheyShareTheLastNodeAndPartWhereFailbackAllowsIt) {
    for (bool const back_at_once : {true, false}) {
        Spec s = apart_spec();
        for (auto& g : s.groups)
            if (back_at_once) g.failback.kind = FailbackSpec::Kind::immediate;
        Leader l(s);
        l.go();
        l.lose(l.owner("front"));
        EXPECT_EQ(l.owner("front"), l.owner("rear"));
        NodeIndex const refuge = l.owner("front");
        l.back();
        EXPECT_EQ(l.owner("rear"), refuge);
        EXPECT_EQ(l.owner("front") != refuge, back_at_once);
    }
}

TEST(Apart, FailbackDoesNotBringThemTogether) {
    Spec s = apart_spec();
    s.groups[1].preferred = a;
    s.groups[1].failback.kind = FailbackSpec::Kind::immediate;
    Leader l(s);
    l.decision.groups["front"].owner = a;
    l.decision.groups["rear"].owner = b;
    l.decision.groups["rear"].away_by_failure = true;
    l.go();
    EXPECT_EQ(l.owner("rear"), b);
}

}  // namespace
