// Operators' commands: what each does to the decision, what changes nothing (exit 0) and what is refused (exit 5).
#include "tests/unit/core/office.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

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

TEST(Commands, UnknownNamesAreRefused) {
    Office o;
    for (auto verb : {Verb::online, Verb::offline, Verb::move, Verb::fail, Verb::reset}) {
        EXPECT_REFUSED(o.order(verb, "nobody"), "'nobody'");
        EXPECT_REFUSED(o.order(verb, "alpha"), "'alpha'");
    }
    EXPECT_REFUSED(o.order(Verb::pause, "web"), "alpha and beta");
    EXPECT_REFUSED(o.order(Verb::resume, "gamma"), "alpha and beta");
    EXPECT_REFUSED(o.order(Verb::move, "web", "gamma"), "alpha and beta");
}

TEST(Commands, AGroupThatHasNoOwnerYetIsRefused) {
    Office o;
    o.decision.groups.clear();
    EXPECT_REFUSED(o.order(Verb::online, "web"), "no owner yet");
}

// ---- online, offline ----------------------------------------------------------------------------------------------------------------

TEST(Commands, OfflineGroupLastsAndASecondOneChangesNothing) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::offline, "web"));
    EXPECT_FALSE(o.web().wanted_online);
    auto const again = o.order(Verb::offline, "web");
    EXPECT_TRUE(again.accepted);
    EXPECT_FALSE(again.changed);
    EXPECT_EQ(again.message, "") << "not done at once: the first may still be on its way";
}

TEST(Commands, OfflineResourceTakesItsDependentsToo) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::offline, "data"));
    EXPECT_THAT(o.web().held_offline, UnorderedElementsAre("data", "server", "docs"));
    EXPECT_TRUE(o.web().wanted_online);
}

TEST(Commands, OnlineResourceBringsItsDependenciesToo) {
    Office o;
    o.web().held_offline = {"disk", "data", "server", "docs"};
    EXPECT_DECIDED(o.order(Verb::online, "server"));
    EXPECT_THAT(o.web().held_offline, ElementsAre("docs"));
}

TEST(Commands, OnlineResourceOfAnOfflineGroupBringsNothingElse) {
    Office o;
    o.web().wanted_online = false;
    EXPECT_DECIDED(o.order(Verb::online, "data"));
    EXPECT_TRUE(o.web().wanted_online);
    EXPECT_THAT(o.web().held_offline, UnorderedElementsAre("ip", "server", "docs"));
}

TEST(Commands, OnlineGroupBringsEverything) {
    Office o;
    o.web().wanted_online = false;
    o.web().held_offline = {"docs"};
    EXPECT_DECIDED(o.order(Verb::online, "web"));
    EXPECT_TRUE(o.web().wanted_online);
    EXPECT_THAT(o.web().held_offline, IsEmpty());
}

TEST(Commands, OnlineForgetsFailuresSoThatItIsTriedAtOnce) {
    Office o;
    o.order(Verb::online, "web");
    for (auto const& r : o.spec.groups[0].resources) EXPECT_EQ(o.web().reset_orders[r.name], 1U) << r.name;
}

TEST(Commands, OnlineResourceForgetsFailuresOfItsDependenciesToo) {
    Office o;
    o.order(Verb::online, "server");
    for (auto const* name : {"disk", "data", "ip", "server"}) EXPECT_EQ(o.web().reset_orders[name], 1U) << name;
    EXPECT_EQ(o.web().reset_orders["docs"], 0U);
}

// ---- move ---------------------------------------------------------------------------------------------------------------------------

TEST(Commands, MoveWithoutToIsTheOtherNode) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::move, "web"));
    EXPECT_EQ(o.web().draining_to, b);
    EXPECT_EQ(o.web().owner, a) << "until it is offline there";
    EXPECT_THAT(o.web().failovers, IsEmpty()) << "never counts against a limit";
}

TEST(Commands, MoveToThePresentOwnerDoesNothing) {
    Office o;
    EXPECT_NOTHING_DONE(o.order(Verb::move, "web", "alpha"));
}

TEST(Commands, MoveToANodeThatIsDownIsRefused) {
    Office o;
    o.joined = false;
    EXPECT_REFUSED(o.order(Verb::move, "web"), "beta is down");
}

TEST(Commands, MoveToAPausedNodeIsRefused) {
    Office o;
    o.decision.paused[1] = true;
    EXPECT_REFUSED(o.order(Verb::move, "web", "beta"), "clusterctl resume beta");
}

TEST(Commands, MoveToWhereItIsNotPossibleIsRefused) {
    Office o;
    o.spec.groups[0].possible = {true, false};
    EXPECT_REFUSED(o.order(Verb::move, "web"), "not possible on beta");
}

TEST(Commands, MoveToANodeThatIsBeingStoppedIsRefused) {
    Office o;
    o.reports[1].leaving = true;
    EXPECT_REFUSED(o.order(Verb::move, "web"), "being stopped");
}

TEST(Commands, MoveOfAResourceIsRefusedAndSaysWhatToMove) { EXPECT_REFUSED(Office().order(Verb::move, "ip"), "clusterctl move web"); }

TEST(Commands, MoveOfAnOfflineGroupKeepsItOffline) {
    Office o;
    o.web().wanted_online = false;
    EXPECT_DECIDED(o.order(Verb::move, "web"));
    EXPECT_FALSE(o.web().wanted_online);
}

TEST(Commands, AMovedGroupIsNotBroughtHomeByItself) {
    Office o;
    o.web().away_by_failure = true;
    o.web().drained_from = b;
    EXPECT_DECIDED(o.order(Verb::move, "web"));
    EXPECT_FALSE(o.web().away_by_failure);
    EXPECT_FALSE(o.web().drained_from);
}

TEST(Commands, MoveBackOfAGroupOnItsWayIsRefused) {
    Office o;
    o.web().draining_to = b;
    EXPECT_REFUSED(o.order(Verb::move, "web", "alpha"), "on its way to beta");
}

// ---- fail, reset ----------------------------------------------------------------------------------------------------------------------

TEST(Commands, FailIsAnOrderToTheOwner) {
    Office o;
    EXPECT_DECIDED(o.order(Verb::fail, "ip"));
    EXPECT_EQ(o.web().fail_orders["ip"], 1U);
    EXPECT_DECIDED(o.order(Verb::fail, "ip"));
    EXPECT_EQ(o.web().fail_orders["ip"], 2U);
}

TEST(Commands, FailOfWhatIsNotOnlineIsRefused) {
    Office o;
    for (auto s : {ResourceState::offline, ResourceState::failed, ResourceState::online_pending, ResourceState::unknown}) {
        o.say(a, "ip", s);
        EXPECT_REFUSED(o.order(Verb::fail, "ip"), "not online");
    }
    o.heard[0] = false;
    EXPECT_REFUSED(o.order(Verb::fail, "ip"), "not online");
}

TEST(Commands, FailOfAGroupIsRefused) { EXPECT_REFUSED(Office().order(Verb::fail, "web"), "name one of its resources"); }

TEST(Commands, ResetForgetsTheFailoversToo) {
    Office o;
    o.web().failovers = {{start_of_time_ms, a, "ip"}};
    EXPECT_DECIDED(o.order(Verb::reset, "ip"));
    EXPECT_EQ(o.web().reset_orders["ip"], 1U);
    EXPECT_EQ(o.web().reset_orders["server"], 0U);
    EXPECT_THAT(o.web().failovers, IsEmpty());
}

// ---- pause, resume --------------------------------------------------------------------------------------------------------------------

TEST(Commands, PauseMovesNothingAndASecondOneDoesNothing) {
    Office o;
    EXPECT_DECIDED(o.order(pausing("alpha", false)));
    EXPECT_TRUE(o.decision.paused[0]);
    EXPECT_FALSE(o.web().draining_to);
    EXPECT_NOTHING_DONE(o.order(pausing("alpha", false)));
}

TEST(Commands, PauseWithDrainMovesEverythingAway) {
    Office o;
    EXPECT_DECIDED(o.order(pausing("alpha", true)));
    EXPECT_EQ(o.web().draining_to, b);
    EXPECT_EQ(o.web().drained_from, a);
}

TEST(Commands, PauseWithDrainOfAPausedNodeStillDrains) {
    Office o;
    o.decision.paused[0] = true;
    EXPECT_DECIDED(o.order(pausing("alpha", true)));
    EXPECT_EQ(o.web().draining_to, b);
}

TEST(Commands, PauseWithDrainLeavesWhatIsNotPossibleOnThePeer) {
    Office o;
    o.spec.groups[0].possible = {true, false};
    EXPECT_DECIDED(o.order(pausing("alpha", true)));
    EXPECT_FALSE(o.web().draining_to);
}

TEST(Commands, PauseWithDrainIsRefusedWhereThePeerCantTakeThem) {
    Office o;
    o.joined = false;
    EXPECT_REFUSED(o.order(pausing("alpha", true)), "down");
    EXPECT_FALSE(o.decision.paused[0]) << "nothing was done";
    o.joined = true;
    o.decision.paused[1] = true;
    EXPECT_REFUSED(o.order(pausing("alpha", true)), "paused");
}

TEST(Commands, PauseWithDrainIsRefusedWhileThePeerIsBeingStopped) {
    Office o;
    o.reports[1].leaving = true;
    EXPECT_REFUSED(o.order(pausing("alpha", true)), "stopped");
}

TEST(Commands, ResumeMovesNothingByItself) {
    Office o;
    o.decision.paused[0] = true;
    o.web().owner = b;
    o.web().drained_from = a;
    EXPECT_DECIDED(o.order(resuming("alpha", false)));
    EXPECT_FALSE(o.decision.paused[0]);
    EXPECT_FALSE(o.web().draining_to);
    EXPECT_NOTHING_DONE(o.order(resuming("alpha", false)));
}

TEST(Commands, ResumeWithFailbackBringsHomeWhatWasDrained) {
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

TEST(Commands, ResumeWithFailbackOfANodeThatIsDownIsRefused) {
    Office o;
    o.joined = false;
    o.decision.paused[1] = true;
    EXPECT_REFUSED(o.order(resuming("beta", true)), "down");
}

}  // namespace
