// `why` from a history as two nodes write it: which events are told, which one is called the decision, and what isn't.
#include "clusterd/clusterctl/why_text.hpp"
#include "fake_daemon.hpp"
#include "tool_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd::tool {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t t0 = 1'764'000'000'000;  // 2025-11-24T16:00:00Z

EventRecord event(int n, std::int64_t ms, std::string node, std::string kind, std::string group, std::string resource, std::string message, std::string evidence = {}) {
    return {node + "-" + std::to_string(n), t0 + ms, node, kind == "takeover" || kind == "restarted" ? "warning" : "info", std::move(group), std::move(resource), std::move(message), std::move(kind), std::move(evidence)};
}

// alpha loses its power an hour after the start; beta takes web over, and a server fails there once.
Known power_cut() {
    Known k;
    k.status = clusterd::testing::well_status();
    k.status.self = NodeIndex::b;
    k.status.groups[0].owner = NodeIndex::b;
    k.status.groups[0].cause = "alpha is gone";
    k.status.nodes[0].state = NodeState::down;
    k.status.groups[0].resources[1].report.restarts_in_window = 1;
    k.events = {
        event(1, 0, "alpha", "first-start", "web", "", "first start: alpha owns it"),
        event(3, 3'599'000, "alpha", "restarted", "web", "web-server", "failed: exited with 2; restarted here (1 of 3)"),  // has nothing to do with it
        event(1, 3'600'400, "beta", "seeking", "", "", "beta seeks the peer and the quorum disk: its peer is not heard", "alpha's last heartbeat 400 ms ago"),
        event(2, 3'600'410, "beta", "alone", "", "", "beta is alone and goes on: it won the quorum disk"),
        event(3, 3'601'000, "beta", "takeover", "web", "", "alpha is gone and its permit is over: beta takes over", "every permit of alpha is over"),
        event(4, 3'700'000, "beta", "restarted", "web", "web-server", "failed: exited with 1; restarted here (1 of 3)", "it was online for 98 s"),
        event(5, 3'700'100, "beta", "command", "mail", "", "root: move mail to beta"),
    };
    k.failovers = {{"F-beta-1", "web", "alpha", "beta", "alpha is gone", t0 + 3'600'000, {{"detect", 400}, {"permit wait", 590}, {"online web-ip", 20}}}};
    return k;
}

TEST(Why, AGroupIsWhereItIsByTheLastDecisionAndWhatLedToIt) {
    auto const why = find_why(power_cut(), "web", t0 + 3'800'000);
    ASSERT_TRUE(why);
    EXPECT_EQ(why->subject, Subject::group);
    ASSERT_TRUE(why->decided);
    EXPECT_EQ(why->chain[*why->decided].id, "beta-3");
    ASSERT_EQ(why->chain.size(), 3U);  // not the first start
    ASSERT_EQ(why->since.size(), 1U);  // not mail's
    EXPECT_EQ(why->since[0].id, "beta-4");
    ASSERT_TRUE(why->took);
    EXPECT_EQ(why->took->id, "F-beta-1");
    std::string const text = why_text(*why, {}, t0 + 3'800'000);
    EXPECT_THAT(text, AllOf(HasSubstr("web: online on beta since"), HasSubstr("every permit of alpha is over"), HasSubstr("rule:"), HasSubstr("It took 1.0 s: detect 400 ms, permit wait 590 ms")));
    EXPECT_THAT(text, Not(HasSubstr("mail")));
}

TEST(Why, AResourceIsToldWithItsOwnFailuresAndWhatToDo) {
    Known k = power_cut();
    auto& report = k.status.groups[0].resources[1].report;
    report.state = ResourceState::failed;
    report.message = "exited with 1";
    auto const why = find_why(k, "web-server", t0 + 3'800'000);
    ASSERT_TRUE(why);
    EXPECT_EQ(why->subject, Subject::resource);
    EXPECT_THAT(why->now, HasSubstr("failed on beta"));
    std::string const text = why_text(*why, {}, t0 + 3'800'000);
    EXPECT_THAT(text, AllOf(HasSubstr("restarted here (1 of 3)"), HasSubstr("it was online for 98 s"), HasSubstr("clusterctl reset web-server")));
    auto const ip = find_why(k, "web-ip", t0 + 3'800'000);
    EXPECT_TRUE(ip && ip->since.empty());  // its neighbour's failure isn't its own
}

TEST(Why, ANodeIsToldWithWhatBothNodesSayOfIt) {
    auto const why = find_why(power_cut(), "alpha", t0 + 3'800'000);
    ASSERT_TRUE(why);
    EXPECT_EQ(why->subject, Subject::node);
    EXPECT_THAT(why->now, HasSubstr("down, owner of nothing"));
    EXPECT_THAT(why_text(*why, {}, t0 + 3'800'000), HasSubstr("nothing can fail over to it"));
}

TEST(Why, EventsOfTwoNodesAreSortedByTime) {
    Known k = power_cut();
    std::swap(k.events[2], k.events[5]);
    auto const why = find_why(k, "web", t0 + 3'800'000);
    ASSERT_TRUE(why && why->decided);
    EXPECT_EQ(why->chain[0].id, "beta-1");
    EXPECT_EQ(why->since.size(), 1U);
}

// Where a failure is what moved it, the failures before are what led to it, and the pair's events aren't.
TEST(Why, AFailoverIsToldWithTheFailuresBeforeIt) {
    Known k = power_cut();
    k.events[4] = event(3, 3'601'000, "beta", "failover", "web", "", "web-server failed on alpha (failover 1 of 2): it moves from alpha to beta", "web-server: exited with 2; beta is up");
    auto const why = find_why(k, "web", t0 + 3'800'000);
    ASSERT_TRUE(why && why->decided);
    ASSERT_EQ(why->chain.size(), 2U);
    EXPECT_EQ(why->chain[0].id, "alpha-3");
    EXPECT_EQ(why->chain[1].kind, "failover");
}

TEST(Why, NobodyOfThatName) { EXPECT_FALSE(find_why(power_cut(), "wbe", t0)); }

TEST(Why, JsonCanBeReadAndNamesTheDecision) {
    std::string const json = why_json(*find_why(power_cut(), "web", t0 + 3'800'000));
    EXPECT_THAT(json, AllOf(HasSubstr("\"decided\":\"beta-3\""), HasSubstr("\"failover\":{\"id\":\"F-beta-1\"")));
}

// The verbs, against a daemon.
TEST(Why, TheVerbAsksTheDaemon) {
    clusterd::testing::FakeDaemon daemon;
    daemon.on_loop([&] {
        Known const k = power_cut();
        daemon.backend.recorded = k.events;
        daemon.backend.moves = k.failovers;
        daemon.backend.shown = k.status;
    });
    EXPECT_THAT(run({"why", "web", "--socket", daemon.socket()}).out, HasSubstr("beta takes over"));
    EXPECT_THAT(run({"why", "--socket", daemon.socket()}).out, HasSubstr("shop: "));
    auto const nobody = run({"why", "wbe", "--socket", daemon.socket()});
    EXPECT_EQ(nobody.code, 5);
    EXPECT_THAT(nobody.err, HasSubstr("'wbe'"));
    auto const explained = run({"explain", "beta-3", "--socket", daemon.socket()});
    EXPECT_THAT(explained.out, AllOf(HasSubstr("every permit of alpha is over"), HasSubstr("To do:"), HasSubstr("MESSAGE_ID=")));
    EXPECT_EQ(run({"explain", "beta-99", "--socket", daemon.socket()}).code, 1);
    // A kind, and the list of them, need none.
    EXPECT_THAT(run({"explain", "takeover", "--socket", "/nowhere"}).out, HasSubstr("took a group over"));
    EXPECT_THAT(run({"explain", "--socket", "/nowhere"}).out, AllOf(HasSubstr("failover"), HasSubstr("quorum-forced")));
}

TEST(Why, AReasonGoesWithTheCommand) {
    clusterd::testing::FakeDaemon daemon;
    run({"move", "web", "--no-wait", "--reason", "kernel update", "--socket", daemon.socket()});
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.given.back().reason; }), "kernel update");
}

}  // namespace
}  // namespace clusterd::tool
