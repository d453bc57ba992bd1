// A cluster address, for real: on an interface of a namespace with a neighbour at the other end of the cable.
#include "resources/ip_address.hpp"
#include "resources/lifetime.hpp"
#include "clusterd/address/netlink.hpp"
#include "tests/unit/resources/fake_guard.hpp"
#include "tests/unit/resources/namespaces.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <atomic>
#include <functional>

namespace clusterd {
namespace {

using namespace std::chrono_literals;

// What comes out of the cable's other end.
class Sniffer {
public:
    explicit Sniffer(std::string const& ns_b, std::string const& ns_a) {
        auto const enter = [](std::string const& n) {
            int const ns = open(("/run/netns/" + n).c_str(), O_RDONLY | O_CLOEXEC);
            setns(ns, CLONE_NEWNET);
            close(ns);
        };
        enter(ns_b);
        fd_ = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
        enter(ns_a);
    }
    ~Sniffer() { close(fd_); }
    // Counts packets that `wanted` likes until there are `enough` or `ms` are over.
    int count(int enough, int ms, std::function<bool(std::string const&, int protocol)> wanted) {
        Instant const end = boot_now() + std::chrono::milliseconds(ms);
        int n = 0;
        while (n < enough) {
            pollfd p{fd_, POLLIN, 0};
            if (poll(&p, 1, ms_left(end)) <= 0) break;
            char packet[2048];
            sockaddr_ll from{};
            socklen_t size = sizeof from;
            ssize_t const got = recvfrom(fd_, packet, sizeof packet, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
            if (got > 0 && from.sll_pkttype != PACKET_OUTGOING &&
                wanted(std::string(packet, static_cast<std::size_t>(got)), ntohs(from.sll_protocol)))
                ++n;
        }
        return n;
    }

private:
    int fd_ = -1;
};

bool is_arp(std::string const& p, int protocol, int operation, std::string const& sender) {
    in_addr want{};
    inet_pton(AF_INET, sender.c_str(), &want);
    return protocol == ETH_P_ARP && p.size() >= 28 && p[7] == operation &&
           p.compare(14, 4, std::string(reinterpret_cast<char const*>(&want), 4)) == 0;
}
bool is_na(std::string const& p, int protocol, std::string const& target) {
    in6_addr want{};
    inet_pton(AF_INET6, target.c_str(), &want);
    return protocol == ETH_P_IPV6 && p.size() >= 72 && p[6] == 58 && static_cast<unsigned char>(p[40]) == 136 &&
           p.compare(48, 16, std::string(reinterpret_cast<char const*>(&want), 16)) == 0;
}

class IpAddressDriverTest : public TwoMachines {
protected:
    DriverPtr make(std::string const& address, std::map<std::string, std::string> more = {},
                   std::string const& interface = "eth0") {
        ResourceSpec r;
        r.name = "web-ip";
        r.type = "ip-address";
        r.attributes = {{"address", address}, {"interface", interface}, {"announce", "5"}};
        r.attributes.merge(more);
        return make_ip_address_driver(r, {.guard = guard_,
                                          .events = events_,
                                          .changed = [this](DriverOutcome o) { heard_.tell(std::move(o)); },
                                          .may_announce = [this] { return permit_.load(); },
                                          .permit_end = [this] { return Instant{permit_end_.load()}; }});
    }
    // As the worker's file says it where P is 1500 ms, with and without a gate.
    DriverPtr make_with_lifetime(std::string const& address, bool gate) {
        std::map<std::string, std::string> more{{"permit", "1500ms"}};
        if (!gate) more["gate"] = "no";
        return make(address, more);
    }
    void grant(Duration permit) { permit_end_ = (boot_now() + permit).ns; }
    static bool has_lifetime(std::string const& address) {
        auto const found = net::find_address(*parse_address(address));
        return found && found->size() == 1 && !found->front().lasts;
    }
    static std::size_t stands(std::string const& address) {
        auto const found = net::find_address(*parse_address(address));
        return found ? found->size() : 99;
    }
    std::string mac_of_b() {
        std::string const file = testing::TempDir() + "mac-" + std::to_string(getpid());
        EXPECT_TRUE(std::system(("ip netns exec " + b_ + " cat /sys/class/net/eth0/address >" + file + " 2>/dev/null").c_str()) ==
                    0);
        char mac[32] = {};
        FILE* const f = fopen(file.c_str(), "r");
        EXPECT_EQ(fscanf(f, "%31s", mac), 1);
        fclose(f);
        unlink(file.c_str());
        return mac;
    }
    AddressGuard guard_;
    GuardEvents events_;
    Heard heard_;
    std::atomic<bool> permit_{true};
    std::atomic<std::int64_t> permit_end_{long_ago.ns};
};

struct Case {
    char const* address;
    char const* prefix;
};
class IpAddressBoth : public IpAddressDriverTest, public testing::WithParamInterface<Case> {
protected:
    std::string address() const { return GetParam().address; }
    std::string with_prefix() const { return address() + "/" + GetParam().prefix; }
};
INSTANTIATE_TEST_SUITE_P(Families, IpAddressBoth,
                         testing::Values(Case{"10.77.0.100", "24"}, Case{"fd77::100", "64"}, Case{"10.77.0.101", "32"},
                                         Case{"fd77::101", "128"}),
                         [](auto const& given) {
                             return std::string(std::string(given.param.address).find(':') == std::string::npos ? "v4" : "v6") +
                                    "_" + given.param.prefix;
                         });

TEST_P(IpAddressBoth, GoesOnlineAndOffline) {
    auto d = make(with_prefix());
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::offline);
    DriverOutcome const started = d->start(in_time());
    EXPECT_EQ(started.state, ResourceState::online) << started.message;
    EXPECT_EQ(stands(address()), 1u);
    EXPECT_EQ(guard_.owned, std::set<std::string>{"web-ip " + with_prefix() + " eth0"});
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(stands(address()), 0u);
    EXPECT_TRUE(guard_.owned.empty());
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_TRUE(heard_.nothing()) << "taking it offline isn't a failure";
}

TEST_P(IpAddressBoth, StaysOfflineWhileAnotherMachineHasIt) {
    ASSERT_TRUE(ip_b("address add " + with_prefix() + " dev eth0" + (address().find(':') == std::string::npos ? "" : " nodad")));
    auto d = make(with_prefix());
    d->prepare(in_time());
    DriverOutcome const refused = d->start(in_time());
    EXPECT_EQ(refused.state, ResourceState::failed);
    EXPECT_NE(refused.message.find(mac_of_b()), std::string::npos) << refused.message;
    EXPECT_EQ(stands(address()), 0u);
    EXPECT_TRUE(guard_.owned.empty());
    // What was heard ahead of the start isn't held against it.
    ASSERT_TRUE(ip_b("address del " + with_prefix() + " dev eth0"));
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    // Unless the file says so.
    ASSERT_TRUE(ip_b("address add " + with_prefix() + " dev eth0" + (address().find(':') == std::string::npos ? "" : " nodad")));
    auto careless = make(with_prefix(), {{"probe-conflict", "no"}});
    EXPECT_EQ(careless->start(in_time()).state, ResourceState::online);
}

TEST_P(IpAddressBoth, PreparedItIsAddedWithoutAskingAgain) {
    bool const v6 = address().find(':') != std::string::npos;
    auto const asked = [&](std::string const& p, int protocol) {
        return v6 ? protocol == ETH_P_IPV6 && p.size() >= 64 && p[6] == 58 && static_cast<unsigned char>(p[40]) == 135 &&
                        p.compare(8, 16, std::string(16, '\0')) == 0 &&
                        p.compare(
                            62, 2,
                            std::string("\x01", 1) + (address().back() == '0' ? std::string("\0", 1) : std::string("\x01", 1))) == 0
                  : is_arp(p, protocol, 1, "0.0.0.0");
    };
    Sniffer sniffer(b_, a_);
    auto d = make(with_prefix());
    d->prepare(in_time());
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(sniffer.count(99, 300, asked), 3) << "the three of prepare()";
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(sniffer.count(3, 2000, asked), 3) << "what was found out counts for one start";
}

TEST_P(IpAddressBoth, NeighboursAreToldAgainAndAgain) {
    bool const v6 = address().find(':') != std::string::npos;
    Sniffer sniffer(b_, a_);
    auto d = make(with_prefix());
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    int requests = 0;
    int const rounds = sniffer.count(5, 10'000, [&](std::string const& p, int protocol) {
        requests += is_arp(p, protocol, 1, address());
        return v6 ? is_na(p, protocol, address()) : is_arp(p, protocol, 2, address());
    });
    EXPECT_EQ(rounds, 5);
    EXPECT_EQ(requests, v6 ? 0 : 5);
    EXPECT_EQ(sniffer.count(1, 500,
                            [&](std::string const& p, int protocol) {
                                return is_na(p, protocol, address()) || is_arp(p, protocol, 2, address());
                            }),
              0)
        << "no more than asked for";
}

TEST_P(IpAddressBoth, NothingIsAnnouncedWithoutAPermit) {
    bool const v6 = address().find(':') != std::string::npos;
    auto const announced = [&](std::string const& p, int protocol) {
        return v6 ? is_na(p, protocol, address()) : is_arp(p, protocol, 1, address()) || is_arp(p, protocol, 2, address());
    };
    permit_ = false;
    Sniffer sniffer(b_, a_);
    auto d = make(with_prefix());
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(sniffer.count(1, 400, announced), 0);
    permit_ = true;
    EXPECT_EQ(sniffer.count(2, 10'000, announced), 2) << "put off, not forgotten";
}

TEST_P(IpAddressBoth, RemovedByHandIsKnownAtOnce) {
    auto d = make(with_prefix());
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("address add 10.99.0.1/24 dev eth0"));
    ASSERT_TRUE(ip_a("address del 10.99.0.1/24 dev eth0"));  // another's end isn't ours
    ASSERT_TRUE(ip_a("address del " + with_prefix() + " dev eth0"));
    auto const told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->state, ResourceState::failed);
    EXPECT_TRUE(told->restart_here);
    EXPECT_NE(told->message.find("removed from eth0"), std::string::npos) << told->message;
    EXPECT_TRUE(heard_.nothing());
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);  // a restart watches again
    ASSERT_TRUE(ip_a("address del " + with_prefix() + " dev eth0"));
    EXPECT_TRUE(heard_.wait());
}

TEST_P(IpAddressBoth, LostCarrierIsKnownAtOnceAndARestartCantHelp) {
    auto d = make(with_prefix());
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_b("link set eth0 down"));
    auto const told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->state, ResourceState::failed);
    EXPECT_FALSE(told->restart_here);
    EXPECT_NE(told->message.find("carrier"), std::string::npos) << told->message;
    DriverOutcome const probed = d->probe(in_time());
    EXPECT_EQ(probed.state, ResourceState::failed) << probed.message;
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    DriverOutcome const again = d->start(in_time());
    EXPECT_EQ(again.state, ResourceState::failed);
    EXPECT_FALSE(again.restart_here);
}

TEST_P(IpAddressBoth, TheKernelTakesItOffByThePermitsEndWhenNobodyRenewsIt) {
    grant(1500ms);
    auto d = make_with_lifetime(with_prefix(), false);
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_TRUE(has_lifetime(address()));
    // Renewed as long as the permit is: far longer than one lifetime.
    for (Instant const until = boot_now() + 4s; boot_now() < until; usleep(20'000)) {
        grant(1500ms);
        ASSERT_EQ(stands(address()), 1u);
    }
    EXPECT_TRUE(heard_.nothing()) << "a renewal isn't a removal";
    // No permit any more. What would take the address off is not asked to.
    Instant const end{permit_end_.load()};
    while (stands(address()) != 0 && boot_now() < end + 2s) usleep(2'000);
    EXPECT_LE(boot_now(), end) << "it outlived the permit by " << to_ms(boot_now() - end) << " ms";
    auto const told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->state, ResourceState::failed);
    EXPECT_NE(told->message.find("its lifetime ended"), std::string::npos) << told->message;
    grant(1500ms);
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online) << "and can come back";
}

TEST_P(IpAddressBoth, AHostThatIsGoneRenewsNothing) {
    grant(1500ms);
    auto d = make_with_lifetime(with_prefix(), false);
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    Instant const end{permit_end_.load()};
    d.reset();
    while (stands(address()) != 0 && boot_now() < end + 2s) usleep(2'000);
    EXPECT_LE(boot_now(), end);
}

TEST_P(IpAddressBoth, AWordToTheNeighboursIsRepeatedOnRequest) {
    bool const v6 = address().find(':') != std::string::npos;
    auto const announced = [&](std::string const& p, int protocol) {
        return v6 ? is_na(p, protocol, address()) : is_arp(p, protocol, 2, address());
    };
    Sniffer sniffer(b_, a_);
    auto d = make(with_prefix());
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    ASSERT_EQ(sniffer.count(5, 10'000, announced), 5);
    d->announce(1);
    EXPECT_EQ(sniffer.count(1, 10'000, announced), 1);
    EXPECT_EQ(sniffer.count(1, 300, announced), 0);
    d->announce(5);
    EXPECT_EQ(sniffer.count(5, 10'000, announced), 5);
    permit_ = false;
    d->announce(3);
    EXPECT_EQ(sniffer.count(1, 400, announced), 0) << "without a permit nothing leaves";
    ASSERT_EQ(d->stop(in_time()).state, ResourceState::offline);
    permit_ = true;
    d->announce(3);
    EXPECT_EQ(sniffer.count(1, 400, announced), 0) << "nor what is offline";
}

using IpAddress_ = IpAddressDriverTest;

TEST_F(IpAddress_, WithAGateItNeverExpiresWhileThePermitHolds) {
    grant(1600ms);
    auto d = make_with_lifetime("10.77.0.100/24", true);
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    // A slow disk: what is left of the permit is always less than a lifetime can be.
    for (Instant const until = boot_now() + 3s; boot_now() < until; usleep(20'000)) {
        grant(600ms);
        ASSERT_EQ(stands("10.77.0.100"), 1u);
    }
    EXPECT_TRUE(heard_.nothing());
}

TEST_F(IpAddress_, WithoutAPermitThatSufficesItIsNotAdded) {
    grant(1200ms);  // lasts less than a second and the kernel's lateness
    auto d = make_with_lifetime("10.77.0.100/24", false);
    DriverOutcome const started = d->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_NE(started.message.find("permit"), std::string::npos) << started.message;
    EXPECT_EQ(stands("10.77.0.100"), 0u);
}

TEST_F(IpAddress_, TheNodesOwnAddressKeepsItsRouteWhenTheLifetimeEnds) {
    ASSERT_TRUE(ip_a("address add fd77::1/64 dev eth0 nodad"));
    grant(1500ms);
    auto d = make_with_lifetime("fd77::100/64", false);
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    for (Instant const until = boot_now() + 2s; boot_now() < until; usleep(20'000)) grant(1500ms);
    ASSERT_TRUE(heard_.wait());
    EXPECT_EQ(stands("fd77::100"), 0u);
    EXPECT_TRUE(sh("ip -n " + a_ + " -6 route show fd77::/64 | grep -q dev")) << "the route is gone";
    EXPECT_FALSE(sh("ip -n " + a_ + " -6 route show fd77::/64 | grep -q expires")) << "the route will be gone";
}

TEST_F(IpAddress_, AnAddressOfBeforeGetsALifetimeOnlyWhereTheRouteCantBeHurt) {
    ASSERT_TRUE(ip_a("address add fd77::100/64 dev eth0 nodad && ip -n " + a_ + " address add 10.77.0.100/24 dev eth0"));
    grant(5s);
    auto six = make_with_lifetime("fd77::100/64", true), four = make_with_lifetime("10.77.0.100/24", true);
    ASSERT_EQ(six->probe(in_time()).state, ResourceState::online);
    ASSERT_EQ(four->probe(in_time()).state, ResourceState::online);
    for (int i = 0; i < 2000 && !has_lifetime("10.77.0.100"); ++i) usleep(5'000);
    EXPECT_TRUE(has_lifetime("10.77.0.100"));
    EXPECT_FALSE(has_lifetime("fd77::100"));
    EXPECT_EQ(guard_.owned.size(), 2u) << "what is found online is known to the guard";
}

TEST(Lifetime, FitsIntoThePermitOrIsNone) {
    EXPECT_EQ(net::lifetime_for(15s, true), 14u);
    EXPECT_EQ(net::lifetime_for(1500ms, true), 1u);
    EXPECT_EQ(net::lifetime_for(1250ms, true), 1u);
    EXPECT_EQ(net::lifetime_for(1249ms, true), 0u);
    EXPECT_EQ(net::lifetime_for(1249ms, false), 1u);
    EXPECT_EQ(net::lifetime_for(1ms, false), 1u);
    EXPECT_EQ(net::lifetime_for(0ms, false), 0u);
    EXPECT_EQ(net::lifetime_for(-5s, false), 0u);
    EXPECT_EQ(net::lifetime_for(10'250ms, true), 10u);
}

TEST_F(IpAddress_, AnInterfaceThatIsSetDownOrRemovedFailsIt) {
    auto d = make("10.77.0.100/24");
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("link set eth0 down"));
    auto told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_FALSE(told->restart_here);
    ASSERT_TRUE(ip_a("link set eth0 up"));
    ASSERT_EQ(d->stop(in_time()).state, ResourceState::offline);
    for (int i = 0; i < 200 && !(*net::find_link("eth0"))->carrier; ++i) usleep(10'000);
    ASSERT_EQ(d->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("link del eth0"));
    told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->state, ResourceState::failed);
    EXPECT_FALSE(told->restart_here);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::offline) << "where the interface is gone, so is the address";
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
}

TEST_F(IpAddress_, AMissingInterfaceIsNamedAndARestartCantHelp) {
    auto d = make("10.77.0.100/24", {}, "eth7");
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::offline);
    DriverOutcome const started = d->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_FALSE(started.restart_here);
    EXPECT_NE(started.message.find("eth7"), std::string::npos);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
}

TEST_F(IpAddress_, WithoutTheGuardsWordNothingIsAdded) {
    guard_.refuse = true;
    auto d = make("10.77.0.100/24");
    DriverOutcome const started = d->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_NE(started.message.find("no permit"), std::string::npos);
    EXPECT_EQ(stands("10.77.0.100"), 0u);
}

TEST_F(IpAddress_, WhereItStandsWronglyItFailsAndStopTakesItOff) {
    ASSERT_TRUE(ip_a("link add other type bridge && ip -n " + a_ + " address add 10.77.0.100/24 dev other"));
    auto d = make("10.77.0.100/24");
    DriverOutcome const probed = d->probe(in_time());
    EXPECT_EQ(probed.state, ResourceState::failed);
    EXPECT_NE(probed.message.find("other"), std::string::npos) << probed.message;
    EXPECT_EQ(d->start(in_time()).state, ResourceState::failed);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(stands("10.77.0.100"), 0u);
    ASSERT_TRUE(ip_a("address add 10.77.0.100/16 dev eth0"));
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::failed) << "another prefix";
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
}

TEST_F(IpAddress_, TheOthersOfItsNetworkStayWhenItGoes) {
    auto first = make("10.77.0.100/24");
    ASSERT_EQ(first->start(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("address add 10.77.0.7/24 dev eth0"));  // a secondary of ours
    ASSERT_EQ(first->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(stands("10.77.0.7"), 1u);
}

TEST_F(IpAddress_, AnotherHostsProbeGoesOnWatching) {
    auto first = make("10.77.0.100/24");
    ASSERT_EQ(first->start(in_time()).state, ResourceState::online);
    first.reset();
    EXPECT_EQ(stands("10.77.0.100"), 1u) << "the end of a host isn't the end of the resource";
    auto second = make("10.77.0.100/24");
    EXPECT_EQ(second->probe(in_time()).state, ResourceState::online);
    ASSERT_TRUE(ip_a("address del 10.77.0.100/24 dev eth0"));
    EXPECT_TRUE(heard_.wait());
}

TEST_F(IpAddress_, AnAddressThatCantBeReadIsRefused) {
    DriverOutcome const started = make("10.77.0.300/24")->start(in_time());
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_FALSE(started.restart_here);
}

}  // namespace
}  // namespace clusterd
