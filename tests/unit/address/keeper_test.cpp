// The keeper on a real wire: this node in a namespace, a stranger (or the peer) at the other end of the cable.
#include "clusterd/address/keeper.hpp"
#include "clusterd/shell/loop_asio.hpp"
#include "tests/unit/resources/namespaces.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class Keeper : public TwoMachines, public testing::WithParamInterface<char const*> {
protected:
    static constexpr AddressKeeper::Pace hurry{.ask = 200ms, .announce = 1s, .settled = 1s};
    std::string address() const { return GetParam(); }
    bool v6() const { return address().find(':') != std::string::npos; }
    std::string with_prefix() const { return address() + (v6() ? "/64" : "/24"); }

    void make(bool ask = true) {
        keeper = std::make_unique<AddressKeeper>(
            *loop, "beta",
            AddressKeeper::Callbacks{.announce = [this](std::string const&, int times) { announced.push_back(times); },
                                     .record = [this](effect::RecordEvent const& e) { events.push_back(e); },
                                     .own_macs_changed = [this] { ++mac_changes; }},
            hurry);
        keeper->configure({{"web", "web-ip", *parse_address_prefix(with_prefix()), "eth0", ask}});
    }
    void TearDown() override {
        keeper.reset();
        TwoMachines::TearDown();
    }
    bool until(std::function<bool()> const& condition, Duration limit = 20s) {
        Instant const end = loop->now().mono + limit;
        while (!condition()) {
            if (loop->now().mono >= end) return false;
            auto const timer = loop->at(loop->now().mono + 5ms, [this] { loop->stop(); });
            loop->run();
        }
        return true;
    }
    void stranger_takes_it() { ASSERT_TRUE(ip_b("address add " + with_prefix() + " dev eth0" + (v6() ? " nodad" : ""))); }
    void stranger_gives_it_up() { ASSERT_TRUE(ip_b("address del " + with_prefix() + " dev eth0")); }
    net::Mac mac_of_b() {
        enter(b_);
        auto const link = net::find_link("eth0");
        enter(a_);
        return (*link)->mac;
    }
    bool told() {
        return std::any_of(events.begin(), events.end(), [](auto const& e) { return e.severity == Severity::critical; });
    }

    std::unique_ptr<AsioLoop> loop = make_loop();
    std::unique_ptr<AddressKeeper> keeper;
    std::vector<int> announced;
    std::vector<effect::RecordEvent> events;
    int mac_changes = 0;
};
INSTANTIATE_TEST_SUITE_P(Families, Keeper, testing::Values("10.77.0.100", "fd77::100"),
                         [](auto const& given) { return std::string(given.param[0] == 'f' ? "v6" : "v4"); });

TEST_P(Keeper, AStandbyTellsOnceOfAMachineThatIsNeitherNode) {
    make();
    keeper->peer_macs({{2, 0, 0, 0, 0, 1}});
    keeper->role(Role::joined);
    EXPECT_FALSE(until([&] { return told(); }, 1s)) << "nobody has it yet";
    stranger_takes_it();
    ASSERT_TRUE(until([&] { return told(); }));
    EXPECT_FALSE(until([&] { return events.size() > 1; }, 2s)) << "a flood";
    EXPECT_EQ(events[0].resource, "web-ip");
    EXPECT_THAT(events[0].message, HasSubstr(address()));
    EXPECT_THAT(events[0].message, HasSubstr(net::format_mac(mac_of_b())));
    EXPECT_THAT(events[0].message, HasSubstr("02:00:00:00:00:01"));
    EXPECT_THAT(events[0].message, HasSubstr("eth0"));
    ASSERT_EQ(keeper->concerns().size(), 1u);
    EXPECT_EQ(keeper->concerns()[0], events[0].message);
    stranger_gives_it_up();
    ASSERT_TRUE(until([&] { return keeper->concerns().empty(); }, 60s));
    EXPECT_EQ(events.size(), 2u);
    EXPECT_EQ(events[1].severity, Severity::info);
}

TEST_P(Keeper, TheOwnerTellsOfItTooAndMeansItself) {
    ASSERT_TRUE(ip_a("address add " + with_prefix() + " dev eth0" + (v6() ? " nodad" : "")));
    make();
    keeper->role(Role::alone);
    keeper->online("web-ip", true);
    stranger_takes_it();
    ASSERT_TRUE(until([&] { return told(); }));
    EXPECT_THAT(events[0].message, HasSubstr("this node"));
    EXPECT_THAT(events[0].message, HasSubstr(net::format_mac(mac_of_b())));
}

TEST_P(Keeper, ThePeerMayHaveWhatIsntOnlineHereAndNotWhatIs) {
    stranger_takes_it();  // the peer, that is
    make();
    keeper->peer_macs({mac_of_b()});
    keeper->role(Role::joined);
    EXPECT_FALSE(until([&] { return told(); }, 2s)) << "the owner answers: all is well";
    // A move to here: in the first moments the peer's late words count for nothing.
    keeper->online("web-ip", true);
    EXPECT_FALSE(until([&] { return told(); }, 800ms));
    ASSERT_TRUE(until([&] { return told(); })) << "but then it has given it up, or should have";
    EXPECT_THAT(events[0].message, HasSubstr("node beta"));
}

TEST_P(Keeper, NobodyIsSuspectedBeforeItIsKnownWhoThePeerIs) {
    stranger_takes_it();
    make();
    keeper->role(Role::joined);
    EXPECT_FALSE(until([&] { return told(); }, 2s)) << "it may be the peer";
    keeper->role(Role::seeking);
    keeper->peer_macs({{2, 0, 0, 0, 0, 1}});
    EXPECT_FALSE(until([&] { return told(); }, 2s)) << "a node that seeks knows too little";
    keeper->role(Role::joined);
    EXPECT_TRUE(until([&] { return told(); }));
}

TEST_P(Keeper, ItsOwnOtherInterfaceIsNoStranger) {
    // ARP flux: a second interface of this node's on the same segment answers, too.
    ASSERT_TRUE(ip_a("link add eth1 type veth peer name eth1 netns " + b_));
    ASSERT_TRUE(ip_b("link add br0 type bridge mcast_snooping 0 && for i in eth0 eth1; do ip -n " + b_ + " link set $i master br0 up; done && ip -n " +
                     b_ + " link set br0 up && ip -n " + a_ + " link set eth1 up"));
    ASSERT_TRUE(ip_a("address add " + with_prefix() + " dev eth1" + (v6() ? " nodad" : "")));
    auto const eth0 = net::find_link("eth0"), eth1 = net::find_link("eth1");
    auto ear = net::Listener::open(**eth0, v6());
    ASSERT_TRUE(ear) << ear.error();
    (*ear)->listen_for({parse_address_prefix(with_prefix())->address}, {});
    std::optional<net::Listener::Claim> claim;
    ASSERT_TRUE(until([&] {
        (void)(*ear)->ask(parse_address_prefix(with_prefix())->address);
        claim = (*ear)->next();
        return claim.has_value();
    })) << "it was to answer (else this shows nothing)";
    EXPECT_EQ(claim->mac, (*eth1)->mac);
    make();
    keeper->role(Role::alone);
    keeper->online("web-ip", true);
    EXPECT_FALSE(until([&] { return told(); }, 4s));
}

TEST_P(Keeper, WhoDoesntWantToAskDoesnt) {
    stranger_takes_it();
    make(false);
    keeper->peer_macs({{2, 0, 0, 0, 0, 1}});
    keeper->role(Role::joined);
    EXPECT_FALSE(until([&] { return told(); }, 2s));
}

TEST_P(Keeper, WhatIsOnlineIsAnnouncedAgainAfterASplitAndSlowlyOnItsOwn) {
    make();
    keeper->role(Role::joined);
    EXPECT_FALSE(until([&] { return !announced.empty(); }, 1500ms)) << "nothing is online here";
    keeper->online("web-ip", true);
    ASSERT_TRUE(until([&] { return !announced.empty(); }));
    EXPECT_EQ(announced.back(), 1) << "the slow refresh";
    keeper->role(Role::seeking);
    announced.clear();
    keeper->role(Role::alone);
    ASSERT_FALSE(announced.empty()) << "at once";
    EXPECT_EQ(announced.back(), 5);
    EXPECT_FALSE(until([] { return false; }, 600ms));
    announced.clear();
    keeper->healed();
    keeper->healed();
    EXPECT_EQ(std::count(announced.begin(), announced.end(), 5), 1) << "not for every packet of it";
    keeper->nothing_online();
    announced.clear();
    EXPECT_FALSE(until([&] { return !announced.empty(); }, 1500ms));
    EXPECT_EQ(mac_changes, 1) << "the peer is told who we are";
    EXPECT_FALSE(keeper->own_macs().empty());
}

TEST_P(Keeper, ACleanStartTakesOffWhatIsTheClustersAndNothingElse) {
    std::string const other = v6() ? "fd77::7/64" : "10.77.0.7/24", nodad = v6() ? " nodad" : "";
    ASSERT_TRUE(ip_a("address add " + other + " dev eth0" + nodad + " && ip -n " + a_ + " address add " + with_prefix() + " dev eth0" + nodad));
    std::vector<AddressKeeper::Address> const all{{"web", "web-ip", *parse_address_prefix(with_prefix()), "eth7", true}};
    auto const swept = sweep_addresses(all);
    ASSERT_TRUE(swept) << swept.error();
    ASSERT_EQ(swept->size(), 1u);
    EXPECT_THAT(swept->front(), HasSubstr(with_prefix()));
    EXPECT_THAT(swept->front(), HasSubstr("eth0"));
    EXPECT_TRUE(net::find_address(parse_address_prefix(with_prefix())->address)->empty());
    EXPECT_EQ(net::find_address(parse_address_prefix(other)->address)->size(), 1u);
    auto const again = sweep_addresses(all);
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->empty());
}

TEST(Mac, ReadsWhatItWrote) {
    net::Mac const mac{0x02, 0x77, 0, 0xa, 0xbc, 0xff};
    EXPECT_EQ(net::parse_mac(net::format_mac(mac)), mac);
    for (char const* bad : {"", "02:77:00:0a:bc", "02:77:00:0a:bc:fg", "02-77-00-0a-bc-ff", "02:77:00:0a:bc:ff ", "0277000abcff"})
        EXPECT_FALSE(net::parse_mac(bad)) << bad;
}

}  // namespace
}  // namespace clusterd
