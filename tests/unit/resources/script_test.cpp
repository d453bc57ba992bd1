// The script driver, with real commands under a guard within the test.
#include "resources/script.hpp"

#include "tests/unit/resources/driver_world.hpp"

#include <gmock/gmock.h>

namespace clusterd {
namespace {

using testing::HasSubstr;
using testing::Not;

// A script that keeps its state in a file: `up` exists while it is online.
struct Script : testing::Test {
    DriverWorld world;
    Driver& make(std::map<std::string, std::string> attributes = {}) {
        std::string const up = world.dir + "/up";
        std::map<std::string, std::string> all{{"start", "touch " + up},
                                               {"stop", "rm -f " + up},
                                               {"status", "sh -c 'test -e " + up + " || exit 3'"},
                                               {"status-every", "1h"}};
        for (auto& [name, value] : attributes) all[name] = value;
        return world.make(make_script_driver, all);
    }
};

TEST_F(Script, ComesOnlineAndGoesOffline) {
    auto& driver = make();
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::offline);
    EXPECT_FALSE(world.has_told());
}

TEST_F(Script, UnderstandsTheStatusCodes) {
    for (auto const& [code, state] : std::map<int, ResourceState>{{0, ResourceState::online},
                                                                  {3, ResourceState::offline},
                                                                  {7, ResourceState::offline},
                                                                  {1, ResourceState::failed},
                                                                  {4, ResourceState::failed}})
        EXPECT_EQ(make({{"status", "sh -c 'exit " + std::to_string(code) + "'"}}).probe(in(10s)).state, state) << code;
    EXPECT_EQ(make({{"status", "sh -c 'kill -9 $$'"}}).probe(in(10s)).state, ResourceState::failed);
    EXPECT_EQ(make({{"status", "/no/such/program"}}).probe(in(10s)).state, ResourceState::unknown);
}

TEST_F(Script, AFailedCommandsLastLinesAreTheMessage) {
    auto const outcome = make({{"start", "sh -c 'echo looking; echo no licence found >&2; exit 5'"}}).start(in(10s));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_EQ(outcome.message, "script web: its start command exited with status 5: looking\nno licence found");
    EXPECT_TRUE(outcome.restart_here);
    auto const missing = make({{"start", "/no/such/program"}}).start(in(10s));
    EXPECT_FALSE(missing.restart_here);
    EXPECT_THAT(missing.message, HasSubstr("can't execute"));
}

TEST_F(Script, KeepsOnlyTheEndOfAFlood) {
    auto const outcome =
        make({{"start", "sh -c 'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo the end; exit 1'"}})
            .start(in(60s));
    EXPECT_THAT(outcome.message, testing::EndsWith("line 2999\nthe end"));
    EXPECT_LT(outcome.message.size(), 4300u);
    // Far more than there is room for: writing fails, the command isn't killed for it, and nothing grows.
    EXPECT_EQ(make({{"start", "sh -c 'dd if=/dev/zero bs=1M count=3 2>/dev/null; exit 0'"}}).start(in(60s)).state,
              ResourceState::online);
}

TEST_F(Script, ACommandThatHangsIsEndedInTime) {
    auto& driver = make({{"start", "sh -c 'echo connecting; sleep 1000'"}, {"status", "sleep 1000"}});
    auto const start = driver.start(in(800ms));
    EXPECT_EQ(start.state, ResourceState::failed);
    EXPECT_THAT(start.message, HasSubstr("took too long and was killed"));
    EXPECT_THAT(start.message, HasSubstr("connecting"));
    EXPECT_EQ(driver.probe(in(600ms)).state, ResourceState::unknown);
    Instant const limit = in(20s);  // what the shell had started is buried by others, a moment later
    while (*world.guard.count("web") != 0 && boot_now() < limit) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(*world.guard.count("web"), 0);
}

TEST_F(Script, AStopThatFailsIsNotOffline) {
    auto const failed = make({{"stop", "sh -c 'echo busy; exit 1'"}}).stop(in(10s));
    EXPECT_EQ(failed.state, ResourceState::failed);
    EXPECT_THAT(failed.message, HasSubstr("busy"));
    EXPECT_EQ(make({{"stop", "sleep 1000"}}).stop(in(600ms)).state, ResourceState::unknown);
    world.guard.broken = true;
    EXPECT_EQ(make().stop(in(10s)).state, ResourceState::unknown);
}

TEST_F(Script, ADaemonItStartedLivesOnWithItsOutputAndIsEndedByStop) {
    std::string const daemon = world.dir + "/daemon";
    auto& driver = make({{"start", "sh -c '(echo $$ > /dev/null; while :; do echo still here || exit 1; touch " + daemon +
                                       "; sleep 0.01; done) & exit 0'"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    for (int i = 0; i < 3; ++i) {  // it goes on writing after start has returned
        std::filesystem::remove(daemon);
        ASSERT_TRUE(world.wait_for_file("daemon"));
    }
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(*world.guard.count("web"), 0);
}

TEST_F(Script, StatusIsLookedAtWhileItIsOnline) {
    auto& driver = make({{"status-every", "20ms"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    std::filesystem::remove(world.dir + "/up");
    auto const told = world.wait_told();
    EXPECT_EQ(told.state, ResourceState::failed);
    EXPECT_THAT(told.message, HasSubstr("says it is offline"));
}

TEST_F(Script, AStatusThatCanNotBeRunIsUnknownAndNotAtOnce) {
    world.write("status", "#!/bin/sh\nexit 0\n", 0755);
    auto& driver = make({{"status-every", "20ms"}, {"status", world.dir + "/status"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    std::filesystem::remove(world.dir + "/status");
    EXPECT_EQ(world.wait_told().state, ResourceState::unknown);
}

TEST_F(Script, AStatusUnderWayDoesNotDelayTheStop) {
    auto& driver = make({{"status-every", "1ms"}, {"status", "sh -c 'touch " + world.dir + "/asked; sleep 1000'"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    ASSERT_TRUE(world.wait_for_file("asked"));
    Instant const before = boot_now();
    EXPECT_EQ(driver.stop(in(60s)).state, ResourceState::offline);
    EXPECT_LT(boot_now() - before, Duration(5s));
    EXPECT_FALSE(world.has_told());
}

TEST_F(Script, KillSaysOfflineOnlyWhereStatusDoes) {
    auto& driver = make({{"stop", "sh -c 'exit 1'"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.kill(in(10s)).state, ResourceState::failed);
    std::filesystem::remove(world.dir + "/up");
    EXPECT_EQ(driver.kill(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(make({{"status", "sh -c 'exit 1'"}}).kill(in(10s)).state, ResourceState::unknown);
}

}  // namespace
}  // namespace clusterd
