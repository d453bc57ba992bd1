// The record of a failover: which phases it names, and when it is complete.
#include "tests/unit/core/policy_world.hpp"

#include "clusterd/core/timeline.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;

std::string shown(Phase const& p) { return p.name + " " + std::to_string(p.ms); }

// web moves from alpha to beta.
struct Way {
    Way() {
        decision.id = {3, 7};
        decision.groups["web"].draining_to = b;
        for (auto n : {a, b}) say(n, "disk", n == a ? ResourceState::online : ResourceState::offline), say(n, "ip", n == a ? ResourceState::online : ResourceState::offline);
    }
    void say(NodeIndex n, std::string const& name, ResourceState s) {
        reports[at(n)].under = decision.id;
        reports[at(n)].resources[name] = {s, s == ResourceState::offline};
    }
    void hand_over() {
        decision.groups["web"].owner = b;
        decision.groups["web"].draining_to.reset();
    }
    // Complete?
    bool look(Duration since) {
        now = at_time(since);
        Effects out;
        lines.observe(now, spec, decision, {&reports[0], heard_b ? &reports[1] : nullptr}, out);
        if (out.empty()) return false;
        record = std::get<effect::RecordFailover>(out.at(0)).record;
        return true;
    }
    std::vector<std::string> phases() const {
        std::vector<std::string> all;
        for (auto const& p : record.phases) all.push_back(shown(p));
        return all;
    }
    void begin(std::vector<Phase> known = {}, Duration ago = 0s) { lines.begin(now, "web", a, b, "moved by an operator", now.mono - ago, std::move(known)); }

    Spec spec = spec_of({group("web", {resource("disk"), resource("ip", needs("disk"))})});
    Decision decision;
    std::array<Report, 2> reports;
    bool heard_b = true;
    Now now = at_time(0s);
    Timelines lines;
    FailoverRecord record;
};

TEST(Timelines, AMoveNamesEachPhaseAndHowLongItTook) {
    Way w;
    w.begin();
    EXPECT_FALSE(w.look(100ms));
    w.say(a, "disk", ResourceState::offline), w.say(a, "ip", ResourceState::offline);
    EXPECT_FALSE(w.look(300ms));
    w.hand_over();
    EXPECT_FALSE(w.look(350ms));
    w.say(b, "disk", ResourceState::online_pending);
    EXPECT_FALSE(w.look(400ms));
    w.say(b, "disk", ResourceState::online), w.say(b, "ip", ResourceState::online_pending);
    EXPECT_FALSE(w.look(600ms));
    w.say(b, "ip", ResourceState::online);
    EXPECT_TRUE(w.look(700ms));
    EXPECT_THAT(w.phases(), ElementsAre("offline on alpha 300", "decide 50", "online disk 200", "online ip 100"));
    EXPECT_EQ(w.record.from, "alpha");
    EXPECT_EQ(w.record.to, "beta");
    EXPECT_EQ(w.record.cause, "moved by an operator");
    EXPECT_EQ(w.record.start_wall_ms, start_of_time_ms);
    EXPECT_FALSE(w.look(800ms)) << "told once";
}

TEST(Timelines, ATakeoverBeginsWhereTheTroubleBegan) {
    Way w;
    w.now = at_time(2s);
    w.hand_over();
    w.begin({{"detect", 300}, {"permit wait", 700}}, 1s);
    w.say(b, "disk", ResourceState::online), w.say(b, "ip", ResourceState::online);
    EXPECT_TRUE(w.look(2s));
    EXPECT_EQ(w.record.start_wall_ms, start_of_time_ms + 1000);
    EXPECT_THAT(w.phases(), ElementsAre("detect 300", "permit wait 700", "online disk 0", "online ip 0"));
}

TEST(Timelines, WhatIsHeldOfflineIsNotWaitedFor) {
    Way w;
    w.decision.groups["web"].held_offline = {"ip"};
    w.hand_over();
    w.begin({{"detect", 1}});
    w.say(b, "disk", ResourceState::online);
    EXPECT_TRUE(w.look(1s));
}

TEST(Timelines, AnOfflineGroupIsCompleteWithItsOwner) {
    Way w;
    w.decision.groups["web"].wanted_online = false;
    w.begin();
    w.say(a, "disk", ResourceState::offline), w.say(a, "ip", ResourceState::offline);
    EXPECT_FALSE(w.look(1s));
    w.hand_over();
    EXPECT_TRUE(w.look(1s));
}

TEST(Timelines, AGroupThatFailsOnItsNewNodeIsCompleteAsWell) {
    Way w;
    w.hand_over();
    w.begin({{"detect", 1}});
    w.reports[1].failed_groups["web"] = "disk";
    w.reports[1].under = {3, 6};
    EXPECT_FALSE(w.look(1s)) << "that was before";
    w.reports[1].under = {3, 7};
    EXPECT_TRUE(w.look(1s));
}

TEST(Timelines, IsNotCompleteBeforeTheNewOwnerWasHeard) {
    Way w;
    w.hand_over();
    w.begin({{"detect", 1}});
    w.heard_b = false;
    EXPECT_FALSE(w.look(10s));
}

TEST(Timelines, AMoveThatWasCalledOffIsNotRecordedAsAFailover) {
    Way w;
    w.begin();
    w.decision.groups["web"].draining_to.reset();
    bool const recorded = w.look(1s);
    EXPECT_TRUE(!recorded || w.record.to == "alpha" || testing::Matches(testing::Contains(testing::HasSubstr("called off")))(w.phases()));
    EXPECT_FALSE(w.look(2s)) << "and it is over";
}

TEST(Timelines, NothingIsToldAfterTheLeaderIsNoneAnyMore) {
    Way w;
    w.begin();
    w.lines.clear();
    w.hand_over();
    w.say(b, "disk", ResourceState::online), w.say(b, "ip", ResourceState::online);
    EXPECT_FALSE(w.look(1s));
}

}  // namespace
