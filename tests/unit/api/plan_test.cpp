// `plan` as the daemon answers it and as a person reads it.
#include "clusterd/clusterctl/plan_text.hpp"
#include "tool_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd::tool {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

PlanAnswer lost_alpha() {
    PlanAnswer a;
    a.typical.steps = {{ForecastStep::Kind::owner, 990ms, "beta", "web", "", "alpha is gone"}, {ForecastStep::Kind::start, 990ms, "beta", "web", "web-ip", ""}};
    a.typical.groups = {{"web", "alpha", "beta", true, true, true, 1030ms}, {"mail", "beta", "beta", true, true, false, {}}};
    a.shortest = {950ms, {}};
    a.longest = {1300ms, {}};
    a.measured = 4;
    a.unmeasured = {"the start of web-ip"};
    return a;
}

TEST(PlanText, SaysWhatIsTouchedForHowLongAndInWhichOrder) {
    std::string const text = plan_text(lost_alpha(), "alpha failed", {});
    EXPECT_THAT(text, AllOf(HasSubstr("If alpha failed now:"), HasSubstr("alpha -> beta"), HasSubstr("not online for about 1.0 s (950 ms to 1.3 s)"), HasSubstr("goes on"), HasSubstr("owns group web now (alpha is gone)"),
                            HasSubstr("starts web-ip"), HasSubstr("the start of web-ip")));
}

TEST(PlanText, AGroupThatWouldNotComeBackIsSaidLoudly) {
    PlanAnswer a = lost_alpha();
    a.typical.groups[0].is_online = false;
    EXPECT_THAT(plan_text(a, "alpha failed", {}), HasSubstr("WOULD NOT BE ONLINE"));
}

TEST(PlanJson, BothWays) {
    PlanAnswer a = lost_alpha();
    a.used_up = a.typical;
    a.typical.remarks = {"one"};
    auto const back = parse_plan(plan_json(a));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(*back, a);
    EXPECT_FALSE(parse_plan(R"({"refused":null,"steps":[],"groups":[{"name":"web"}],"remarks":[]})"));
}

TEST(Plan, TheVerbAsksAndSaysWhyNot) {
    FakeDaemon daemon;
    daemon.on_loop([&] { daemon.backend.planned = lost_alpha(); });
    Ran const r = run({"plan", "fail", "alpha", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("If alpha failed now"));
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.given.back().target; }), "alpha");
    EXPECT_THAT(run({"plan", "pause", "alpha", "--drain", "--json", "--socket", daemon.socket()}).out, HasSubstr("\"measured\":4"));
    EXPECT_TRUE(daemon.on_loop([&] { return daemon.backend.given.back().drain; }));
    daemon.on_loop([&] { daemon.backend.plan_takes = 1; });
    std::thread found_out([&] {
        while (daemon.on_loop([&] { return daemon.backend.plan_takes; }) > 0) usleep(10'000);
        daemon.on_loop([&] { daemon.server().event_recorded({}); });
    });
    EXPECT_THAT(run({"plan", "move", "web", "--socket", daemon.socket()}).out, HasSubstr("If web were moved now"));
    found_out.join();
    daemon.on_loop([&] { daemon.backend.planned.typical.refused = "beta is paused"; });
    Ran const refused = run({"plan", "move", "web", "--socket", daemon.socket()});
    EXPECT_EQ(refused.code, 5);
    EXPECT_THAT(refused.err, HasSubstr("beta is paused"));
}

}  // namespace
}  // namespace clusterd::tool
