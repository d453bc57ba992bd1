// The small documents of the API: what is written is read back, and what is wrong is refused by name.
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/config_hash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ApiJson, CommandsBothWays) {
    for (Command const& c :
         {Command{"", Verb::move, "web", "beta", false, false, "ann"}, Command{"", Verb::pause, "alpha", "", true, false, ""},
          Command{"", Verb::resume, "alpha", "", false, true, "bob"}, Command{"", Verb::reset, "web-ip", "", false, false, ""}}) {
        auto const back = parse_command(command_json(c));
        ASSERT_TRUE(back) << back.error();
        EXPECT_EQ(*back, c);
    }
    for (auto const v : {Verb::online, Verb::offline, Verb::move, Verb::fail, Verb::reset, Verb::pause, Verb::resume, Verb::apply, Verb::maintenance})
        EXPECT_EQ(parse_verb(spell(v)), v);
    EXPECT_FALSE(parse_verb("Online"));
}

TEST(ApiJson, ApplyCarriesTheXmlAndWhatItWasComparedWith) {
    Command c{"", Verb::apply};
    c.user = "ann";
    c.config = unread_config("<cluster name=\"größer\">\n</cluster>");
    c.base = hash_config("what counts");
    auto const back = parse_command(command_json(c));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(back->config->xml, c.config->xml);
    EXPECT_EQ(back->config->hash, c.config->hash);
    EXPECT_EQ(back->base, c.base);
    for (auto const& [text, words] : std::vector<std::pair<std::string, std::string>>{
             {R"({"verb":"apply"})", "config"},
             {R"({"verb":"move","target":"web","config":"<cluster/>"})", "config"},
             {R"({"verb":"apply","config":"<cluster/>","base":"xyz"})", "base"},
             {R"({"verb":"apply","config":7})", "config"},
             {R"({"verb":"move","target":"web","on":true})", "maintenance"},
             {R"({"verb":"maintenance","for_ms":-1})", "for_ms"},
             {R"({"verb":"maintenance","on":false,"for_ms":5})", "for_ms"}}) {
        auto const refused = parse_command(text);
        ASSERT_FALSE(refused) << text;
        EXPECT_THAT(refused.error(), HasSubstr(words)) << text;
    }
}

TEST(ApiJson, MaintenanceBothWays) {
    for (bool const on : {true, false}) {
        Command c{"", Verb::maintenance, on ? "web" : ""};
        c.on = on;
        c.for_ms = on ? 1'800'000 : 0;
        auto const back = parse_command(command_json(c));
        ASSERT_TRUE(back) << back.error();
        EXPECT_EQ(*back, c);
    }
}

TEST(ApiJson, ProgressBothWays) {
    CommandProgress const p{
        "c1", Outcome::refused, {{1, Outcome::running, "asking beta"}, {2, Outcome::refused, "beta is paused"}}};
    auto const back = parse_progress(progress_json(p));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(*back, p);
    EXPECT_FALSE(parse_progress(R"({"id":"c","outcome":"finished","updates":[]})"));
    EXPECT_FALSE(parse_progress(R"({"id":"c","outcome":"done","updates":[{"n":-1,"outcome":"done","message":""}]})"));
}

TEST(ApiJson, EventsAreTheContractsLines) {
    EventRecord const e{"e7", 1'764'000'000'000, "alpha", "warning", "web", "", "restarted", "restarted", "check tcp: failed"};
    EXPECT_EQ(
        event_json(e),
        R"({"id":"e7","time":"2025-11-24T16:00:00.000Z","node":"alpha","severity":"warning","group":"web","resource":null,"message":"restarted","kind":"restarted","evidence":"check tcp: failed"})");
    auto const back = parse_events(events_json({e, e}));
    ASSERT_TRUE(back) << back.error();
    EXPECT_THAT(*back, ElementsAre(e, e));
    // A line that an earlier clusterd left in the state directory.
    auto const old = parse_events(R"({"events":[{"id":"e7","time":"2025-11-24T16:00:00.000Z","node":"alpha","severity":"info","group":null,"resource":null,"message":"m"}]})");
    ASSERT_TRUE(old) << old.error();
    EXPECT_EQ(old->front().kind, "note");
}

TEST(ApiJson, FailoversAreTheContractsLines) {
    FailoverRecord const f{"17", "web", "", "beta", "first start", 1'764'000'000'000, {{"commit", 12}}};
    EXPECT_EQ(
        failover_json(f),
        R"({"id":"17","group":"web","from":null,"to":"beta","cause":"first start","start":"2025-11-24T16:00:00.000Z","phases":[{"name":"commit","ms":12}]})");
    auto const back = parse_failovers(failovers_json({f}));
    ASSERT_TRUE(back) << back.error();
    EXPECT_THAT(*back, ElementsAre(f));
}

TEST(ApiJson, TimingBothWaysAndItsRules) {
    TimingInfo info;
    info.cycle_p99 = 50ms;
    info.fsync_p99 = 10ms;
    info.worst_margin_ms = 204;
    auto const back = parse_timing(timing_json(info));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(*back, info);
    auto rules = timing_rules(info);
    ASSERT_EQ(rules.size(), 2U);
    EXPECT_EQ(rules[0].sum, 300ms + 50ms + 100ms + 10ms + 250ms);
    EXPECT_EQ(rules[1].sum, 600ms + 100ms + 10ms + 250ms);
    EXPECT_TRUE(rules[0].met);
    EXPECT_TRUE(rules[1].met);
    info.cycle_p99 = 70ms;  // 600 + 140 + 10 + 250 = P: below is wanted, equal isn't
    rules = timing_rules(info);
    EXPECT_TRUE(rules[0].met);
    EXPECT_FALSE(rules[1].met);
    EXPECT_TRUE(timing_rules(TimingInfo{})[1].met);  // unmeasured counts as 0
}

TEST(ApiJson, MessagesAndErrors) {
    EXPECT_EQ(message_json("error", "no \"way\""), R"({"error":"no \"way\""})");
    EXPECT_EQ(error_of(message_json("error", "x")), "x");
    EXPECT_EQ(error_of("<html>"), "<html>");
    EXPECT_EQ(json_text("a\n"), R"("a\n")");
    EXPECT_EQ(*parse_accepted(accepted_json("id")), "id");
    EXPECT_EQ(*parse_force(force_json("alpha")), "alpha");
    EXPECT_EQ(outcome_json("i", "done", "m"), R"({"id":"i","outcome":"done","message":"m"})");
}

}  // namespace
}  // namespace clusterd
