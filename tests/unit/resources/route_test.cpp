// A route of the cluster's, for real: in a namespace with a neighbour at the other end of the cable that has networks behind it.
#include "resources/route.hpp"
#include "clusterd/address/routes.hpp"
#include "tests/unit/resources/fake_guard.hpp"
#include "tests/unit/resources/namespaces.hpp"
#include "tests/unit/resources/programs.hpp"

#include <gmock/gmock.h>

namespace clusterd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Routes : public TwoMachines {
protected:
    void SetUp() override {
        TwoMachines::SetUp();
        if (IsSkipped()) return;
        ASSERT_TRUE(ip_a("address add 10.88.0.1/24 dev eth0") && ip_a("address add 10.88.0.100/24 dev eth0") && ip_a("address add fd88::1/64 dev eth0 nodad"));
        ASSERT_TRUE(ip_b("address add 10.88.0.2/24 dev eth0") && ip_b("address add fd88::2/64 dev eth0 nodad"));
        ASSERT_TRUE(ip_b("address add 10.99.0.1/32 dev lo") && ip_b("address add fd99::1/128 dev lo"));
    }
    DriverPtr make(std::map<std::string, std::string> attributes) {
        ResourceSpec r;
        r.name = "r";
        r.type = "route";
        r.attributes = std::move(attributes);
        return make_route_driver(r, {.guard = guard_, .events = events_, .changed = [this](DriverOutcome outcome) { heard_.tell(std::move(outcome)); }});
    }
    DriverPtr usual(std::map<std::string, std::string> more = {}) {
        std::map<std::string, std::string> all{{"destination", "10.99.0.0/16"}, {"gateway", "10.88.0.2"}, {"interface", "eth0"}};
        for (auto const& [name, value] : more) all[name] = value;
        return make(all);
    }
    std::string routes(std::string const& of = "") const { return output_of("ip -n " + a_ + " route show " + of); }
    bool reaches(std::string const& address) const { return sh("ip netns exec " + a_ + " ping -n -c 1 -W 5 " + address); }
    DriverOutcome told() {
        auto outcome = heard_.wait();
        EXPECT_TRUE(outcome);
        return outcome.value_or(DriverOutcome{});
    }

    AddressGuard guard_;
    GuardEvents events_;
    Heard heard_;
};

TEST_F(Routes, StandsWhileItIsOnline) {
    auto const route = usual({{"source", "10.88.0.100"}});
    EXPECT_EQ(route->probe(in_time()).state, ResourceState::offline);
    EXPECT_FALSE(reaches("10.99.0.1"));
    DriverOutcome const started = route->start(in_time());
    ASSERT_EQ(started.state, ResourceState::online) << started.message;
    EXPECT_THAT(routes("proto 79"), HasSubstr("10.99.0.0/16 via 10.88.0.2 dev eth0 src 10.88.0.100"));
    EXPECT_TRUE(reaches("10.99.0.1"));
    EXPECT_EQ(route->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(route->start(in_time()).state, ResourceState::online);  // what is online
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(routes("proto 79"), "");
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
    EXPECT_TRUE(heard_.nothing());
}

TEST_F(Routes, OfADriverThatDiedIsFoundAndTakenOff) {
    ASSERT_EQ(usual()->start(in_time()).state, ResourceState::online);
    auto const next = usual();
    EXPECT_EQ(next->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(next->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(routes("proto 79"), "");
}

TEST_F(Routes, OfOthersAreLeftAlone) {
    ASSERT_TRUE(ip_a("route add 10.99.0.0/16 via 10.88.0.2"));
    auto const route = usual();
    EXPECT_EQ(route->probe(in_time()).state, ResourceState::offline);
    DriverOutcome const started = route->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_THAT(started.message, HasSubstr("route to 10.99.0.0/16: another route to that network with metric 0 stands already"));
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
    EXPECT_THAT(routes(), HasSubstr("10.99.0.0/16 via 10.88.0.2"));
    auto const beside = usual({{"metric", "50"}});
    EXPECT_EQ(beside->start(in_time()).state, ResourceState::online);
    EXPECT_THAT(routes("proto 79"), HasSubstr("metric 50"));
    EXPECT_EQ(beside->stop(in_time()).state, ResourceState::offline);
    EXPECT_THAT(routes(), HasSubstr("10.99.0.0/16 via 10.88.0.2"));
}

TEST_F(Routes, WithoutAnInterfaceTheKernelFindsIt) {
    auto const route = make({{"destination", "10.99.0.1/32"}, {"gateway", "10.88.0.2"}});
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    EXPECT_THAT(routes("proto 79"), HasSubstr("10.99.0.1 via 10.88.0.2 dev eth0"));
    EXPECT_EQ(route->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
}

TEST_F(Routes, WithoutAGatewayTheNetworkIsOnTheInterface) {
    auto const route = make({{"destination", "10.77.0.0/24"}, {"interface", "eth0"}});
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    EXPECT_THAT(routes("proto 79"), HasSubstr("10.77.0.0/24 dev eth0 scope link"));
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
}

TEST_F(Routes, Ipv6WithALinkLocalGatewayAndATableOfItsOwn) {
    ASSERT_TRUE(ip_b("address add fe80::b/64 dev eth0 nodad"));
    auto const route = make({{"destination", "fd99::/64"}, {"gateway", "fe80::b"}, {"interface", "eth0"}, {"source", "fd88::1"}});
    DriverOutcome const started = route->start(in_time());
    ASSERT_EQ(started.state, ResourceState::online) << started.message;
    EXPECT_TRUE(reaches("fd99::1"));
    EXPECT_EQ(route->probe(in_time()).state, ResourceState::online);
    auto const in_table = make({{"destination", "::/0"}, {"gateway", "fd88::2"}, {"table", "4711"}, {"metric", "9"}});
    EXPECT_EQ(in_table->probe(in_time()).state, ResourceState::offline);  // no such table
    ASSERT_EQ(in_table->start(in_time()).state, ResourceState::online);
    EXPECT_THAT(output_of("ip -6 -n " + a_ + " route show table 4711"), HasSubstr("default via fd88::2 dev eth0 proto 79 metric 9"));
    EXPECT_EQ(in_table->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(in_table->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(output_of("ip -6 -n " + a_ + " route show table all proto 79"), "");
    auto const four = make({{"destination", "0.0.0.0/0"}, {"gateway", "10.88.0.2"}, {"table", "4711"}});
    EXPECT_EQ(four->probe(in_time()).state, ResourceState::offline);
    ASSERT_EQ(four->start(in_time()).state, ResourceState::online);
    EXPECT_THAT(routes("table 4711"), HasSubstr("default via 10.88.0.2 dev eth0 proto 79"));
    EXPECT_EQ(four->stop(in_time()).state, ResourceState::offline);
}

TEST_F(Routes, RemovedByHandItIsNoticed) {
    auto const route = usual();
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("route del 10.99.0.0/16"));
    DriverOutcome const outcome = told();
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_TRUE(outcome.restart_here);
    EXPECT_THAT(outcome.message, HasSubstr("it was removed by someone else"));
}

TEST_F(Routes, ReplacedByHandItIsNoticed) {
    auto const route = usual();
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("route replace 10.99.0.0/16 via 10.88.0.9 proto 79"));
    DriverOutcome const outcome = told();
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("stands as 10.99.0.0/16 via 10.88.0.9 dev eth0; take this resource offline"));
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(routes("proto 79"), "");
    auto const again = usual();
    ASSERT_EQ(again->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("route replace 10.99.0.0/16 via 10.88.0.9"));
    EXPECT_EQ(told().state, ResourceState::failed);
    EXPECT_EQ(again->stop(in_time()).state, ResourceState::offline);  // what stands isn't the cluster's
    EXPECT_THAT(routes(), HasSubstr("10.99.0.0/16 via 10.88.0.9"));
}

TEST_F(Routes, GoesWithItsInterface) {
    auto const route = usual();
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("link set eth0 down"));
    DriverOutcome const outcome = told();
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_FALSE(outcome.restart_here);
    EXPECT_THAT(outcome.message, HasSubstr("interface eth0 is down; set it up"));
    DriverOutcome const started = route->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_FALSE(started.restart_here);
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
}

TEST_F(Routes, ALostCarrierIsNoticed) {
    auto const route = usual();
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_b("link set eth0 down"));
    EXPECT_THAT(told().message, HasSubstr("interface eth0 has no carrier"));
    EXPECT_EQ(route->stop(in_time()).state, ResourceState::offline);
}

TEST_F(Routes, GoesWithItsSourceAddress) {
    auto const route = usual({{"source", "10.88.0.100"}});
    ASSERT_EQ(route->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("address del 10.88.0.100/24 dev eth0"));
    DriverOutcome const outcome = told();
    EXPECT_THAT(outcome.message, HasSubstr("it went with its source address 10.88.0.100"));
    EXPECT_TRUE(outcome.restart_here);
}

TEST_F(Routes, WhatTheKernelRefusesIsToldInWords) {
    EXPECT_THAT(usual({{"gateway", "10.55.0.1"}, {"interface", ""}})->start(in_time()).message, HasSubstr("its gateway can't be reached from this node"));
    EXPECT_THAT(usual({{"source", "10.88.0.77"}})->start(in_time()).message, HasSubstr("10.88.0.77 is no address of this node"));
    DriverOutcome const nowhere = usual({{"interface", "eth7"}})->start(in_time());
    EXPECT_THAT(nowhere.message, HasSubstr("its interface isn't there on this node"));
    EXPECT_FALSE(nowhere.restart_here);
    EXPECT_EQ(routes("proto 79"), "");
}

}  // namespace
}  // namespace clusterd
