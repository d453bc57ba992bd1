// Looking things up by name, and what "needs" and "can't be without" mean where dependencies have and, or and parentheses.
#include "tests/unit/core/policy_world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::policy;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

bool fulfilled_with(Dependency const& d, std::set<std::string> const& there) {
    return fulfilled(d, [&](std::string const& n) { return there.contains(n); });
}

TEST(Names, ANameIsAGroupOrAResourceOfOne) {
    Spec const s = web_spec();
    EXPECT_EQ(find_by_name(s, "web").group, &s.groups[0]);
    EXPECT_EQ(find_by_name(s, "web").resource, nullptr);
    EXPECT_EQ(find_by_name(s, "ip").group, &s.groups[0]);
    EXPECT_EQ(find_by_name(s, "ip").resource->name, "ip");
    EXPECT_EQ(find_by_name(s, "alpha").group, nullptr);
    EXPECT_EQ(find_by_name(s, "").group, nullptr);
}

TEST(Names, NodesAreFoundByTheirNamesOnly) {
    Spec const s = web_spec();
    EXPECT_EQ(find_node(s, "alpha"), a);
    EXPECT_EQ(find_node(s, "beta"), b);
    EXPECT_EQ(find_node(s, "web"), std::nullopt);
    EXPECT_EQ(name_of(s, b), "beta");
}

TEST(Dependencies, NoneIsFulfilledByNothing) { EXPECT_TRUE(fulfilled_with({}, {})); }

TEST(Dependencies, AnyOfNothingIsNotFulfilled) { EXPECT_FALSE(fulfilled_with(any_of({}), {"x"})); }

TEST(Dependencies, ParenthesesCount) {
    Dependency const d = all_of({needs("ip"), any_of({needs("left"), needs("right")})});
    EXPECT_TRUE(fulfilled_with(d, {"ip", "left"}));
    EXPECT_TRUE(fulfilled_with(d, {"ip", "right"}));
    EXPECT_FALSE(fulfilled_with(d, {"ip"}));
    EXPECT_FALSE(fulfilled_with(d, {"left", "right"}));
}

TEST(Dependencies, WhatAResourceNeedsGoesAllTheWayDown) {
    Spec const s = web_spec();
    EXPECT_THAT(with_dependencies(s.groups[0], "server"), UnorderedElementsAre("server", "data", "disk", "ip"));
    EXPECT_THAT(with_dependencies(s.groups[0], "disk"), ElementsAre("disk"));
}

TEST(Dependencies, BothAlternativesAreNeededToBeTried) {
    GroupSpec const g = group("g", {resource("left"), resource("right"), resource("server", any_of({needs("left"), needs("right")}))});
    EXPECT_THAT(with_dependencies(g, "server"), UnorderedElementsAre("server", "left", "right"));
}

TEST(Dependencies, WhatCantBeWithoutAResourceGoesAllTheWayUp) {
    Spec const s = web_spec();
    EXPECT_THAT(with_dependents(s.groups[0], "disk"), UnorderedElementsAre("disk", "data", "server", "docs"));
    EXPECT_THAT(with_dependents(s.groups[0], "ip"), UnorderedElementsAre("ip", "server"));
    EXPECT_THAT(with_dependents(s.groups[0], "server"), ElementsAre("server"));
}

TEST(Dependencies, WhatHasAnAlternativeCanBeWithoutEither) {
    GroupSpec const g = group("g", {resource("left"), resource("right"), resource("server", any_of({needs("left"), needs("right")}))});
    EXPECT_THAT(with_dependents(g, "left"), ElementsAre("left"));
}

TEST(Dependencies, AlternativesThatNeedTheSameThingAreNone) {
    GroupSpec const g = group("g", {resource("disk"), resource("left", needs("disk")), resource("right", needs("disk")),
                                    resource("server", any_of({needs("left"), needs("right")}))});
    EXPECT_THAT(with_dependents(g, "disk"), UnorderedElementsAre("disk", "left", "right", "server"));
}

TEST(Names, StatesAndVerbsAreSaidAsTheToolSaysThem) {
    EXPECT_STREQ(word(ResourceState::online_pending), "online-pending");
    EXPECT_STREQ(word(ResourceState::offline_pending), "offline-pending");
    EXPECT_STREQ(word(ResourceState::unknown), "unknown");
    EXPECT_STREQ(word(Verb::pause), "pause");
    EXPECT_STREQ(word(Verb::reset), "reset");
}

}  // namespace
