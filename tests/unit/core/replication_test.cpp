// Replication: what is stored, when it is stored again, and (with two simulated nodes) that the newest of two stores is what the next
// leader builds on.
#include "clusterd/core/replication.hpp"

#include "tests/sim/scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace std::chrono_literals;

Now at_time(Duration since) { return {Instant{} + 100s + since, 1'700'000'000'000 + to_ms(since), 0}; }

// One node that seeks: what it has to store is the highest term it has heard of.
struct Storing {
    Storing() : membership({NodeIndex::b, 11, 5, false}, {}, at_time(0s)), replication(5, nullptr, {}) {}
    // The peer names a term; 0 = only time passes.
    std::vector<effect::Persist> hears(Duration when, Term highest = 0) {
        Effects out;
        if (highest != 0) {
            Heartbeat h;
            h.from = NodeIndex::a;
            h.incarnation = 22;
            h.sent = Instant{} + when;
            h.echo = {11, at_time(0s).mono};
            h.highest = highest;
            membership.on_heartbeat(at_time(when), h, out);
            out.clear();
        }
        replication.advance(at_time(when), membership, false, out);
        std::vector<effect::Persist> asked;
        for (auto const& e : out)
            if (auto const* p = std::get_if<effect::Persist>(&e)) asked.push_back(*p);
        return asked;
    }
    bool stored(Duration when, std::uint64_t ticket, bool ok = true) {
        events.clear();
        return replication.on_persisted(at_time(when), {ticket, ok, ok ? "" : "no space left"}, events);
    }
    Membership membership;
    Replication replication;
    Effects events;
};

TEST(Replication, ATermIsStoredOnceAndCountsOnceItIsStored) {
    Storing s;
    auto const asked = s.hears(1ms, 9);
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].terms.highest, 9U);
    EXPECT_TRUE(s.hears(2ms).empty());
    EXPECT_EQ(s.replication.durable().highest, 0U);
    EXPECT_TRUE(s.stored(10ms, asked[0].ticket));
    EXPECT_EQ(s.replication.durable().highest, 9U);
    EXPECT_EQ(s.replication.last_persist(), 9ms);
    EXPECT_TRUE(s.hears(11ms).empty());
}

TEST(Replication, WhatCouldNotBeStoredIsTriedAgainAtAPaceAndTold) {
    Storing s;
    auto const asked = s.hears(1ms, 9);
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_FALSE(s.stored(10ms, asked[0].ticket, false));
    ASSERT_EQ(s.events.size(), 1U);
    EXPECT_EQ(std::get<effect::RecordEvent>(s.events[0]).severity, Severity::critical);
    EXPECT_THAT(std::get<effect::RecordEvent>(s.events[0]).message, testing::HasSubstr("no space left"));
    EXPECT_EQ(s.replication.durable().highest, 0U);
    EXPECT_EQ(s.replication.next_wakeup(), at_time(510ms).mono);
    EXPECT_TRUE(s.hears(509ms).empty());
    auto const again = s.hears(510ms);
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].terms.highest, 9U);
    EXPECT_TRUE(s.stored(520ms, again[0].ticket));
    EXPECT_EQ(s.replication.durable().highest, 9U);
}

TEST(Replication, AFailureThatALaterOneMakesGoodIsNotTriedAgain) {
    Storing s;
    auto const first = s.hears(1ms, 9);
    auto const second = s.hears(2ms, 11);
    ASSERT_EQ(second.size(), 1U);
    EXPECT_FALSE(s.stored(10ms, first[0].ticket, false));
    EXPECT_TRUE(s.hears(20ms).empty());
    EXPECT_TRUE(s.stored(30ms, second[0].ticket));
    EXPECT_EQ(s.replication.durable().highest, 11U);
    EXPECT_TRUE(s.hears(2s).empty());
}

TEST(Replication, AnAnswerToNothingChangesNothing) {
    Storing s;
    EXPECT_FALSE(s.stored(1ms, 77));
    auto const asked = s.hears(2ms, 9);
    EXPECT_FALSE(s.stored(3ms, asked[0].ticket + 1)) << "never asked";
    EXPECT_EQ(s.replication.durable().highest, 0U);
}

TEST(Replication, WhatIsFoundInTheStoreIsActedOnButNotConfirmed) {
    auto d = std::make_shared<Decision>();
    d->id = {3, 4};
    Replication const r(5, d, {3, 3, 0});
    EXPECT_EQ(r.acting()->id, (DecisionId{3, 4}));
    EXPECT_FALSE(r.confirmed()) << "it may never have been committed";
    EXPECT_FALSE(r.may_decide());
}

// ---- two nodes --------------------------------------------------------------------------------------------------------------------------

using namespace clusterd::sim;

constexpr auto a = NodeIndex::a, b = NodeIndex::b;

struct Pair {
    Pair() : c({sample_config(timing_of("default"), nullptr)}) {
        c.power_on(a);
        c.power_on(b);
        c.run_until(5000 * ms);
    }
    void run(Ns by) { c.run_until(c.now + by); }
    Outcome outcome(std::string const& id) { return c.memory.commands.at(id).outcome; }
    Decision const& decision(NodeIndex n) { return *c.machine(n).node->decision(); }
    Cluster c;
};

TEST(ReplicationOfAPair, BothActOnTheSameDecisionAndListAllThreeStores) {
    Pair p;
    EXPECT_EQ(p.decision(a).id, p.decision(b).id);
    EXPECT_EQ(p.decision(a).stores[0], p.c.machine(a).store);
    EXPECT_EQ(p.decision(a).stores[1], p.c.machine(b).store);
    EXPECT_EQ(p.decision(a).stores[2], p.c.disk.id);
    EXPECT_NE(p.c.machine(a).store, 0U);
}

TEST(ReplicationOfAPair, WhatOneDecidedAloneIsFoundOnTheDiskByTheOther) {
    Pair p;
    p.c.power_cut(b);
    p.run(3000 * ms);
    p.c.command(a, {"1", Verb::pause, "alpha"});
    p.run(1000 * ms);
    ASSERT_EQ(p.outcome("1"), Outcome::done);
    p.c.power_cut(a);
    p.c.power_on(b);
    p.run(10'000 * ms);
    EXPECT_TRUE(p.decision(b).paused[0]);
}

TEST(ReplicationOfAPair, WhatOneDecidedAloneIsLearntByTheOtherWhenItJoins) {
    Pair p;
    p.c.power_cut(a);
    p.run(3000 * ms);
    p.c.command(b, {"1", Verb::pause, "alpha"});
    p.run(1000 * ms);
    p.c.power_on(a);
    p.run(10'000 * ms);
    EXPECT_TRUE(p.decision(a).paused[0]);
    EXPECT_EQ(p.decision(a).id, p.decision(b).id);
    EXPECT_EQ(p.decision(a).id.term, p.c.machine(a).resume.joined_term) << "the first decision of the new term was made";
}

TEST(ReplicationOfAPair, NothingIsDoneWhileTheDecisionCantBeStored) {
    Pair p;
    p.c.conditions.fsync_error = 1;
    p.c.command(a, {"1", Verb::pause, "beta"});
    p.run(2000 * ms);
    EXPECT_EQ(p.outcome("1"), Outcome::running);
    EXPECT_FALSE(p.decision(a).paused[1]);
    p.c.conditions.fsync_error = 0;
    p.run(2000 * ms);
    EXPECT_EQ(p.outcome("1"), Outcome::done);
    EXPECT_TRUE(p.decision(b).paused[1]);
}

TEST(ReplicationOfAPair, ADecisionSurvivesAChannelThatBreaksAtAnyMoment) {
    for (Ns moment = 0; moment <= 20 * ms; moment += ms) {
        Pair p;
        p.c.conditions.break_after = {ms, ms};
        p.c.command(a, {"1", Verb::pause, "beta"});
        p.run(moment);
        for (auto n : {a, b}) p.c.cut(n, true);
        p.run(60 * ms);
        for (auto n : {a, b}) p.c.cut(n, false);
        p.run(5000 * ms);
        EXPECT_NE(p.outcome("1"), Outcome::running) << moment;
        if (p.outcome("1") == Outcome::done) {
            EXPECT_TRUE(p.decision(a).paused[1]) << moment;
            EXPECT_TRUE(p.decision(b).paused[1]) << moment;
        }
        EXPECT_EQ(p.decision(a).id, p.decision(b).id) << moment;
    }
}

TEST(ReplicationOfAPair, AJoinSurvivesAChannelThatBreaksAtAnyMoment) {
    for (Ns moment = 600 * ms; moment <= 1000 * ms; moment += 4 * ms) {
        Pair p;
        p.c.power_cut(b);
        p.run(3000 * ms);
        p.c.conditions.break_after = {ms, ms};
        p.c.power_on(b);
        p.run(moment);
        for (auto n : {a, b}) p.c.cut(n, true);
        p.run(60 * ms);
        for (auto n : {a, b}) p.c.cut(n, false);
        p.run(5000 * ms);
        EXPECT_EQ(p.c.machine(a).resume.role, Role::joined) << moment / ms;
        EXPECT_EQ(p.decision(a).id, p.decision(b).id) << moment / ms;
        EXPECT_EQ(p.decision(a).id.term, p.c.machine(a).resume.joined_term) << moment / ms;
    }
}

TEST(ReplicationOfAPair, ABlankStoreIsListedByTheFirstDecisionAfterTheJoin) {
    Pair p;
    p.c.power_cut(b);
    p.run(3000 * ms);
    auto const old = p.c.machine(b).store;
    p.c.lose_store(b);
    p.c.power_on(b);
    p.run(10'000 * ms);
    EXPECT_NE(p.c.machine(b).store, old);
    EXPECT_EQ(p.decision(a).stores[1], p.c.machine(b).store);
    EXPECT_EQ(p.decision(b).id, p.decision(a).id);
}

}  // namespace
