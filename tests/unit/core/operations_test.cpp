// When a command that waits is told done, failed or refused, and what it is told meanwhile.
#include "tests/unit/core/office.hpp"

#include "clusterd/core/operations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
        operations.observe({spec, &decision, known(), now, config}, out);
        effect::CommandUpdate last{"1", Outcome::running, {}};
        progress.clear();
        for (auto const& e : out) {
            last = std::get<effect::CommandUpdate>(e);
            if (last.outcome == Outcome::running) progress.push_back(last.message);
        }
        return last;
    }
    Outcome outcome() { return look().outcome; }
    ConfigPtr config = std::make_shared<Config>();
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

// docs doesn't move the group: nothing further will happen, though beta could take it.
TEST(Operations, OnlineFailsAtOnceWhereTheFailureMovesNothing) {
    Waiting w;
    spec_of(w.spec, "docs").affects_group = false;
    w.say(a, "docs", ResourceState::failed, "exited with 1", start_of_time_ms + 60'000);
    w.accepted({"1", Verb::online, "web"});
    EXPECT_EQ(w.outcome(), Outcome::failed);
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

TEST(Operations, PauseIsNotDoneBeforeItIsActedOnHere) {
    Waiting w;
    w.operations.given({"1", Verb::pause, "alpha"}, w.now);
    w.operations.sent("1");
    Effects out;
    w.operations.answered({"1", true, {3, 8}, {}}, out);
    EXPECT_EQ(w.outcome(), Outcome::running);
    w.decision.id = {3, 8};
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
