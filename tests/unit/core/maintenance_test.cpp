// Maintenance: what fails is shown and left alone; what takes everything from a node still does. Two whole nodes, simulated.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

struct Maintained : Pair {
    Outcome maintain(std::string target, bool on, Duration length = {}, NodeIndex at_node = b) {
        Command command{"", Verb::maintenance, std::move(target)};
        command.on = on;
        command.for_ms = to_ms(length);
        return order(at_node, command, 2 * s);
    }
    ResourceState shown(std::string const& name) {
        for (auto const& r : web_resources(a))
            if (r.name == name) return r.report.state;
        return ResourceState::unknown;
    }
};

TEST(Maintenance, WhatFailsIsLeftAsItIsUntilItEnds) {
    Maintained p;
    EXPECT_EQ(p.maintain("web", true), Outcome::done);
    p.dies(a, "web-data");
    p.run(30 * s);
    EXPECT_FALSE(p.on(a, "web-data"));
    EXPECT_TRUE(p.on(a, "web-server"));  // nothing is taken from under it either
    EXPECT_TRUE(p.nothing_on(b));
    EXPECT_NE(p.shown("web-data"), ResourceState::online);
    EXPECT_EQ(p.maintain("web", false), Outcome::done);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(a));
    EXPECT_EQ(p.web_resources(a)[1].report.restarts_in_window, 0);  // no failure of the cluster's
}

TEST(Maintenance, WhatAnOperatorStartsByHandIsSeen) {
    Maintained p;
    p.maintain("web", true);
    p.dies(a, "web-data");
    p.run(20 * s);
    ASSERT_NE(p.shown("web-data"), ResourceState::online);
    p.c.machine(a).running.at("web-data").truth = Truth::on;
    p.run(20 * s);
    EXPECT_EQ(p.shown("web-data"), ResourceState::online);
}

TEST(Maintenance, EndsByItself) {
    Maintained p;
    p.maintain("", true, std::chrono::seconds(30));
    EXPECT_NE(p.web().maintenance_until, 0);
    EXPECT_NE(p.c.machine(a).node->decision()->groups.at("mail").maintenance_until, 0);
    p.dies(a, "web-data");
    p.run(40 * s);
    EXPECT_EQ(p.web().maintenance_until, 0);
    EXPECT_TRUE(p.web_on(a));
}

TEST(Maintenance, ALostNodeIsTakenOverFromAllTheSame) {
    Maintained p;
    p.maintain("web", true);
    p.c.power_cut(a);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_EQ(p.web(b).maintenance_until, 0);
}

TEST(Maintenance, ACleanStopMovesItAndEndsIt) {
    Maintained p;
    p.maintain("alpha", true);  // all that it owns
    p.c.leave(a);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(b));
    EXPECT_EQ(p.web(b).maintenance_until, 0);
}

TEST(Maintenance, LastsOverAWorkerThatGoesOnAndADaemonThatComesBack) {
    Maintained p;
    p.maintain("web", true);
    p.c.kill_worker(a, 50 * ms);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(a));
    p.dies(a, "web-server");
    p.run(30 * s);
    EXPECT_FALSE(p.on(a, "web-server"));
    EXPECT_NE(p.web().maintenance_until, 0);
}

TEST(Maintenance, OtherOrdersWaitForItsEnd) {
    Maintained p;
    p.maintain("web", true);
    for (auto const& [verb, target] : std::vector<std::pair<Verb, std::string>>{{Verb::move, "web"}, {Verb::offline, "web-server"}, {Verb::fail, "web-data"}, {Verb::online, "web"}})
        EXPECT_EQ(p.order(a, verb, target), Outcome::refused) << static_cast<int>(verb);
    Command pause{"", Verb::pause, "alpha"};
    pause.drain = true;
    EXPECT_EQ(p.order(a, pause), Outcome::refused);
    EXPECT_FALSE(p.c.machine(a).node->decision()->paused[0]);
    EXPECT_EQ(p.order(a, Verb::move, "mail", "beta"), Outcome::done);  // another group
    EXPECT_EQ(p.maintain("nobody", true), Outcome::refused);
    EXPECT_EQ(p.maintain("web", true), Outcome::done);  // nothing to do
    EXPECT_TRUE(p.web_on(a));
}

TEST(Maintenance, AConfigurationThatWouldStopSomethingInItIsRefused) {
    Maintained p;
    p.maintain("web", true);
    auto const changed = [&](std::size_t group, std::uint8_t number) {
        auto next = std::make_shared<Config>(*p.c.setup.config);
        next->hash[1] = number;
        next->spec.groups[group].resources[0].attributes["option"] = "x";
        Command command{"", Verb::apply};
        command.config = next;
        return p.order(a, command);
    };
    EXPECT_EQ(changed(0, 1), Outcome::refused);
    EXPECT_EQ(changed(1, 2), Outcome::done);
    EXPECT_TRUE(p.web_on(a));
}

}  // namespace
