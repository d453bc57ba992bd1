// When the guard feeds the machine's watchdog device, and when not. The device is a stand-in (fake_watchdog.cpp): that a real one resets is
// the kernel's business.
#include "tests/guard/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

namespace clusterd::guard_test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class WatchdogDevice : public testing::Test {
protected:
    void SetUp() override {
        device_ = world.dir + "/watchdog";
        std::ofstream(device_) << "";
    }
    void start(int least = 1) {
        world.start({{"LD_PRELOAD", FAKE_WATCHDOG_LIBRARY}, {"FAKE_WATCHDOG", device_}, {"FAKE_WATCHDOG_MIN", std::to_string(least)}});
        worker = world.worker();
    }
    std::ptrdiff_t fed() const {
        std::string const all = text_of(device_);
        return std::count(all.begin(), all.end(), 'k');
    }
    // Fed `times` more from now on.
    bool is_fed(int times = 3) const {
        auto const before = fed();
        return until([&] { return fed() >= before + times; });
    }
    // Several paces without.
    bool is_not_fed() const {
        auto const before = fed();
        std::this_thread::sleep_for(1000ms);  // what doesn't happen can't be waited for
        return fed() == before;
    }

    World world;
    ChildPtr worker;
    std::string device_;
};

TEST_F(WatchdogDevice, IsFedAndDisarmedByACleanEnd) {
    start();
    auto const armed = worker->guard->watchdog(device_, 1);
    ASSERT_TRUE(armed) << armed.error();
    EXPECT_EQ(*armed, 1);
    EXPECT_TRUE(is_fed()) << "without a permit nothing runs: that is no reason to be reset";
    grant(*worker, 100s);
    EXPECT_TRUE(is_fed());
    EXPECT_TRUE(*worker->guard->watchdog(device_, 1) == 1);
    world.signal(SIGTERM);
    worker->wait_event(GuardEvent::Kind::leave);
    worker->guard->left();
    worker->order("exit 0");
    EXPECT_EQ(world.wait_exit(), 0);
    EXPECT_THAT(text_of(device_), EndsWith("V"));
}

TEST_F(WatchdogDevice, GoesOnWhenTheWorkerDiesAndTheGuardRenewsItself) {
    start();
    ASSERT_TRUE(worker->guard->watchdog(device_, 1));
    grant(*worker, 100s);
    kill(worker->pid, SIGKILL);
    auto const second = world.worker();
    EXPECT_TRUE(is_fed());
    world.signal(SIGHUP);
    auto const third = world.worker();
    EXPECT_TRUE(third->resumed);
    EXPECT_TRUE(is_fed());
    EXPECT_EQ(*third->guard->watchdog(device_, 1), 1);
    EXPECT_THAT(text_of(device_), testing::Not(HasSubstr("V")));
    EXPECT_TRUE(third->guard->watchdog("", 0)) << "a configuration without one";
    EXPECT_THAT(text_of(device_), EndsWith("V"));
}

TEST_F(WatchdogDevice, IsFedAgainOnceEverythingHasStopped) {
    start();
    ASSERT_TRUE(worker->guard->watchdog(device_, 1));
    grant(*worker, 100s);
    auto const agent = world.agent(*worker);
    ASSERT_TRUE(agent->guard->spawn(world.sleeper("web")));
    pid_t const web = world.pid_in("web-main");
    worker->shared->permit_end_ns = boot_ns() + 300'000'000;
    EXPECT_TRUE(until([&] { return !alive(web); }));
    EXPECT_TRUE(is_fed());
}

TEST_F(WatchdogDevice, AFrozenGuardDoesNotFeedIt) {
    start();
    ASSERT_TRUE(worker->guard->watchdog(device_, 1));
    grant(*worker, 100s);
    EXPECT_TRUE(is_fed());
    kill(world.pid, SIGSTOP);
    EXPECT_TRUE(is_not_fed());
    kill(world.pid, SIGCONT);
    EXPECT_TRUE(is_fed());
}

TEST_F(WatchdogDevice, AKilledGuardsIsFedByTheNextOneBeforeAnyWorkerIsThere) {
    start();
    ASSERT_TRUE(worker->guard->watchdog(device_, 1));
    EXPECT_TRUE(is_fed());
    kill(world.pid, SIGKILL);
    world.wait_exit();
    EXPECT_THAT(text_of(device_), testing::Not(HasSubstr("V"))) << "it ticks on";
    auto const before = fed();
    start();
    EXPECT_GT(fed(), before);
    EXPECT_TRUE(is_fed());
}

TEST_F(WatchdogDevice, ThatDoesNotFitIsRefused) {
    start(60);
    auto const slow = worker->guard->watchdog(device_, 5);
    ASSERT_FALSE(slow);
    EXPECT_THAT(slow.error(), HasSubstr("can't be set to less than 60 s"));
    EXPECT_THAT(text_of(device_), EndsWith("V"));
    for (char const* bad : {"/nonexistent/watchdog", "relative", "/dev/null"}) EXPECT_FALSE(worker->guard->watchdog(bad, 5)) << bad;
    EXPECT_FALSE(worker->guard->watchdog(device_, 0));
}

// What can't be stopped: a cgroup into which something is put again and again, faster than it can be killed.
TEST_F(WatchdogDevice, IsNotFedWhileSomethingRunsThatShouldHaveStopped) {
    std::string const group = "/clw" + std::to_string(getpid()) + ".slice", unit = group + "/web.service";
    std::string mount;
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        char at[512];
        if (line.find(" - cgroup2 ") != std::string::npos && std::sscanf(line.c_str(), "%*d %*d %*s / %511s", at) == 1) mount = at;
    }
    if (mount.empty() || !is_root() || mkdir((mount + group).c_str(), 0755) != 0) GTEST_SKIP() << "a writable cgroup v2 is needed";
    mkdir((mount + unit).c_str(), 0755);
    start();
    ASSERT_TRUE(worker->guard->watchdog(device_, 1));
    grant(*worker, 100s);
    auto const agent = world.agent(*worker);
    ASSERT_TRUE(agent->guard->own_cgroup("web", unit, true));
    std::atomic<bool> on{true};
    std::thread refill([&] {
        sched_param priority{};
        priority.sched_priority = 5;  // below the guard's, above what else keeps this machine busy
        pthread_setschedparam(pthread_self(), SCHED_RR | SCHED_RESET_ON_FORK, &priority);
        while (on) {
            pid_t const pid = fork();
            if (pid == 0) {
                std::ofstream(mount + unit + "/cgroup.procs") << getpid() << std::flush;
                for (;;) pause();
            }
            std::this_thread::sleep_for(2ms);
            if (!on) kill(pid, SIGKILL);
            world.seen.push_back(pid);
            while (waitpid(-1, nullptr, WNOHANG) > 0) {
            }
        }
    });
    EXPECT_TRUE(is_fed());
    worker->shared->permit_end_ns = boot_ns() + 300'000'000;
    EXPECT_TRUE(until([&] { return world.log().find("is fed no more") != std::string::npos; }));
    // On a busy machine the group may be empty for a moment, and that stop is over; the one that can't be proven is looked at.
    std::ptrdiff_t at_its_begin = 0;
    auto stops = worker->shared->emergency_stops.load() - 1;
    EXPECT_TRUE(until(
        [&] {
            if (auto const now = worker->shared->emergency_stops.load(); now != stops) stops = now, at_its_begin = fed();
            return worker->shared->emergency_unproven.load() > 0;
        },
        90s));
    EXPECT_LE(fed(), at_its_begin + 1) << "in the five seconds of that stop";
    on = false;
    refill.join();
    EXPECT_TRUE(is_fed()) << "once all of it has ended";
    until([&] { return rmdir((mount + unit).c_str()) == 0 || errno != EBUSY; });
    rmdir((mount + group).c_str());
}

}  // namespace
}  // namespace clusterd::guard_test
