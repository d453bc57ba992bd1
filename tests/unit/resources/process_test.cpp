// The process driver, with real processes under a guard within the test.
#include "resources/process.hpp"

#include "tests/unit/resources/driver_world.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

namespace clusterd {
namespace {

using testing::HasSubstr;

struct Process : testing::Test {
    DriverWorld world;
    Driver& make(std::map<std::string, std::string> attributes) { return world.make(make_process_driver, std::move(attributes)); }
};

TEST_F(Process, ComesOnlineAndGoesOffline) {
    auto& driver = make({{"command", "sleep 1000"}});
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::online);
    pid_t const pid = world.guard.main_pid("web");
    EXPECT_EQ(driver.start(in(10s)).state, ResourceState::online) << "starting what is online is success";
    EXPECT_EQ(world.guard.main_pid("web"), pid) << "and doesn't start it again";
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::offline);
    EXPECT_FALSE(world.has_told()) << "an end that was asked for is no failure";
}

TEST_F(Process, TellsItsExitAtOnceAndInWords) {
    auto& driver = make({{"command", "sh -c 'sleep 0.05; exit 3'"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    auto const told = world.wait_told();
    EXPECT_EQ(told.state, ResourceState::failed);
    EXPECT_THAT(told.message, HasSubstr("process web: its process exited with status 3"));
    auto const probed = driver.probe(in(10s));
    EXPECT_EQ(probed.state, ResourceState::failed);
    EXPECT_THAT(probed.message, HasSubstr("exited with status 3"));
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online) << "it can be started again";
    EXPECT_THAT(world.wait_told().message, HasSubstr("exited with status 3"));
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::offline);
}

TEST_F(Process, NamesTheSignalThatKilledIt) {
    auto& driver = make({{"command", "sleep 1000"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    ::kill(world.guard.main_pid("web"), SIGKILL);
    EXPECT_THAT(world.wait_told().message, HasSubstr("was killed by SIGKILL"));
}

TEST_F(Process, OneFoundRunningIsWatchedAgain) {
    ASSERT_EQ(make({{"command", "sleep 1000"}}).start(in(10s)).state, ResourceState::online);
    auto& again = make({{"command", "sleep 1000"}});  // as a new host does
    EXPECT_EQ(again.probe(in(10s)).state, ResourceState::online);
    ::kill(world.guard.main_pid("web"), SIGTERM);
    EXPECT_THAT(world.wait_told().message, HasSubstr("SIGTERM"));
}

TEST_F(Process, WhatAKilledMasterLeftIsEndedBeforeTheNextStart) {
    auto& driver = make({{"command", "sh -c 'sleep 1000 & echo $! > " + world.dir + "/child; wait'"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    ASSERT_TRUE(world.wait_for_file("child"));
    while (world.read("child").empty()) std::this_thread::sleep_for(1ms);
    pid_t const child = std::atoi(world.read("child").c_str());
    ::kill(world.guard.main_pid("web"), SIGKILL);
    EXPECT_EQ(world.wait_told().state, ResourceState::failed);
    EXPECT_EQ(::kill(child, 0), 0);
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_NE(::kill(child, 0), 0);
}

TEST_F(Process, IsStoppedByItsOwnSignal) {
    auto& driver = make({{"command", "sh -c 'trap \"echo quit > " + world.dir + "/how; exit 0\" QUIT; touch " + world.dir +
                                         "/up; while :; do sleep 0.01; done'"},
                         {"stop-signal", "QUIT"},
                         {"ready", "file:" + world.dir + "/up"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(world.read("how"), "quit\n");
}

TEST_F(Process, IsStoppedByItsOwnCommand) {
    auto& driver =
        make({{"command", "sh -c 'while ! test -e " + world.dir + "/end; do sleep 0.01; done; echo ended > " + world.dir + "/how'"},
              {"stop-command", "touch " + world.dir + "/end"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(world.read("how"), "ended\n");
}

TEST_F(Process, OneThatIgnoresItsSignalIsKilledAfterStopTimeout) {
    auto& driver = make({{"command", "sh -c 'trap \"\" TERM; touch " + world.dir + "/up; while :; do sleep 0.05; done'"},
                         {"stop-timeout", "200ms"},
                         {"ready", "file:" + world.dir + "/up"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    Instant const before = boot_now();
    EXPECT_EQ(driver.stop(in(20s)).state, ResourceState::offline);
    EXPECT_GE(boot_now() - before, Duration(200ms));
    EXPECT_EQ(*world.guard.count("web"), 0);
}

TEST_F(Process, AStopKeepsItsDeadlineWhateverStopTimeoutSays) {
    auto& driver = make({{"command", "sh -c 'trap \"\" TERM; touch " + world.dir + "/up; while :; do sleep 0.05; done'"},
                         {"stop-timeout", "1h"},
                         {"ready", "file:" + world.dir + "/up"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(600ms)).state, ResourceState::offline);
}

TEST_F(Process, KillAsksNobody) {
    auto& driver = make({{"command", "sh -c 'trap \"\" TERM; while :; do sleep 0.05; done'"}, {"stop-timeout", "1h"}});
    ASSERT_EQ(driver.start(in(10s)).state, ResourceState::online);
    EXPECT_EQ(driver.kill(in(10s)).state, ResourceState::offline);
    EXPECT_FALSE(world.has_told());
}

TEST_F(Process, OneThatEndsBeforeItIsReadyHasFailed) {
    auto const outcome = make({{"command", "sh -c 'exit 4'"}, {"ready", "file:" + world.dir + "/never"}}).start(in(10s));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("exited with status 4 before it was ready"));
    EXPECT_TRUE(outcome.restart_here);
}

TEST_F(Process, OneThatIsNotReadyInTimeIsEnded) {
    auto const outcome = make({{"command", "sleep 1000"}, {"ready", "file:" + world.dir + "/never"}}).start(in(500ms));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("not ready"));
    EXPECT_EQ(*world.guard.count("web"), 0);
}

TEST_F(Process, AReadyFileOfAnEarlierRunDoesNotCount) {
    world.write("up", "old");
    EXPECT_EQ(make({{"command", "sleep 1000"}, {"ready", "file:" + world.dir + "/up"}}).start(in(500ms)).state,
              ResourceState::failed);
}

TEST_F(Process, IsReadyWhenItsPortTakesConnections) {
    int const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // finds a free port
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    socklen_t size = sizeof at;
    getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    std::string const port = std::to_string(ntohs(at.sin_port));
    ASSERT_EQ(listen(fd, 1), 0);
    auto& driver = make({{"command", "python3 -m http.server --bind 127.0.0.1 " + port}, {"ready", "tcp:" + port}});
    auto const taken = driver.start(in(10s));
    EXPECT_EQ(taken.state, ResourceState::failed);
    EXPECT_THAT(taken.message, HasSubstr("already takes connections on port " + port));
    close(fd);
    EXPECT_EQ(driver.start(in(60s)).state, ResourceState::online);
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::offline);
}

TEST_F(Process, SaysWhenStartingAgainHereCanNotHelp) {
    auto const missing = make({{"command", "/no/such/program"}}).start(in(10s));
    EXPECT_EQ(missing.state, ResourceState::failed);
    EXPECT_FALSE(missing.restart_here);
    EXPECT_THAT(missing.message, HasSubstr("can't execute /no/such/program"));
    EXPECT_FALSE(make({{"command", "true"}, {"working-directory", "/no/such"}}).start(in(10s)).restart_here);
    world.write("secrets", "A=1\n", 0644);
    auto const readable = make({{"command", "true"}, {"environment-file", world.dir + "/secrets"}}).start(in(10s));
    EXPECT_EQ(readable.state, ResourceState::failed);
    EXPECT_FALSE(readable.restart_here);
    EXPECT_THAT(readable.message, HasSubstr("chmod 600"));
    world.guard.no_permit = true;
    auto const refused = make({{"command", "true"}}).start(in(10s));
    EXPECT_EQ(refused.state, ResourceState::failed);
    EXPECT_TRUE(refused.restart_here);
}

TEST_F(Process, GetsItsEnvironmentAndDirectory) {
    world.write("secrets", "# a comment\nPASSWORD=two words\n", 0600);
    ASSERT_EQ(make({{"command", "sh -c 'echo $COLOUR-$PASSWORD-$PWD > " + world.dir + "/seen.new; mv " + world.dir + "/seen.new " +
                                    world.dir + "/seen; sleep 1000'"},
                    {"environment", "COLOUR='dark blue'"},
                    {"environment-file", world.dir + "/secrets"},
                    {"working-directory", "/usr"}})
                  .start(in(10s))
                  .state,
              ResourceState::online);
    ASSERT_TRUE(world.wait_for_file("seen"));
    EXPECT_EQ(world.read("seen"), "dark blue-two words-/usr\n");
}

TEST_F(Process, IsUnknownWithoutAGuardToAsk) {
    auto& driver = make({{"command", "sleep 1000"}});
    world.guard.broken = true;
    EXPECT_EQ(driver.probe(in(10s)).state, ResourceState::unknown);
    EXPECT_EQ(driver.stop(in(10s)).state, ResourceState::unknown) << "what can't be proven isn't offline";
    EXPECT_EQ(driver.kill(in(10s)).state, ResourceState::unknown);
}

}  // namespace
}  // namespace clusterd
