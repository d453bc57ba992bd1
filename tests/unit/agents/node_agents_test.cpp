// The agents that look at this node and its neighbours: ping, arp, disk, pressure, load. In namespaces and on filesystems of the tests' own.
#include "agents/agent.hpp"
#include "tests/unit/agents/servers.hpp"
#include "tests/unit/resources/namespaces.hpp"

#include <gtest/gtest.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

struct Asker {
    GuardEvents events;
    SpawningGuard guard{events};
    CheckOutcome check(std::string const& type, std::map<std::string, std::string> attributes, std::int64_t ms = 10'000) {
        HealthSpec h;
        h.type = type;
        h.attributes = std::move(attributes);
        return make_agent(h, ResourceSpec{}, guard, events)->check(within(ms));
    }
};

class Neighbour : public TwoMachines {
protected:
    void SetUp() override {
        TwoMachines::SetUp();
        ASSERT_TRUE(ip_a("addr add 10.9.0.1/24 dev eth0") && ip_a("addr add fd09::1/64 dev eth0 nodad"));
        ASSERT_TRUE(ip_b("addr add 10.9.0.2/24 dev eth0") && ip_b("addr add fd09::2/64 dev eth0 nodad"));
    }
    Asker asker_;
};

TEST_F(Neighbour, PingIsAnsweredOrNot) {
    for (char const* address : {"10.9.0.2", "fd09::2", "127.0.0.1"}) {
        CheckOutcome const outcome = asker_.check("ping", {{"address", address}});
        EXPECT_EQ(outcome.result, Health::ok) << outcome.message;
    }
    CheckOutcome const nobody = asker_.check("ping", {{"address", "10.9.0.3"}}, 200);
    EXPECT_EQ(nobody.result, Health::failed) << nobody.message;
    CheckOutcome const no_way = asker_.check("ping", {{"address", "192.0.2.1"}});
    EXPECT_EQ(no_way.result, Health::failed);
    EXPECT_NE(no_way.message.find("unreachable"), std::string::npos) << no_way.message;
    ASSERT_TRUE(sh("ip netns exec " + b_ + " sysctl -qw net.ipv4.icmp_echo_ignore_all=1"));
    EXPECT_EQ(asker_.check("ping", {{"address", "10.9.0.2"}}, 200).result, Health::failed);
}

TEST_F(Neighbour, ArpFindsAGatewayThatAnswersNoPings) {
    ASSERT_TRUE(sh("ip netns exec " + b_ + " sysctl -qw net.ipv4.icmp_echo_ignore_all=1"));
    for (char const* address : {"10.9.0.2", "fd09::2"}) {
        CheckOutcome const outcome = asker_.check("arp", {{"address", address}, {"interface", "eth0"}});
        EXPECT_EQ(outcome.result, Health::ok) << outcome.message;
    }
    CheckOutcome const nobody = asker_.check("arp", {{"address", "10.9.0.3"}, {"interface", "eth0"}}, 200);
    EXPECT_EQ(nobody.result, Health::failed);
    EXPECT_NE(nobody.message.find("nobody on eth0"), std::string::npos) << nobody.message;
    EXPECT_EQ(asker_.check("arp", {{"address", "10.9.0.2"}, {"interface", "eth7"}}).result, Health::unknown);
    ASSERT_TRUE(ip_b("link set eth0 down"));
    CheckOutcome const cut = asker_.check("arp", {{"address", "10.9.0.2"}, {"interface", "eth0"}}, 200);
    EXPECT_EQ(cut.result, Health::failed);
    EXPECT_NE(cut.message.find("no carrier"), std::string::npos) << cut.message;
}

class Filesystem : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
        char name[] = "/tmp/clusterd-disk-XXXXXX";
        folder_ = mkdtemp(name);
        ASSERT_EQ(mount("none", folder_.c_str(), "tmpfs", 0, "size=1m"), 0);
    }
    void TearDown() override {
        if (folder_.empty()) return;
        umount2(folder_.c_str(), MNT_DETACH);
        std::filesystem::remove(folder_);
    }
    std::string folder_;
    Asker asker_;
};

TEST_F(Filesystem, IsWrittenReadAndLeftAsItWas) {
    CheckOutcome const ok = asker_.check("disk", {{"path", folder_}});
    EXPECT_EQ(ok.result, Health::ok) << ok.message;
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
    EXPECT_EQ(asker_.check("disk", {{"path", folder_}, {"min-free", "90"}}).result, Health::ok);  // nothing is in it
}

TEST_F(Filesystem, ThatIsFullOrReadOnlyHasFailed) {
    std::ofstream(folder_ + "/big") << std::string(700 << 10, 'x');
    CheckOutcome const half = asker_.check("disk", {{"path", folder_}, {"min-free", "50"}});
    EXPECT_EQ(half.result, Health::degraded) << half.message;
    std::ofstream(folder_ + "/rest") << std::string(1 << 20, 'x');
    CheckOutcome const full = asker_.check("disk", {{"path", folder_}});
    EXPECT_EQ(full.result, Health::failed);
    EXPECT_NE(full.message.find("No space left"), std::string::npos) << full.message;
    std::filesystem::remove(folder_ + "/big");
    ASSERT_EQ(mount("none", folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    CheckOutcome const read_only = asker_.check("disk", {{"path", folder_}});
    EXPECT_EQ(read_only.result, Health::failed);
    EXPECT_NE(read_only.message.find("Read-only"), std::string::npos) << read_only.message;
    EXPECT_EQ(asker_.check("disk", {{"path", folder_ + "/gone"}}).result, Health::failed);
}

TEST(Busy, PressureAndLoadAreDegradedOrFailedAsToldAndNeverByDefault) {
    Asker asker;
    for (char const* of : {"cpu", "memory", "io"}) {
        CheckOutcome const outcome = asker.check("pressure", {{"of", of}, {"degraded", "100000"}});
        EXPECT_EQ(outcome.result, access("/proc/pressure/cpu", R_OK) == 0 ? Health::ok : Health::unknown) << outcome.message;
    }
    EXPECT_EQ(asker.check("load", {{"degraded", "100000"}}).result, Health::ok);
    // A load of exactly nothing is not to be had on a machine that builds and runs this.
    EXPECT_NE(asker.check("load", {{"degraded", "0"}, {"failed", "1"}}).result, Health::degraded);
    EXPECT_EQ(asker.check("pressure", {{"of", "dust"}}).result, Health::unknown);
}

}  // namespace
}  // namespace clusterd
