// Carrier and ping targets: on loopback, and on cables between two namespaces.
#include "clusterd/link/networks.hpp"

#include "clusterd/link/pinger.hpp"
#include "tests/unit/link/cables.hpp"
#include "tests/unit/link/test_loop.hpp"

#include <sys/resource.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::Cables;
using test::TestLoop;

struct Watched {
    Watched(TestLoop& loop, std::vector<NetworkSpec> specs)
        : well(specs.size(), -1),
          message(specs.size()),
          networks(loop, specs,
                   {[this](int n, bool w, std::string m) {
                        well[static_cast<std::size_t>(n)] = w ? 1 : 0;
                        message[static_cast<std::size_t>(n)] = std::move(m);
                        ++calls;
                    },
                    [this](Severity, std::string text) { notes.push_back(std::move(text)); }},
                   50ms, 3) {}
    std::vector<int> well;  // -1: not told yet
    std::vector<std::string> message, notes;
    int calls = 0;
    Networks networks;
};

NetworkSpec network(std::string interface, std::vector<std::string> ping = {}) {
    return {"net-" + interface, interface, std::move(ping)};
}

TEST(Networks, TellOfEachOnceAtTheStart) {
    TestLoop loop;
    Watched w(loop, {network("lo"), network("nosuch0")});
    ASSERT_TRUE(loop.run_until([&] { return w.well[0] >= 0 && w.well[1] >= 0; }));
    EXPECT_EQ(w.well, (std::vector<int>{1, 0}));
    EXPECT_EQ(w.message[1], "network net-nosuch0: interface nosuch0 doesn't exist");
    loop.run_for(300ms);
    EXPECT_EQ(w.calls, 2);
}

// A network that this node can't ask for want of a file is not a network that is down: its addresses must not move.
TEST(Pinger, WithoutAFileForItsSocketNothingIsMissed) {
    TestLoop loop;
    Pinger pinger(loop, "lo", {"127.0.0.1"}, 2, [] {});
    pinger.ping();
    if (!pinger.able()) GTEST_SKIP() << "neither ICMP nor raw sockets are allowed here: pings were NOT tried";
    pinger.restart();  // as after ENETDOWN: the next ping wants a new socket
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit const none{3, before.rlim_max};  // what is open stays open
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 5; ++i) pinger.ping();
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_TRUE(pinger.any_answers());
    Pinger nobody(loop, "lo", {"192.0.2.1"}, 2, [] {});
    for (int i = 0; i < 5; ++i) nobody.ping();
    EXPECT_FALSE(nobody.any_answers()) << "one that was asked and is silent still counts";
}

class NetworksOnCables : public testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        if (!cables.good()) GTEST_SKIP() << "needs root and network namespaces: cables and pings were NOT tried";
        // With and without the unprivileged kind of ICMP socket.
        if (GetParam()) {
            std::ofstream("/proc/sys/net/ipv4/ping_group_range") << "0 2147483647";
        }
        ASSERT_TRUE(cables.plug("v0", 7));
    }
    bool is(int network, bool well) {
        return loop.run_until([&] { return watched->well[static_cast<std::size_t>(network)] == (well ? 1 : 0); });
    }
    // It is so, and nothing changed any more for ten pings.
    bool settled(std::vector<int> const& wanted) {
        int calls = watched->calls;
        Instant since = loop.now().mono;
        return loop.run_until([&] {
            if (watched->calls != calls || watched->well != wanted) calls = watched->calls, since = loop.now().mono;
            return loop.now().mono - since > 500ms;
        });
    }
    void watch(std::vector<NetworkSpec> specs) { watched = std::make_unique<Watched>(loop, std::move(specs)); }
    Cables cables;
    TestLoop loop;
    std::unique_ptr<Watched> watched;
};
INSTANTIATE_TEST_SUITE_P(BothKindsOfSocket, NetworksOnCables, testing::Values(false, true),
                         [](auto const& p) { return p.param ? "unprivileged" : "raw"; });

TEST_P(NetworksOnCables, CarrierIsSeenAtOnceAndInterfacesMayComeAndGo) {
    watch({network("v0"), network("v1")});
    ASSERT_TRUE(is(0, true));
    ASSERT_TRUE(is(1, false));
    ASSERT_TRUE(cables.at_peer("ip link set v0 down"));
    ASSERT_TRUE(is(0, false));
    EXPECT_NE(watched->message[0].find("has no carrier"), std::string::npos) << watched->message[0];
    ASSERT_TRUE(cables.at_peer("ip link set v0 up"));
    ASSERT_TRUE(is(0, true));
    ASSERT_TRUE(cables.run("ip link set v0 down"));
    ASSERT_TRUE(is(0, false));
    EXPECT_NE(watched->message[0].find("switched off"), std::string::npos) << watched->message[0];
    ASSERT_TRUE(cables.plug("v1", 8));
    ASSERT_TRUE(is(1, true));
    ASSERT_TRUE(cables.run("ip link del v1"));
    ASSERT_TRUE(is(1, false));
    EXPECT_NE(watched->message[1].find("doesn't exist"), std::string::npos);
    ASSERT_TRUE(cables.run("ip link set v0 name v1 && ip link set v1 up"));  // renamed
    ASSERT_TRUE(is(1, true));
}

TEST_P(NetworksOnCables, ASilentTargetIsNoticedAndItsReturnToo) {
    watch({network("v0")});
    ASSERT_TRUE(is(0, true));  // the kernel takes up to a second to tell of a new cable's carrier; then only pings can be missing
    watch({network("v0", {"10.7.0.2"}), network("v0", {"fd00:7::2"}), network("v0", {"10.7.0.99", "fd00:7::2"}),
           network("v0", {"10.7.0.99"})});
    ASSERT_TRUE(is(3, false));  // nobody has that address
    EXPECT_EQ(watched->message[3], "network net-v0: no ping target answers on v0 (10.7.0.99)");
    ASSERT_TRUE(settled({1, 1, 1, 0}));  // finding the neighbours for the first time can cost more than three pings of 50 ms
    ASSERT_TRUE(cables.at_peer("ip addr del 10.7.0.2/24 dev v0"));
    ASSERT_TRUE(is(0, false));
    EXPECT_EQ(watched->well[1], 1);
    EXPECT_EQ(watched->well[2], 1);
    ASSERT_TRUE(cables.at_peer("ip addr add 10.7.0.2/24 dev v0"));
    ASSERT_TRUE(is(0, true));
    ASSERT_TRUE(cables.at_peer("ip addr del fd00:7::2/64 dev v0"));
    ASSERT_TRUE(is(1, false));
    ASSERT_TRUE(is(2, false));
    EXPECT_EQ(watched->notes.size(), 0U);
}

TEST_P(NetworksOnCables, AnInterfaceThatWasMadeAnewIsPingedAgain) {
    watch({network("v0", {"10.7.0.2"})});
    ASSERT_TRUE(is(0, true));
    ASSERT_TRUE(cables.run("ip link del v0"));
    ASSERT_TRUE(is(0, false));
    ASSERT_TRUE(cables.plug("v0", 7));
    ASSERT_TRUE(is(0, true));
    loop.run_for(500ms);  // longer than three pings: they are answered
    EXPECT_EQ(watched->well[0], 1);
}

TEST_P(NetworksOnCables, ATargetMustAnswerOverThatVeryInterface) {
    ASSERT_TRUE(cables.plug("v1", 8));
    // Linux answers ARP on any interface for any of its addresses unless told not to.
    ASSERT_TRUE(cables.at_peer("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"));
    watch({network("v0", {"10.8.0.2"}), network("v1", {"10.8.0.2"})});  // reachable, but over v1
    ASSERT_TRUE(is(0, false));
    EXPECT_NE(watched->message[0].find("no ping target answers on v0"), std::string::npos);
    ASSERT_TRUE(is(1, true));
}

}  // namespace
}  // namespace clusterd
