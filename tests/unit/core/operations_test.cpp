// Operators' commands: what each does to the decision and what is refused (apply_command), and when a command that waits is told
// done, failed or refused (Operations).
#include "tests/unit/core/policy_world.hpp"

#include "clusterd/core/operations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Alpha leads, joined with beta, and owns web.
struct Office {
    Office() {
        decision.id = {3, 7};
        decision.groups["web"] = {};
        for (auto n : {a, b}) say(n, n == a ? ResourceState::online : ResourceState::offline);
    }
    GroupDecision& web() { return decision.groups.at("web"); }
    void say(NodeIndex n, ResourceState s) {
        reports[at(n)].node = n;
        reports[at(n)].under = decision.id;
        for (auto const& r : spec.groups[0].resources) say(n, r.name, s);
    }
    void say(NodeIndex n, std::string const& name, ResourceState s, std::string message = {}, std::int64_t retry = 0) {
        ResourceReport& e = reports[at(n)].resources[name];
        e = {};
        e.state = s;
        e.stopped = s == ResourceState::offline;
        e.message = std::move(message);
        e.retry_wall_ms = retry;
    }
    std::array<Report const*, 2> known() const { return {heard[0] ? &reports[0] : nullptr, heard[1] ? &reports[1] : nullptr}; }
    CommandVerdict order(Command c) {
        PlanView const view{spec, known(), a, joined, false, now};
        return apply_command(view, c, decision);
    }
    CommandVerdict order(Verb verb, std::string target, std::string to = {}) { return order({"1", verb, std::move(target), std::move(to)}); }

    Spec spec = web_spec();
    Decision decision;
    std::array<Report, 2> reports;
    std::array<bool, 2> heard{true, true};
    bool joined = true;
    Now now = at_time(0s);
};

Command pausing(std::string node, bool drain) {
    Command c{"1", Verb::pause, std::move(node)};
    c.drain = drain;
    return c;
}
Command resuming(std::string node, bool failback) {
    Command c{"1", Verb::resume, std::move(node)};
    c.failback = failback;
    return c;
}

#define EXPECT_REFUSED(verdict, why)              \
    do {                                          \
        auto const v_ = (verdict);                \
        EXPECT_FALSE(v_.accepted);                \
        EXPECT_THAT(v_.message, HasSubstr(why));  \
    } while (false)
#define EXPECT_NOTHING_DONE(verdict)              \
    do {                                          \
        auto const v_ = (verdict);                \
        EXPECT_TRUE(v_.accepted);                 \
        EXPECT_FALSE(v_.changed);                 \
        EXPECT_FALSE(v_.message.empty());         \
    } while (false)
#define EXPECT_DECIDED(verdict)                   \
    do {                                          \
        auto const v_ = (verdict);                \
        EXPECT_TRUE(v_.accepted) << v_.message;   \
        EXPECT_TRUE(v_.changed);                  \
        EXPECT_EQ(v_.message, "");                \
    } while (false)

// ---- names ------------------------------------------------------------------------------------------------------------------------

TEST(PlannerCommands, UnknownNamesAreRefused) {
    Office o;
    for (auto verb : {Verb::online, Verb::offline, Verb::move, Verb::fail, Verb::reset}) {
        EXPECT_REFUSED(o.order(verb, "nobody"), "'nobody'");
        EXPECT_REFUSED(o.order(verb, "alpha"), "'alpha'");
    }
    EXPECT_REFUSED(o.order(Verb::pause, "web"), "alpha and beta");
    EXPECT_REFUSED(o.order(Verb::resume, "gamma"), "alpha and beta");
    EXPECT_REFUSED(o.order(Verb::move, "web", "gamma"), "alpha and beta");
}

TEST(PlannerCommands, AGroupThatHasNoOwnerYetIsRefused) {
    Office o;
    o.decision.groups.clear();
    EXPECT_REFUSED(o.order(Verb::online, "web"), "no owner yet");
}

// ---- online, offline ----------------------------------------------------------------------------------------------------------------

TEST(PlannerCommands, OfflineGroupLastsAndASecondOneChangesNothing) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::offline, "web"));
    EXPECT_FALSE(o.web().wanted_online);
    auto const again = o.order(Verb::offline, "web");
    EXPECT_TRUE(again.accepted);
    EXPECT_FALSE(again.changed);
    EXPECT_EQ(again.message, "") << "not done at once: the first may still be on its way";
}

TEST(PlannerCommands, OfflineResourceTakesItsDependentsToo) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::offline, "data"));
    EXPECT_THAT(o.web().held_offline, UnorderedElementsAre("data", "server", "docs"));
    EXPECT_TRUE(o.web().wanted_online);
}

TEST(PlannerCommands, OnlineResourceBringsItsDependenciesToo) {
    Office o;
    o.web().held_offline = {"disk", "data", "server", "docs"};
    EXPECT_DECIDED(o.order(Verb::online, "server"));
    EXPECT_THAT(o.web().held_offline, ElementsAre("docs"));
}

TEST(PlannerCommands, OnlineResourceOfAnOfflineGroupBringsNothingElse) {
    Office o;
    o.web().wanted_online = false;
    EXPECT_DECIDED(o.order(Verb::online, "data"));
    EXPECT_TRUE(o.web().wanted_online);
    EXPECT_THAT(o.web().held_offline, UnorderedElementsAre("ip", "server", "docs"));
}

TEST(PlannerCommands, OnlineGroupBringsEverything) {
    Office o;
    o.web().wanted_online = false;
    o.web().held_offline = {"docs"};
    EXPECT_DECIDED(o.order(Verb::online, "web"));
    EXPECT_TRUE(o.web().wanted_online);
    EXPECT_THAT(o.web().held_offline, IsEmpty());
}

TEST(PlannerCommands, OnlineForgetsFailuresSoThatItIsTriedAtOnce) {
    Office o;
    o.order(Verb::online, "web");
    for (auto const& r : o.spec.groups[0].resources) EXPECT_EQ(o.web().reset_orders[r.name], 1U) << r.name;
}

TEST(PlannerCommands, OnlineResourceForgetsFailuresOfItsDependenciesToo) {
    Office o;
    o.order(Verb::online, "server");
    for (auto const* name : {"disk", "data", "ip", "server"}) EXPECT_EQ(o.web().reset_orders[name], 1U) << name;
    EXPECT_EQ(o.web().reset_orders["docs"], 0U);
}

// ---- move ---------------------------------------------------------------------------------------------------------------------------

TEST(PlannerCommands, MoveWithoutToIsTheOtherNode) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::move, "web"));
    EXPECT_EQ(o.web().draining_to, b);
    EXPECT_EQ(o.web().owner, a) << "until it is offline there";
    EXPECT_THAT(o.web().failovers, IsEmpty()) << "never counts against a limit";
}

TEST(PlannerCommands, MoveToThePresentOwnerDoesNothing) {
    Office o;
    EXPECT_NOTHING_DONE(o.order(Verb::move, "web", "alpha"));
}

TEST(PlannerCommands, MoveToANodeThatIsDownIsRefused) {
    Office o;
    o.joined = false;
    EXPECT_REFUSED(o.order(Verb::move, "web"), "beta is down");
}

TEST(PlannerCommands, MoveToAPausedNodeIsRefused) {
    Office o;
    o.decision.paused[1] = true;
    EXPECT_REFUSED(o.order(Verb::move, "web", "beta"), "clusterctl resume beta");
}

TEST(PlannerCommands, MoveToWhereItIsNotPossibleIsRefused) {
    Office o;
    o.spec.groups[0].possible = {true, false};
    EXPECT_REFUSED(o.order(Verb::move, "web"), "not possible on beta");
}

TEST(PlannerCommands, MoveToANodeThatIsBeingStoppedIsRefused) {
    Office o;
    o.reports[1].leaving = true;
    EXPECT_REFUSED(o.order(Verb::move, "web"), "being stopped");
}

TEST(PlannerCommands, MoveOfAResourceIsRefusedAndSaysWhatToMove) { EXPECT_REFUSED(Office().order(Verb::move, "ip"), "clusterctl move web"); }

TEST(PlannerCommands, MoveOfAnOfflineGroupKeepsItOffline) {
    Office o;
    o.web().wanted_online = false;
    EXPECT_DECIDED(o.order(Verb::move, "web"));
    EXPECT_FALSE(o.web().wanted_online);
}

TEST(PlannerCommands, AMovedGroupIsNotBroughtHomeByItself) {
    Office o;
    o.web().away_by_failure = true;
    o.web().drained_from = b;
    EXPECT_DECIDED(o.order(Verb::move, "web"));
    EXPECT_FALSE(o.web().away_by_failure);
    EXPECT_FALSE(o.web().drained_from);
}

TEST(PlannerCommands, MoveBackOfAGroupOnItsWayIsRefused) {
    Office o;
    o.web().draining_to = b;
    EXPECT_REFUSED(o.order(Verb::move, "web", "alpha"), "on its way to beta");
}

// ---- fail, reset ----------------------------------------------------------------------------------------------------------------------

TEST(PlannerCommands, FailIsAnOrderToTheOwner) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::fail, "ip"));
    EXPECT_EQ(o.web().fail_orders["ip"], 1U);
    EXPECT_DECIDED(o.order(Verb::fail, "ip"));
    EXPECT_EQ(o.web().fail_orders["ip"], 2U);
}

TEST(PlannerCommands, FailOfWhatIsNotOnlineIsRefused) {
    Office o;
    for (auto s : {ResourceState::offline, ResourceState::failed, ResourceState::online_pending, ResourceState::unknown}) {
        o.say(a, "ip", s);
        EXPECT_REFUSED(o.order(Verb::fail, "ip"), "not online");
    }
    o.heard[0] = false;
    EXPECT_REFUSED(o.order(Verb::fail, "ip"), "not online");
}

TEST(PlannerCommands, FailOfAGroupIsRefused) { EXPECT_REFUSED(Office().order(Verb::fail, "web"), "name one of its resources"); }

TEST(PlannerCommands, ResetForgetsTheFailoversToo) {
    Office o;
    o.web().failovers = {{start_of_time_ms, a, "ip"}};
    EXPECT_DECIDED(o.order(Verb::reset, "ip"));
    EXPECT_EQ(o.web().reset_orders["ip"], 1U);
    EXPECT_EQ(o.web().reset_orders["server"], 0U);
    EXPECT_THAT(o.web().failovers, IsEmpty());
}

// ---- pause, resume --------------------------------------------------------------------------------------------------------------------

TEST(PlannerCommands, PauseMovesNothingAndASecondOneDoesNothing) {
    Office o;
    EXPECT_DECIDED(o.order(pausing("alpha", false)));
    EXPECT_TRUE(o.decision.paused[0]);
    EXPECT_FALSE(o.web().draining_to);
    EXPECT_NOTHING_DONE(o.order(pausing("alpha", false)));
}

TEST(PlannerCommands, PauseWithDrainMovesEverythingAway) {
    Office o;
    EXPECT_DECIDED(o.order(pausing("alpha", true)));
    EXPECT_EQ(o.web().draining_to, b);
    EXPECT_EQ(o.web().drained_from, a);
}

TEST(PlannerCommands, PauseWithDrainOfAPausedNodeStillDrains) {
    Office o;
    o.decision.paused[0] = true;
    EXPECT_DECIDED(o.order(pausing("alpha", true)));
    EXPECT_EQ(o.web().draining_to, b);
}

TEST(PlannerCommands, PauseWithDrainLeavesWhatIsNotPossibleOnThePeer) {
    Office o;
    o.spec.groups[0].possible = {true, false};
    EXPECT_DECIDED(o.order(pausing("alpha", true)));
    EXPECT_FALSE(o.web().draining_to);
}

TEST(PlannerCommands, PauseWithDrainIsRefusedWhereThePeerCantTakeThem) {
    Office o;
    o.joined = false;
    EXPECT_REFUSED(o.order(pausing("alpha", true)), "down");
    EXPECT_FALSE(o.decision.paused[0]) << "nothing was done";
    o.joined = true;
    o.decision.paused[1] = true;
    EXPECT_REFUSED(o.order(pausing("alpha", true)), "paused");
}

TEST(PlannerCommands, PauseWithDrainIsRefusedWhileThePeerIsBeingStopped) {
    Office o;
    o.reports[1].leaving = true;
    EXPECT_REFUSED(o.order(pausing("alpha", true)), "stopped");
}

TEST(PlannerCommands, ResumeMovesNothingByItself) {
    Office o;
    o.decision.paused[0] = true;
    o.web().owner = b;
    o.web().drained_from = a;
    EXPECT_DECIDED(o.order(resuming("alpha", false)));
    EXPECT_FALSE(o.decision.paused[0]);
    EXPECT_FALSE(o.web().draining_to);
    EXPECT_NOTHING_DONE(o.order(resuming("alpha", false)));
}

TEST(PlannerCommands, ResumeWithFailbackBringsHomeWhatWasDrained) {
    Office o;
    o.spec.groups.push_back(group("mail", {resource("mail-ip")}));
    o.decision.groups["mail"].owner = b;  // was there before
    o.decision.paused[0] = true;
    o.web().owner = b;
    o.web().drained_from = a;
    EXPECT_DECIDED(o.order(resuming("alpha", true)));
    EXPECT_EQ(o.web().draining_to, a);
    EXPECT_FALSE(o.decision.groups["mail"].draining_to);
}

TEST(PlannerCommands, ResumeWithFailbackOfANodeThatIsDownIsRefused) {
    Office o;
    o.joined = false;
    o.decision.paused[1] = true;
    EXPECT_REFUSED(o.order(resuming("beta", true)), "down");
}

// ---- waiting for the outcome ------------------------------------------------------------------------------------------------------------

struct Waiting : Office {
    // The command was decided: `decision` holds it.
    void accepted(Command c) {
        c.id = "1";
        operations.given(c, now);
        operations.sent("1");
        Effects out;
        operations.answered({"1", true, decision.id, {}}, out);
        EXPECT_THAT(out, IsEmpty());
    }
    // What the one who gave it is told now; the last word decides.
    effect::CommandUpdate look() {
        Effects out;
        operations.observe({spec, &decision, known(), now}, out);
        effect::CommandUpdate last{"1", Outcome::running, {}};
        progress.clear();
        for (auto const& e : out) {
            last = std::get<effect::CommandUpdate>(e);
            if (last.outcome == Outcome::running) progress.push_back(last.message);
        }
        return last;
    }
    Outcome outcome() { return look().outcome; }
    Operations operations;
    std::vector<std::string> progress;
};

TEST(Operations, NothingToDoIsDoneAtOnce) {
    Waiting w;
    w.operations.given({"1", Verb::move, "web", "alpha"}, w.now);
    w.operations.sent("1");
    Effects out;
    w.operations.answered({"1", true, {}, "group web is on alpha already"}, out);
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(std::get<effect::CommandUpdate>(out[0]).outcome, Outcome::done);
    EXPECT_FALSE(w.operations.any());
}

TEST(Operations, ARefusalIsToldWithItsReason) {
    Waiting w;
    w.operations.given({"1", Verb::move, "web", "beta"}, w.now);
    w.operations.sent("1");
    Effects out;
    w.operations.answered({"1", false, {}, "beta is down"}, out);
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(std::get<effect::CommandUpdate>(out[0]).outcome, Outcome::refused);
    EXPECT_EQ(std::get<effect::CommandUpdate>(out[0]).message, "beta is down");
    EXPECT_FALSE(w.operations.any());
}

TEST(Operations, IsSentToTheLeaderOnce) {
    Waiting w;
    w.operations.given({"1", Verb::move, "web", "beta"}, w.now);
    EXPECT_EQ(w.operations.unsent().size(), 1U);
    w.operations.sent("1");
    EXPECT_THAT(w.operations.unsent(), IsEmpty());
}

TEST(Operations, ALeaderThatWasLostBeforeItAnsweredIsAFailureNotARefusal) {
    Waiting w;
    w.operations.given({"asked", Verb::move, "web", "beta"}, w.now);
    w.operations.sent("asked");
    w.operations.given({"new", Verb::move, "web", "beta"}, w.now);
    Effects out;
    w.operations.leader_lost(out);
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(std::get<effect::CommandUpdate>(out[0]).id, "asked");
    EXPECT_EQ(std::get<effect::CommandUpdate>(out[0]).outcome, Outcome::failed);
    EXPECT_EQ(w.operations.unsent().size(), 1U) << "what nobody was asked yet is still to be asked";
}

TEST(Operations, WhatIsDecidedOutlivesItsLeader) {
    Waiting w;
    w.accepted({"1", Verb::move, "web", "beta"});
    Effects out;
    w.operations.leader_lost(out);
    EXPECT_THAT(out, IsEmpty());
    EXPECT_TRUE(w.operations.any());
}

TEST(Operations, IsJudgedOnlyOnceItsDecisionIsActedOnHere) {
    Waiting w;
    w.say(a, ResourceState::offline);
    w.web().wanted_online = false;
    w.operations.given({"1", Verb::offline, "web"}, w.now);
    w.operations.sent("1");
    Effects out;
    w.operations.answered({"1", true, {3, 8}, {}}, out);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.decision.id = {3, 8};
    w.say(a, ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, OnlineIsDoneWhenAllOfItIsOnline) {
    Waiting w;
    w.say(a, ResourceState::online_pending);
    w.accepted({"1", Verb::online, "web"});
    EXPECT_EQ(w.outcome(), Outcome::running);
    for (auto const& r : w.spec.groups[0].resources) w.say(a, r.name, ResourceState::online);
    auto const last = w.look();
    EXPECT_EQ(last.outcome, Outcome::done);
    EXPECT_THAT(last.message, HasSubstr("online on alpha"));
}

TEST(Operations, OnlineDoesNotWaitForWhatIsHeldOffline) {
    Waiting w;
    w.web().held_offline = {"docs"};
    w.say(a, "docs", ResourceState::offline);
    w.accepted({"1", Verb::online, "web"});
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, OnlineOfAResourceWaitsForThatOneOnly) {
    Waiting w;
    w.say(a, "docs", ResourceState::offline);
    w.accepted({"1", Verb::online, "ip"});
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, OnlineFailsWhenItStaysFailedAndSaysWhy) {
    Waiting w;
    w.spec.groups[0].possible = {true, false};
    w.spec.groups[0].failover_limit = 0;
    w.say(a, "server", ResourceState::failed, "exited with 1", start_of_time_ms + 60'000);
    w.accepted({"1", Verb::online, "web"});
    auto const last = w.look();
    EXPECT_EQ(last.outcome, Outcome::failed);
    EXPECT_THAT(last.message, HasSubstr("server: exited with 1"));
}

TEST(Operations, OnlineWaitsForTheFailoverThatFollowsAFailure) {
    Waiting w;
    w.say(a, "server", ResourceState::failed, "exited with 1", start_of_time_ms + 60'000);
    w.reports[0].failed_groups["web"] = "server";
    w.accepted({"1", Verb::online, "web"});
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.web().owner = b;
    w.say(b, ResourceState::online);
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, OfflineThatWasReversedMeanwhileFails) {
    Waiting w;
    w.order(Verb::offline, "web");
    w.accepted({"1", Verb::offline, "web"});
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.order(Verb::online, "web");
    EXPECT_EQ(w.outcome(), Outcome::failed);
}

TEST(Operations, AnOrderThatWasGivenBeforeIsStillWaitedFor) {
    Waiting w;
    w.web().wanted_online = false;
    w.operations.given({"1", Verb::offline, "web"}, w.now);
    w.operations.sent("1");
    Effects out;
    w.operations.answered({"1", true, w.decision.id, {}}, out);
    EXPECT_THAT(out, IsEmpty());
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.say(a, ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, AFailureThatIsOlderThanTheOrderIsNotItsOutcome) {
    Waiting w;
    w.say(a, "server", ResourceState::failed, "exited with 1", start_of_time_ms + 60'000);
    w.decision.id = {3, 8};  // the reports are still of 3.7
    w.accepted({"1", Verb::online, "web"});
    EXPECT_EQ(w.outcome(), Outcome::running);
}

TEST(Operations, AFailedDependencyFailsItsDependentsOrder) {
    Waiting w;
    w.spec.groups[0].possible = {true, false};
    w.spec.groups[0].failover_limit = 0;
    w.say(a, "disk", ResourceState::failed, "no such device", start_of_time_ms + 60'000);
    w.say(a, "server", ResourceState::offline);
    w.accepted({"1", Verb::online, "server"});
    auto const last = w.look();
    EXPECT_EQ(last.outcome, Outcome::failed);
    EXPECT_THAT(last.message, HasSubstr("disk"));
}

TEST(Operations, OnlineThatWasReversedMeanwhileFails) {
    Waiting w;
    w.say(a, ResourceState::offline);
    w.accepted({"1", Verb::online, "web"});
    w.web().wanted_online = false;
    w.decision.id = {3, 8};
    w.say(a, ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::failed);
}

TEST(Operations, OfflineIsDoneWhenAllOfItHasStopped) {
    Waiting w;
    w.web().wanted_online = false;
    w.accepted({"1", Verb::offline, "web"});
    w.say(a, ResourceState::offline);
    w.say(a, "docs", ResourceState::offline_pending);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.say(a, "docs", ResourceState::failed);
    EXPECT_EQ(w.outcome(), Outcome::running) << "failed to stop is not stopped";
    w.say(a, "docs", ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, OfflineOfAResourceWaitsForItsDependents) {
    Waiting w;
    w.order(Verb::offline, "data");
    w.accepted({"1", Verb::offline, "data"});
    for (auto const* name : {"data", "docs"}) w.say(a, name, ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.say(a, "server", ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::done) << "disk and ip stay";
}

TEST(Operations, MoveEndsWithWhatTheClientWouldHaveSeen) {
    Waiting w;
    w.web().draining_to = b;
    w.accepted({"1", Verb::move, "web", "beta"});
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.now = at_time(1s);
    w.say(a, "server", ResourceState::offline_pending);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.web().owner = b;
    w.web().draining_to.reset();
    w.now = at_time(1500ms);
    w.say(a, ResourceState::offline);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.now = at_time(1700ms);
    w.say(b, ResourceState::online);
    auto const last = w.look();
    EXPECT_EQ(last.outcome, Outcome::done);
    EXPECT_THAT(last.message, HasSubstr("away for 700 ms"));
}

TEST(Operations, MoveOfAnOfflineGroupIsDoneWithItsOwner) {
    Waiting w;
    w.web().wanted_online = false;
    w.say(a, ResourceState::offline);
    w.web().draining_to = b;
    w.accepted({"1", Verb::move, "web", "beta"});
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.web().owner = b;
    w.web().draining_to.reset();
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, MoveThatWasCalledOffFailsAndSaysWhy) {
    Waiting w;
    w.web().draining_to = b;
    w.accepted({"1", Verb::move, "web", "beta"});
    w.web().draining_to.reset();
    w.web().cause = "beta can't take it any more";
    auto const last = w.look();
    EXPECT_EQ(last.outcome, Outcome::failed);
    EXPECT_THAT(last.message, HasSubstr("beta can't take it any more"));
}

TEST(Operations, MoveShowsItsProgressOnBothNodes) {
    Waiting w;
    w.web().draining_to = b;
    w.accepted({"1", Verb::move, "web", "beta"});
    w.look();
    EXPECT_THAT(w.progress, IsEmpty()) << "what was so before is no progress";
    w.say(a, "server", ResourceState::offline_pending);
    w.look();
    EXPECT_THAT(w.progress, ElementsAre("server offline-pending on alpha"));
    w.say(b, "disk", ResourceState::online_pending);
    w.look();
    EXPECT_THAT(w.progress, ElementsAre("disk online-pending on beta"));
    w.look();
    EXPECT_THAT(w.progress, IsEmpty());
}

TEST(Operations, FailAndResetAreDoneWhenTheOwnerActsOnThem) {
    for (auto verb : {Verb::fail, Verb::reset}) {
        Waiting w;
        w.decision.id = {3, 8};
        w.accepted({"1", verb, "ip"});
        EXPECT_EQ(w.outcome(), Outcome::running);
        w.reports[0].under = {3, 8};
        EXPECT_EQ(w.outcome(), Outcome::done);
    }
}

TEST(Operations, PauseIsDoneOnceDecided) {
    Waiting w;
    w.accepted(pausing("alpha", false));
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, PauseWithDrainWaitsUntilTheGroupsRunOnThePeer) {
    Waiting w;
    w.web().draining_to = b;
    w.web().drained_from = a;
    w.accepted(pausing("alpha", true));
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.web().owner = b;
    w.web().draining_to.reset();
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.say(b, ResourceState::online);
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, PauseWithDrainThatWasCalledOffFails) {
    Waiting w;
    w.web().draining_to = b;
    w.web().drained_from = a;
    w.accepted(pausing("alpha", true));
    w.web().draining_to.reset();
    w.web().cause = "beta can't take it any more";
    auto const last = w.look();
    EXPECT_EQ(last.outcome, Outcome::failed);
    EXPECT_THAT(last.message, HasSubstr("beta can't take it any more"));
}

TEST(Operations, ResumeWithFailbackWaitsUntilTheGroupsAreHome) {
    Waiting w;
    w.web().owner = b;
    w.web().drained_from = a;
    w.order(resuming("alpha", true));
    w.accepted(resuming("alpha", true));
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.web().owner = a;
    w.web().draining_to.reset();
    w.say(a, ResourceState::online_pending);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.say(a, ResourceState::online);
    EXPECT_EQ(w.outcome(), Outcome::done);
}

TEST(Operations, ResumeWithFailbackThatWasCalledOffIsNotHome) {
    Waiting w;
    w.web().owner = b;
    w.web().drained_from = a;
    w.order(resuming("alpha", true));
    w.accepted(resuming("alpha", true));
    w.web().draining_to.reset();
    EXPECT_EQ(w.outcome(), Outcome::failed);
}

TEST(Operations, OneThatWasAbandonedIsToldNothingMore) {
    Waiting w;
    w.accepted({"1", Verb::offline, "web"});
    w.operations.abandoned("1");
    EXPECT_FALSE(w.operations.any());
    Effects out;
    w.operations.answered({"1", true, {3, 9}, {}}, out);
    EXPECT_THAT(out, IsEmpty());
}

}  // namespace
