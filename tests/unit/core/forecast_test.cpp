// What would happen if: the planner and the reconcilers on copies. The order of what is started and stopped, who owns what afterwards, and
// how long it takes by what was measured.
#include "tests/unit/core/policy_world.hpp"

#include "clusterd/core/forecast.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Case {
    explicit Case(Spec s = web_spec()) : spec(std::move(s)) {
        decision.id = {3, 7};
        for (auto const& g : spec.groups) decision.groups[g.name] = {};
        for (auto n : {a, b})
            for (auto const& g : spec.groups)
                for (auto const& r : g.resources) say(n, r.name, n == a ? ResourceState::online : ResourceState::offline);
        for (char const* name : {"disk", "data", "ip", "server", "docs"}) durations.online[name] = 100ms;
        durations.offline["web"] = 300ms;
        durations.hand_over = 10ms;
        durations.until_takeover = 900ms;
    }
    void say(NodeIndex n, std::string const& resource, ResourceState s) { reports[at(n)].resources[resource] = {s, s == ResourceState::offline}; }
    Forecast of(WhatIf const& what) const {
        ForecastFrom const from{spec, decision, {known[0] ? &reports[0] : nullptr, known[1] ? &reports[1] : nullptr}, a, known[0] && known[1], disk, at_time(0s)};
        return forecast(from, what, durations);
    }
    Forecast of(Verb verb, std::string target) const {
        WhatIf what;
        what.command.verb = verb;
        what.command.target = std::move(target);
        return of(what);
    }
    Forecast lost(std::string node) const {
        WhatIf what{WhatIf::Kind::node_lost, {}};
        what.command.target = std::move(node);
        return of(what);
    }

    Spec spec;
    Decision decision;
    std::array<Report, 2> reports;
    std::array<bool, 2> known{true, true};
    bool disk = true;
    Durations durations;
};

std::string words(Forecast const& f, ForecastStep::Kind kind) {
    std::string all;
    for (auto const& s : f.steps)
        if (s.kind == kind) all += (all.empty() ? "" : " ") + (kind == ForecastStep::Kind::owner ? s.group : s.resource) + "@" + s.node;
    return all;
}

TEST(Forecast, AMoveStopsInOneOrderAndStartsInTheOther) {
    Forecast const f = Case().of(Verb::move, "web");
    ASSERT_EQ(f.refused, "");
    std::string const stops = words(f, ForecastStep::Kind::stop), starts = words(f, ForecastStep::Kind::start);
    EXPECT_LT(stops.find("server@alpha"), stops.find("data@alpha"));
    EXPECT_LT(stops.find("data@alpha"), stops.find("disk@alpha"));
    EXPECT_LT(starts.find("disk@beta"), starts.find("data@beta"));
    EXPECT_LT(starts.find("data@beta"), starts.find("server@beta"));
    EXPECT_EQ(words(f, ForecastStep::Kind::owner), "web@beta");
    // 300 ms to stop, 10 ms to hand over; disk, data, server one after the other.
    EXPECT_THAT(f.groups, ElementsAre(ForecastGroup{"web", "alpha", "beta", true, true, true, 610ms}));
}

TEST(Forecast, ALostNodesGroupComesToTheOtherAndNothingIsStopped) {
    Forecast const f = Case().lost("alpha");
    ASSERT_EQ(f.refused, "");
    EXPECT_EQ(words(f, ForecastStep::Kind::stop), "");
    EXPECT_THAT(words(f, ForecastStep::Kind::start), HasSubstr("server@beta"));
    EXPECT_THAT(f.groups, ElementsAre(ForecastGroup{"web", "alpha", "beta", true, true, true, 1200ms}));
}

TEST(Forecast, TheStandbysLossInterruptsNothing) {
    Forecast const f = Case().lost("beta");
    EXPECT_THAT(f.steps, IsEmpty());
    EXPECT_THAT(f.groups, ElementsAre(ForecastGroup{"web", "alpha", "alpha", true, true, false, {}}));
}

TEST(Forecast, ALossIsRefusedWhereTheSurvivorWouldStopToo) {
    Case c;
    c.disk = false;
    EXPECT_THAT(c.lost("alpha").refused, HasSubstr("quorum disk"));
    c.disk = true;
    c.known[1] = false;
    EXPECT_THAT(c.lost("alpha").refused, HasSubstr("beta is not up now"));
    EXPECT_THAT(c.lost("gamma").refused, HasSubstr("no node 'gamma'"));
}

TEST(Forecast, AFailureIsARestartHereWithWhatNeedsIt) {
    Forecast const f = Case().of(Verb::fail, "ip");
    EXPECT_THAT(words(f, ForecastStep::Kind::stop), HasSubstr("server@alpha"));
    EXPECT_EQ(words(f, ForecastStep::Kind::owner), "");
    std::string const starts = words(f, ForecastStep::Kind::start);
    EXPECT_LT(starts.find("ip@alpha"), starts.find("server@alpha"));
    EXPECT_EQ(starts.find("disk"), std::string::npos);  // it doesn't need the address
}

TEST(Forecast, OnceItsRestartsAreUsedUpTheGroupMoves) {
    WhatIf what{WhatIf::Kind::used_up, {}};
    what.command.target = "server";
    Forecast const f = Case().of(what);
    EXPECT_EQ(words(f, ForecastStep::Kind::owner), "web@beta");
    ASSERT_EQ(f.groups.size(), 1U);
    EXPECT_TRUE(f.groups[0].is_online);
}

// What the nodes report counts: used restarts, what is failed on the other node.
TEST(Forecast, RestartsThatAreUsedAlreadyCount) {
    Case c;
    c.reports[0].resources["server"].restarts_in_window = spec_of(c.spec, "server").restart.limit;
    EXPECT_EQ(words(c.of(Verb::fail, "server"), ForecastStep::Kind::owner), "web@beta");
}

TEST(Forecast, WhatIsFailedOnTheOtherNodeFailsThere) {
    Case c;
    c.say(b, "server", ResourceState::failed);
    c.spec.groups[0].failover_limit = 0;
    Forecast const f = c.of(Verb::move, "web");
    EXPECT_EQ(words(f, ForecastStep::Kind::owner), "web@beta");
    ASSERT_EQ(f.groups.size(), 1U);
    EXPECT_FALSE(f.groups[0].is_online);
}

TEST(Forecast, ACommandThatWouldBeRefusedIsRefused) {
    Case c;
    c.decision.paused[1] = true;
    EXPECT_THAT(c.of(Verb::move, "web").refused, HasSubstr("paused"));
    EXPECT_THAT(c.of(Verb::move, "wbe").refused, HasSubstr("'wbe'"));
}

TEST(Forecast, APauseThatDrainsMovesEverything) {
    Case c(spec_of({group("web", {resource("server")}), group("mail", {resource("smtp")})}));
    WhatIf what;
    what.command.verb = Verb::pause;
    what.command.target = "alpha";
    EXPECT_THAT(c.of(what).steps, IsEmpty());
    what.command.drain = true;
    Forecast const f = c.of(what);
    EXPECT_THAT(words(f, ForecastStep::Kind::owner), ::testing::AllOf(HasSubstr("web@beta"), HasSubstr("mail@beta")));
}

// The copies are copies.
TEST(Forecast, NothingOfWhatItWasAskedFromChanges) {
    Case const c;
    Case const before = c;
    (void)c.of(Verb::move, "web");
    EXPECT_EQ(c.reports, before.reports);
    EXPECT_EQ(c.decision.groups, before.decision.groups);
}

}  // namespace
