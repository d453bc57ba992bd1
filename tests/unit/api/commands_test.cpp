// The command log: what is kept, for how long, and that it stays small; and the targets of requests.
#include "clusterd/api/commands.hpp"
#include "clusterd/api/request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

Instant at_seconds(int s) {
    return Instant{} + std::chrono::seconds(s);
}

TEST(CommandLog, FinishedCommandsAreKeptForTheirTime) {
    CommandLog log(10, 10, 5min);
    ASSERT_TRUE(log.open("c", at_seconds(0)));
    log.update({"c", Outcome::done, "done"}, at_seconds(10));
    EXPECT_TRUE(log.progress("c", 0, at_seconds(10 + 299)));
    EXPECT_FALSE(log.progress("c", 0, at_seconds(10 + 300)));
}

TEST(CommandLog, RunningCommandsAreNeverForgotten) {
    CommandLog log(2, 10, 5min);
    ASSERT_TRUE(log.open("a", at_seconds(0)));
    ASSERT_TRUE(log.open("b", at_seconds(0)));
    EXPECT_FALSE(log.open("c", at_seconds(10'000)));
    log.update({"a", Outcome::failed, ""}, at_seconds(10'001));
    EXPECT_TRUE(log.open("c", at_seconds(10'002)));  // the finished one makes room, before its time
    EXPECT_FALSE(log.progress("a", 0, at_seconds(10'002)));
    EXPECT_TRUE(log.progress("b", 0, at_seconds(10'002)));
}

TEST(CommandLog, NothingFollowsTheOutcome) {
    CommandLog log(10, 10, 5min);
    ASSERT_TRUE(log.open("c", at_seconds(0)));
    log.update({"c", Outcome::refused, "no"}, at_seconds(1));
    log.update({"c", Outcome::done, "yes"}, at_seconds(2));
    log.update({"another", Outcome::done, "not ours"}, at_seconds(2));
    auto const p = log.progress("c", 0, at_seconds(3));
    ASSERT_TRUE(p);
    EXPECT_EQ(p->outcome, Outcome::refused);
    EXPECT_EQ(p->updates.size(), 1U);
    EXPECT_FALSE(log.progress("another", 0, at_seconds(3)));
}

TEST(CommandLog, OldUpdatesGoAndNumbersStay) {
    CommandLog log(10, 3, 5min);
    ASSERT_TRUE(log.open("c", at_seconds(0)));
    for (int i = 0; i < 10; ++i) log.update({"c", Outcome::running, std::to_string(i)}, at_seconds(1));
    auto const p = log.progress("c", 8, at_seconds(2));
    ASSERT_TRUE(p);
    ASSERT_EQ(p->updates.size(), 2U);
    EXPECT_EQ(p->updates[0].n, 9U);
    EXPECT_EQ(p->updates[1].message, "9");
}

TEST(Target, IsDecoded) {
    auto const r = parse_target(Method::get, "/v1/failovers/a%20b?after=12&&limit=7&wait_ms=1500");
    ASSERT_TRUE(r) << r.error();
    EXPECT_EQ(r->path, "/v1/failovers/a b");
    EXPECT_EQ(r->after, "12");
    EXPECT_EQ(r->after_n, 12U);
    EXPECT_EQ(r->limit, 7U);
    EXPECT_EQ(r->wait_ms, 1500U);
}

TEST(Target, IsRefusedWhereItIsNotClean) {
    for (std::string const& bad : {std::string(), std::string("v1"), std::string("*"), std::string("/%"), std::string("/%4"),
                                   std::string("/%00"), std::string("/\x01"), "/" + std::string(5000, 'a'), std::string("/?limit="),
                                   std::string("/?limit=1001"), std::string("/?limit=-1"), std::string("/?x=1")}) {
        EXPECT_FALSE(parse_target(Method::get, bad)) << bad.substr(0, 50);
    }
}

}  // namespace
}  // namespace clusterd::api
