// Another configuration while the cluster runs: what differs, and what two whole simulated nodes make of it.
#include "clusterd/core/change.hpp"
#include "tests/unit/core/pair.hpp"
#include "tests/unit/core/policy_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- the difference ----------------------------------------------------------------------------------------------------------

ResourceSpec& named(Spec& spec, std::string const& name) { return policy::spec_of(spec, name); }

TEST(Change, LinesAndNothingElseAreNoDifference) {
    Spec const was = policy::web_spec();
    Spec is = was;
    for (auto& g : is.groups) {
        g.line += 10;
        for (auto& r : g.resources) r.line += 10;
    }
    is.version = 2;
    EXPECT_TRUE(compare(was, is).nothing());
}

TEST(Change, WhatIsStartedOtherwiseMakesWay) {
    Spec const was = policy::web_spec();
    Spec is = was;
    named(is, "disk").attributes["device"] = "/dev/sdb";
    named(is, "data").type = "process";
    named(is, "ip").isolate = true;
    named(is, "docs").depends = policy::needs("ip");
    auto const change = compare(was, is);
    EXPECT_THAT(change.replaced, ElementsAre("data", "disk", "docs", "ip"));
    EXPECT_THAT(change.adjusted, IsEmpty());
    EXPECT_THAT(change.groups, ElementsAre("web"));
}

TEST(Change, WhatIsOnlyLookedAfterOtherwiseGoesOn) {
    Spec const was = policy::web_spec();
    Spec is = was;
    named(is, "disk").restart.limit = 9;
    named(is, "data").health.push_back({});
    named(is, "ip").offline_timeout = std::chrono::seconds(1);
    named(is, "server").possible = {true, false};
    auto const change = compare(was, is);
    EXPECT_THAT(change.makes_way(), IsEmpty());
    EXPECT_THAT(change.adjusted, ElementsAre("data", "disk", "ip", "server"));
}

TEST(Change, AGroupsOwnAttributesTouchNoResource) {
    Spec const was = policy::web_spec();
    Spec is = was;
    is.groups[0].priority = 3;
    auto const change = compare(was, is);
    EXPECT_THAT(change.groups, ElementsAre("web"));
    EXPECT_THAT(change.adjusted, IsEmpty());
    EXPECT_FALSE(change.nothing());
}

TEST(Change, DroppedAddedAndInAnotherGroup) {
    Spec const was = policy::web_spec();
    Spec is = was;
    std::erase_if(is.groups[0].resources, [](ResourceSpec const& r) { return r.name == "docs" || r.name == "server"; });
    is.groups.push_back(policy::group("mail", {policy::resource("server"), policy::resource("box")}));
    auto const change = compare(was, is);
    EXPECT_THAT(change.dropped, ElementsAre("docs"));
    EXPECT_THAT(change.added, ElementsAre("box"));
    EXPECT_THAT(change.replaced, ElementsAre("server"));
    EXPECT_THAT(change.makes_way(), ElementsAre("docs", "server"));
    EXPECT_THAT(change.groups, ElementsAre("mail", "web"));
}

TEST(Change, WhatThePairIsBuiltOnIsFixed) {
    Spec const was = policy::web_spec();
    Spec is = was;
    is.cluster = "other";
    is.nodes[1].name = "gamma";
    is.nodes[0].links[0].port = 1;
    is.quorum_disk = "/dev/sdc";
    is.timing.permit *= 2;
    EXPECT_THAT(compare(was, is).fixed, ElementsAre("the cluster's name", "the links of node alpha", "the name of node beta", "the quorum disk", "the timing"));
    EXPECT_TRUE(compare(was, was).fixed.empty());
}

// ---- two nodes ---------------------------------------------------------------------------------------------------------------

ConfigPtr changed(ConfigPtr const& from, std::uint8_t number, std::function<void(Spec&)> const& edit) {
    auto made = std::make_shared<Config>(*from);
    made->hash[1] = number;
    made->xml = "<cluster number=\"" + std::to_string(number) + "\"/>";
    edit(made->spec);
    return made;
}

struct Applying : Pair {
    Outcome apply(NodeIndex at_node, ConfigPtr config, Ns wait = 5 * s, Hash base = {}) {
        Command command{"", Verb::apply};
        command.user = "ann";
        command.config = std::move(config);
        command.base = base;
        return order(at_node, command, wait);
    }
    Hash counts(NodeIndex n) { return c.machine(n).node->config()->hash; }
    ConfigPtr first() { return c.setup.config; }
    // The change that takes long: its web-data stops for so long that the test can step in.
    void begin_slowly(NodeIndex at_node, ConfigPtr next) {
        c.conditions.stop = {2 * s, 2 * s};
        apply(at_node, std::move(next), 500 * ms);
    }
};

ConfigPtr other_data(ConfigPtr const& from, std::uint8_t number = 1) {
    return changed(from, number, [](Spec& spec) { named(spec, "web-data").attributes["option"] = "x"; });
}

TEST(Applying, FromEitherNodeCountsOnBothAndTouchesNothingElse) {
    for (auto n : {a, b}) {
        Applying p;
        p.c.conditions.nothing_may_stop = true;  // breaks an invariant
        p.c.conditions.only_fault = "a new configuration";
        auto const next = changed(p.first(), 1, [](Spec& spec) {
            named(spec, "web-server").restart.limit = 7;
            named(spec, "web-ip").health.push_back({"tcp", {}, std::chrono::seconds(1), std::chrono::seconds(1), 2, 0});
            spec.groups.push_back(policy::group("more", {policy::resource("more-one")}));
        });
        EXPECT_EQ(p.apply(n, next), Outcome::done);
        EXPECT_EQ(p.counts(a), next->hash);
        EXPECT_EQ(p.counts(b), next->hash);
        EXPECT_TRUE(p.on(a, "more-one") || p.on(b, "more-one"));
        EXPECT_TRUE(p.c.machine(a).running.at("web-ip").checks);  // its first check runs, though it was online all the time
    }
}

TEST(Applying, WhatIsReplacedIsStartedAnewAndWhatNeedsItWaits) {
    Applying p;
    auto const next = other_data(p.first());
    EXPECT_EQ(p.apply(b, next), Outcome::done);
    EXPECT_TRUE(p.web_on(a));
    EXPECT_EQ(p.c.machine(a).running.at("web-data").spec->attributes.at("option"), "x");
    EXPECT_TRUE(p.c.machine(a).node->decision()->making_way.empty());
}

TEST(Applying, IsRefusedWithAReasonAndChangesNothing) {
    Applying p;
    p.c.logging = true;
    auto const says = [&](std::string const& words) {
        return std::any_of(p.c.log.begin(), p.c.log.end(), [&](std::string const& line) { return line.find(words) != std::string::npos; });
    };
    Hash other_base{};
    other_base[5] = 5;
    EXPECT_EQ(p.apply(a, changed(p.first(), 1, [](Spec& spec) { spec.timing.permit *= 2; })), Outcome::refused);
    EXPECT_TRUE(says("can't be changed while the cluster runs: the timing"));
    EXPECT_EQ(p.apply(a, other_data(p.first()), 5 * s, other_base), Outcome::refused);
    EXPECT_TRUE(says("changed by someone else meanwhile"));
    EXPECT_EQ(p.apply(p.leader(), nullptr), Outcome::refused);
    EXPECT_TRUE(says("can't read this configuration"));
    EXPECT_EQ(p.apply(a, p.first()), Outcome::done);
    EXPECT_TRUE(says("counts already"));
    EXPECT_EQ(p.counts(a), p.first()->hash);
    EXPECT_EQ(p.counts(b), p.first()->hash);
    EXPECT_TRUE(p.web_on(a));
}

TEST(Applying, OneAfterTheOther) {
    Applying p;
    p.begin_slowly(a, other_data(p.first()));
    EXPECT_EQ(p.apply(b, other_data(p.first(), 2), 100 * ms), Outcome::refused);
    p.run(10 * s);
    EXPECT_EQ(p.counts(b), other_data(p.first())->hash);
    EXPECT_EQ(p.apply(b, other_data(p.first(), 2)), Outcome::done);
}

TEST(Applying, ALeaderThatIsLostMeanwhileHasChangedNothing) {
    Applying p;
    NodeIndex const leader = p.leader(), survivor = other(leader);
    if (!p.web_on(survivor)) p.order(survivor, Verb::move, "web", name_of(p.c.spec(), survivor));
    ASSERT_TRUE(p.web_on(survivor));
    p.begin_slowly(survivor, other_data(p.first()));
    ASSERT_FALSE(p.c.machine(survivor).node->decision()->making_way.empty());
    p.c.power_cut(leader);
    p.run(20 * s);
    EXPECT_TRUE(p.web_on(survivor));
    EXPECT_EQ(p.counts(survivor), p.first()->hash);
    EXPECT_TRUE(p.c.machine(survivor).node->decision()->making_way.empty());
    EXPECT_EQ(p.c.memory.commands.rbegin()->second.outcome, Outcome::failed);
}

TEST(Applying, ALeaderWhoseWorkerDiesMeanwhileCallsItOff) {
    int went_on = 0;
    for (int i = 0; i < 10; ++i) {
        Applying p;
        for (int k = 0; k < i; ++k) p.c.random.next();
        p.begin_slowly(p.leader(), other_data(p.first()));
        std::uint64_t const incarnation = p.c.machine(p.leader()).incarnation;
        NodeIndex const leader = p.leader();
        p.c.kill_worker(leader, 50 * ms);
        p.run(20 * s);
        went_on += p.c.machine(leader).incarnation == incarnation;
        EXPECT_TRUE(p.web_on(a) || p.web_on(b));
        EXPECT_EQ(p.counts(a), p.first()->hash);
        EXPECT_TRUE(p.c.machine(a).node->decision()->making_way.empty());
    }
    EXPECT_GT(went_on, 0);
}

TEST(Applying, AnOwnerThatIsLostIsWaitedForUntilItsPermitIsOver) {
    Applying p;
    NodeIndex const leader = p.leader(), owner = other(leader);
    p.order(leader, Verb::move, "web", name_of(p.c.spec(), owner));
    p.order(leader, Verb::move, "mail", name_of(p.c.spec(), leader));  // as fit as the other, it doesn't wait
    ASSERT_TRUE(p.web_on(owner));
    // The address goes to the group that has no part in it, under another name: it must not be held twice.
    auto const next = changed(p.first(), 1, [](Spec& spec) {
        auto moved = named(spec, "web-ip");
        moved.name = "second-ip";
        std::erase_if(spec.groups[0].resources, [](ResourceSpec const& r) { return r.name == "web-ip"; });
        named(spec, "web-server").depends = {};
        spec.groups.push_back(policy::group("third", {moved}));
    });
    p.c.freeze(owner, true);
    while (p.c.memory.role[at(leader)] != Role::alone) p.run(ms);
    ASSERT_TRUE(p.c.permitted(owner));
    EXPECT_EQ(p.apply(leader, next, 20 * s), Outcome::done);
    EXPECT_EQ(p.counts(leader), next->hash);
    EXPECT_TRUE(p.on(leader, "second-ip"));
    p.c.thaw(owner);
    p.run(20 * s);
    EXPECT_EQ(p.counts(owner), next->hash);
}

TEST(Applying, ANodeThatWasAwayGoesOverWhenItIsBack) {
    Applying p;
    p.c.power_cut(b);
    p.run(5 * s);
    auto const next = changed(other_data(p.first()), 1, [](Spec& spec) { spec.groups.erase(spec.groups.begin() + 1); });
    EXPECT_EQ(p.apply(a, next), Outcome::done);
    p.c.power_on(b);
    p.run(5 * s);
    EXPECT_EQ(p.counts(b), next->hash);
    p.c.power_cut(a);
    p.run(5 * s);
    EXPECT_TRUE(p.web_on(b));
}

// It finds on the disk what was decided without it: by that configuration it plans, though it hasn't gone over to it yet.
TEST(Applying, ANodeThatWasAwayTakesOverByWhatWasDecidedWithoutIt) {
    Applying p;
    p.c.power_cut(a);
    p.run(5 * s);
    auto const next = changed(p.first(), 1, [](Spec& spec) { spec.groups.push_back(policy::group("more", {policy::resource("more-one")})); });
    EXPECT_EQ(p.apply(b, next), Outcome::done);
    EXPECT_EQ(p.order(b, Verb::offline, "more"), Outcome::done);
    p.c.power_cut(b);
    p.c.power_on(a);
    p.run(10 * s);
    EXPECT_TRUE(p.web_on(a));
    EXPECT_EQ(p.counts(a), next->hash);
    auto const& groups = p.c.machine(a).node->decision()->groups;
    ASSERT_TRUE(groups.contains("more"));
    EXPECT_FALSE(groups.at("more").wanted_online);  // the operator's word, given while it was away
}

TEST(Applying, WhatAnOperatorTookOfflineStaysSoInAnotherGroup) {
    Applying p;
    EXPECT_EQ(p.order(a, Verb::offline, "mail-ip"), Outcome::done);
    auto const next = changed(p.first(), 1, [](Spec& spec) {
        auto moved = named(spec, "mail-ip");
        moved.depends = {};
        std::erase_if(spec.groups[1].resources, [](ResourceSpec const& r) { return r.name == "mail-ip"; });
        spec.groups[0].resources.push_back(moved);
    });
    EXPECT_EQ(p.apply(a, next), Outcome::done);
    EXPECT_FALSE(p.on(a, "mail-ip"));
    EXPECT_THAT(p.c.machine(a).node->decision()->groups.at("web").held_offline, ElementsAre("mail-ip"));
    EXPECT_THAT(p.c.machine(a).node->decision()->groups.at("mail").held_offline, IsEmpty());
}

// Killed in vain, and dropped meanwhile by the other node: it isn't forgotten before it has ended.
TEST(Applying, WhatCanNotBeEndedIsNotForgotten) {
    Applying p;
    p.c.resource_sticks(a, "web-data", never);
    p.run(40 * s);  // a gives up its permit
    ASSERT_TRUE(p.on(b, "web-data"));
    auto const next = changed(p.first(), 1, [](Spec& spec) {
        spec.groups[0].resources.erase(spec.groups[0].resources.begin() + 1);
        for (auto& r : spec.groups[0].resources) r.depends = {};
    });
    EXPECT_EQ(p.apply(b, next), Outcome::done);
    p.run(10 * s);
    EXPECT_EQ(p.counts(a), p.first()->hash);
    p.c.machine(a).running.at("web-data").dies_at = p.c.now;
    p.run(60 * s);
    EXPECT_EQ(p.counts(a), next->hash);
}

// ---- on trial ----------------------------------------------------------------------------------------------------------------

struct OnTrial : Applying {
    Outcome apply_for(NodeIndex at_node, ConfigPtr config, Ns time) {
        Command command{"", Verb::apply};
        command.config = std::move(config);
        command.confirm_ms = time / ms;
        return order(at_node, command);
    }
    Outcome confirm(NodeIndex at_node) { return order(at_node, {"", Verb::confirm, ""}); }
    Unconfirmed const& waits(NodeIndex n) { return c.machine(n).node->decision()->unconfirmed; }
    std::uint64_t revision(NodeIndex n) { return c.machine(n).node->decision()->origin.revision; }
};

TEST(OnTrial, ComesBackByItselfUnlessItIsConfirmed) {
    for (auto n : {a, b}) {
        OnTrial p;
        auto const next = other_data(p.first());
        EXPECT_EQ(p.apply_for(n, next, 20 * s), Outcome::done);
        EXPECT_EQ(p.revision(a), 1U);
        p.run(14 * s);
        EXPECT_EQ(p.counts(a), next->hash);
        p.run(10 * s);
        EXPECT_EQ(p.counts(a), p.first()->hash);
        EXPECT_EQ(p.counts(b), p.first()->hash);
        EXPECT_EQ(p.revision(b), 2U);  // it counted, and is in the history
        EXPECT_EQ(p.waits(a), Unconfirmed{});
        EXPECT_TRUE(p.web_on(a));
        EXPECT_EQ(p.confirm(n), Outcome::refused);  // too late: and it must be said
    }
}

TEST(OnTrial, StaysOnceItIsConfirmedOnEitherNode) {
    for (auto n : {a, b}) {
        OnTrial p;
        auto const next = other_data(p.first());
        EXPECT_EQ(p.apply_for(a, next, 20 * s), Outcome::done);
        EXPECT_EQ(p.confirm(n), Outcome::done);
        EXPECT_EQ(p.waits(b), Unconfirmed{});
        p.run(60 * s);
        EXPECT_EQ(p.counts(b), next->hash);
    }
}

// The one who typed it, the leader with it, loses its power: the survivor knows what came before.
TEST(OnTrial, TheOtherNodeTakesItBackToo) {
    OnTrial p;
    NodeIndex const leader = p.leader(), survivor = other(leader);
    EXPECT_EQ(p.apply_for(leader, other_data(p.first()), 20 * s), Outcome::done);
    p.c.power_cut(leader);
    p.run(25 * s);
    EXPECT_EQ(p.counts(survivor), p.first()->hash);
    p.c.power_on(leader);
    p.run(10 * s);
    EXPECT_EQ(p.counts(leader), p.first()->hash);
}

TEST(OnTrial, AnotherOneThatIsAppliedMeanwhileStays) {
    OnTrial p;
    EXPECT_EQ(p.apply_for(a, other_data(p.first()), 20 * s), Outcome::done);
    auto const second = other_data(p.first(), 2);
    EXPECT_EQ(p.apply(b, second), Outcome::done);
    p.run(60 * s);
    EXPECT_EQ(p.counts(a), second->hash);
    EXPECT_EQ(p.confirm(a), Outcome::refused);
}

// What is in its way (a maintenance of what it would stop) only delays it.
TEST(OnTrial, ItIsTriedUntilItCanBe) {
    OnTrial p;
    auto const next = other_data(p.first());
    EXPECT_EQ(p.apply_for(a, next, 10 * s), Outcome::done);
    Command maintenance{"", Verb::maintenance, "web"};
    EXPECT_EQ(p.order(a, maintenance), Outcome::done);
    p.run(60 * s);
    EXPECT_EQ(p.counts(a), next->hash);
    maintenance.on = false;
    EXPECT_EQ(p.order(a, maintenance), Outcome::done);
    p.run(10 * s);
    EXPECT_EQ(p.counts(a), p.first()->hash);
}

TEST(OnTrial, WhatIsTooLongToBeKeptIsRefusedAndCanBeAppliedWithout) {
    OnTrial p;
    auto const large = std::make_shared<Config>(*other_data(p.first()));
    large->xml += std::string(longest_unconfirmed_xml, ' ');
    EXPECT_EQ(p.apply_for(a, large, 20 * s), Outcome::done);  // it is the one before that is kept
    EXPECT_EQ(p.confirm(a), Outcome::done);
    EXPECT_EQ(p.apply_for(a, p.first(), 20 * s), Outcome::refused);
    EXPECT_EQ(p.apply(a, p.first()), Outcome::done);
}

// Two in one draft, from programs that name no base: the second is compared with the first, whose address it takes elsewhere.
TEST(Applying, TwoInOneDraftAreOneAfterTheOther) {
    Applying p;
    NodeIndex const leader = p.leader();
    ResourceSpec address = policy::resource("third-ip");
    address.type = "ip-address";
    address.attributes["address"] = "x";
    auto const first = changed(p.first(), 1, [&](Spec& spec) {
        spec.groups.push_back(policy::group("third", {address}));
        spec.groups.back().preferred = a;
    });
    auto const second = changed(p.first(), 2, [&](Spec& spec) {
        named(spec, "web-data").attributes["option"] = "x";
        address.name = "fourth-ip";
        spec.groups.push_back(policy::group("fourth", {address}));
        spec.groups.back().preferred = b;
    });
    p.c.conditions.stop = {2 * s, 2 * s};
    p.c.command(leader, {"0", Verb::reset, "web"});  // under way while both come in
    for (auto const& [id, config] : {std::pair<std::string, ConfigPtr>{"1", first}, {"2", second}}) {
        Command command{id, Verb::apply};
        command.config = config;
        p.c.command(leader, command);
    }
    p.run(20 * s);
    EXPECT_EQ(p.counts(a), second->hash);
    EXPECT_EQ(p.counts(b), second->hash);
    EXPECT_TRUE(p.on(b, "fourth-ip"));
    EXPECT_TRUE(p.web_on(a));
}

}  // namespace
