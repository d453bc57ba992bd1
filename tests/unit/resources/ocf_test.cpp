// The driver `ocf` with real agents of Debian's resource-agents (Dummy, Delay, IPaddr2, Filesystem), and with small ones that end as the
// standard allows.
#include "resources/ocf.hpp"

#include "tests/unit/resources/driver_world.hpp"
#include "tests/unit/resources/namespaces.hpp"

#include <gmock/gmock.h>

#include <sys/mount.h>
#include <chrono>

namespace clusterd {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

Instant in(std::chrono::seconds limit) { return boot_now() + limit; }

// An agent of the test's own, `test:mine`, as a shell script.
struct Ocf : testing::Test {
    DriverWorld world;
    Ocf() { setenv("CLUSTERD_OCF_ROOT", (world.dir + "/ocf").c_str(), 1); }
    ~Ocf() override { unsetenv("CLUSTERD_OCF_ROOT"); }
    Driver& agent(std::string const& script, std::map<std::string, std::string> attributes = {}) {
        std::filesystem::create_directories(world.dir + "/ocf/resource.d/test");
        world.write("ocf/resource.d/test/mine", "#!/bin/sh\n" + script + "\n", 0755);
        attributes.emplace("agent", "ocf:test:mine");
        if (script.find("meta-data") == std::string::npos) attributes.emplace("monitor-every", "1h");
        return world.make(make_ocf_driver, attributes);
    }
};

TEST_F(Ocf, ExitCodesMeanWhatTheStandardSays) {
    for (auto const& [code, state] : std::map<int, ResourceState>{{0, ResourceState::online}, {1, ResourceState::failed}, {5, ResourceState::offline},
                                                                  {7, ResourceState::offline}, {8, ResourceState::online}, {9, ResourceState::failed},
                                                                  {42, ResourceState::failed}})
        EXPECT_EQ(agent("exit " + std::to_string(code)).probe(in(10s)).state, state) << code;
    for (auto const& [code, again] : std::map<int, bool>{{1, true}, {2, false}, {3, false}, {4, false}, {5, false}, {6, false}, {42, true}}) {
        DriverOutcome const outcome = agent("echo no licence >&2; exit " + std::to_string(code)).start(in(10s));
        EXPECT_EQ(outcome.state, ResourceState::failed) << code;
        EXPECT_EQ(outcome.restart_here, again) << code;
        EXPECT_THAT(outcome.message, HasSubstr("ocf web (test:mine): its start says"));
        EXPECT_THAT(outcome.message, HasSubstr("no licence"));
    }
    EXPECT_EQ(agent("exit 1").stop(in(10s)).state, ResourceState::failed);
    EXPECT_EQ(agent("exit 0").stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(agent("[ $1 = stop ]").kill(in(10s)).state, ResourceState::offline);
}

TEST_F(Ocf, WhatHangsIsKilledAndSaysNothing) {
    DriverOutcome const outcome = agent("sleep 60").probe(boot_now() + 600ms);
    EXPECT_EQ(outcome.state, ResourceState::unknown);
    EXPECT_THAT(outcome.message, HasSubstr("took too long"));
    EXPECT_EQ(agent("sleep 60").stop(boot_now() + 600ms).state, ResourceState::unknown);
}

TEST_F(Ocf, AnAgentThatIsntInstalledIsOfflineAndCantBeStarted) {
    Driver& driver = world.make(make_ocf_driver, {{"agent", "heartbeat:nothing"}});
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::offline);
    DriverOutcome const outcome = driver.start(in(10s));
    EXPECT_FALSE(outcome.restart_here);
    EXPECT_THAT(outcome.message, HasSubstr("isn't installed on this node"));
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
}

TEST_F(Ocf, AnAgentThatMayNotBeExecutedIsToldFromOneThatIsntThere) {
    Driver& driver = agent("exit 0");
    world.write("ocf/resource.d/test/mine", "#!/bin/sh\nexit 0\n", 0644);
    DriverOutcome const outcome = driver.start(in(10s));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_FALSE(outcome.restart_here);
    EXPECT_THAT(outcome.message, HasSubstr("ocf/resource.d/test/mine is there but may not be executed on this node: chmod +x /"));
}

TEST_F(Ocf, TheEnvironmentIsTheStandardsAndSecretsComeFromFiles) {
    world.write("secret", "sesame\nsecond line\n", 0600);
    Driver& driver = agent("env > " + world.dir + "/env; exit 0", {{"param:ip", "10.0.0.1"}, {"param-file:password", world.dir + "/secret"}, {"param:two words", "a b"}});
    EXPECT_EQ(driver.start(in(10s)).state, ResourceState::online);
    std::string const env = world.read("env");
    for (char const* line : {"OCF_RA_VERSION_MAJOR=1\n", "OCF_RESOURCE_INSTANCE=web\n", "OCF_RESOURCE_PROVIDER=test\n", "OCF_RESOURCE_TYPE=mine\n", "OCF_RESKEY_ip=10.0.0.1\n",
                             "OCF_RESKEY_password=sesame\n", "OCF_RESKEY_CRM_meta_timeout="})
        EXPECT_THAT(env, HasSubstr(line));
    EXPECT_THAT(env, Not(HasSubstr("OCF_CHECK_LEVEL")));
    world.write("secret", "sesame", 0644);
    DriverOutcome const outcome = driver.start(in(10s));
    EXPECT_FALSE(outcome.restart_here);
    EXPECT_THAT(outcome.message, HasSubstr("chmod 600"));
    EXPECT_THAT(outcome.message, Not(HasSubstr("sesame")));
}

TEST_F(Ocf, ADeeperMonitorRunsAtItsOwnPace) {
    Driver& driver = agent("[ $1 = monitor ] && [ \"$OCF_CHECK_LEVEL\" = 20 ] && { echo the data is bad; exit 1; }; exit 0", {{"check-level", "20"}, {"check-every", "100ms"}});
    EXPECT_EQ(driver.start(in(10s)).state, ResourceState::online);
    DriverOutcome const told = world.wait_told();
    EXPECT_EQ(told.state, ResourceState::failed);
    EXPECT_THAT(told.message, HasSubstr("the data is bad"));
}

// Without monitor-every it is monitored as often as it suggests itself.
TEST_F(Ocf, TheMetadataSaysHowOftenItIsMonitored) {
    Driver& driver = agent("[ $1 = meta-data ] && { echo 'INFO: hello' >&2; printf '<?xml version=\"1.0\"?><resource-agent name=\"a\"><parameters/><actions><action name=\"monitor\" interval=\"200ms\" timeout=\"5s\"/></actions></resource-agent>'; exit 0; }\n"
                           "[ $1 = monitor ] && [ -e " + world.dir + "/gone ] && exit 7; exit 0", {});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    world.write("gone", "");
    Instant const begun = boot_now();
    EXPECT_EQ(world.wait_told().state, ResourceState::failed);
    EXPECT_LT(boot_now() - begun, 8s);  // 10 s would be the default
}

// ---- Debian's own ---------------------------------------------------------------------------------------------------------------

struct DebiansOcf : testing::Test {
    DriverWorld world;
};

TEST_F(DebiansOcf, DummyRunsIsMissedAndStops) {
    std::string const state = world.dir + "/state";
    Driver& driver = world.make(make_ocf_driver, {{"agent", "heartbeat:Dummy"}, {"param:state", state}, {"monitor-every", "100ms"}});
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
    DriverOutcome const on = driver.start(in(20s));
    EXPECT_EQ(on.state, ResourceState::online) << on.message;
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::online);
    std::filesystem::remove(state);
    EXPECT_EQ(world.wait_told().state, ResourceState::failed);
    EXPECT_EQ(driver.start(in(20s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(20s)).state, ResourceState::offline);
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
}

TEST_F(DebiansOcf, WrongParametersSayWhatIsWrong) {
    DriverOutcome const outcome = world.make(make_ocf_driver, {{"agent", "heartbeat:IPaddr2"}, {"param:ip", "300.1.2.3"}}).start(in(20s));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("300.1.2.3"));
    EXPECT_FALSE(outcome.restart_here) << outcome.message;
}

// An agent that takes its time, and whose start is monitored once it is done.
TEST_F(DebiansOcf, DelayTakesItsTime) {
    Driver& driver = world.make(make_ocf_driver, {{"agent", "heartbeat:Delay"}, {"param:startdelay", "1"}, {"param:stopdelay", "1"}, {"param:mondelay", "0"}});
    ASSERT_EQ(driver.stop(in(20s)).state, ResourceState::offline);  // its state is a file below /run that a killed test leaves
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
    Instant const begun = boot_now();
    DriverOutcome const on = driver.start(in(20s));
    EXPECT_EQ(on.state, ResourceState::online) << on.message;
    EXPECT_GE(boot_now() - begun, 1s);
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(20s)).state, ResourceState::offline);
    DriverOutcome const late = driver.start(in(1s));
    EXPECT_EQ(late.state, ResourceState::failed) << late.message;
    EXPECT_EQ(driver.stop(in(20s)).state, ResourceState::offline);
}

struct OcfOnANetwork : TwoMachines {
    DriverWorld world;
};

TEST_F(OcfOnANetwork, IPaddr2BringsAnAddressAndTakesItAway) {
    Driver& driver = world.make(make_ocf_driver, {{"agent", "heartbeat:IPaddr2"}, {"param:ip", "10.9.0.50"}, {"param:cidr_netmask", "24"}, {"param:nic", "eth0"}, {"monitor-every", "100ms"}});
    auto const there = [this] { return ip_a("-o addr show dev eth0 | grep -q 10.9.0.50"); };
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
    DriverOutcome const on = driver.start(in(20s));
    EXPECT_EQ(on.state, ResourceState::online) << on.message;
    EXPECT_TRUE(there());
    ASSERT_TRUE(ip_a("addr del 10.9.0.50/24 dev eth0"));
    EXPECT_EQ(world.wait_told().state, ResourceState::failed);
    EXPECT_EQ(driver.start(in(20s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(20s)).state, ResourceState::offline);
    EXPECT_FALSE(there());
}

TEST_F(DebiansOcf, FilesystemMountsAndUnmounts) {
    if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    std::string const image = world.dir + "/image", mount = world.dir + "/mount";
    std::filesystem::create_directory(mount);
    ASSERT_EQ(std::system(("truncate -s 8M " + image + " && mkfs.ext4 -q " + image).c_str()), 0);
    Driver& driver = world.make(make_ocf_driver, {{"agent", "heartbeat:Filesystem"}, {"param:device", image}, {"param:directory", mount}, {"param:fstype", "ext4"}, {"param:options", "loop"}});
    auto const mounted = [&] { return std::system(("mountpoint -q " + mount).c_str()) == 0; };
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::offline);
    DriverOutcome const on = driver.start(in(20s));
    EXPECT_EQ(on.state, ResourceState::online) << on.message;
    EXPECT_TRUE(mounted());
    EXPECT_EQ(driver.probe(in(20s)).state, ResourceState::online);
    DriverOutcome const off = driver.stop(in(20s));
    EXPECT_EQ(off.state, ResourceState::offline) << off.message;
    EXPECT_FALSE(mounted());
    umount2(mount.c_str(), MNT_DETACH);  // whatever happened
    [[maybe_unused]] int const gone = std::system(("losetup -j " + image + " | cut -d: -f1 | xargs -r losetup -d").c_str());
}

}  // namespace
}  // namespace clusterd
