// The permit's end, enforced: with the worker frozen, dead or cut off, with the guard itself frozen, with many processes.
#include "tests/guard/world.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace clusterd::guard_test {
namespace {

using testing::HasSubstr;

// A network namespace of our own, with an interface to put addresses on. Without root: no addresses in the test.
bool own_network() {
    static bool const made = is_root() && unshare(CLONE_NEWNET) == 0 && std::system("ip link set lo up") == 0;
    return made;
}
bool has_address(std::string const& address) {
    return std::system(("ip -o address show dev lo | grep -q '" + address + "'").c_str()) == 0;
}

class Permit : public testing::TestWithParam<bool> {
protected:
    Permit() : world(GetParam()) {}
    void SetUp() override {
        if (!GetParam() && !is_root()) GTEST_SKIP() << "hiding the cgroups needs root";
        network = own_network();
        world.start();
        worker = world.worker();
        agent = world.agent(*worker);
    }
    void own(std::string const& address) {
        if (!network) return;
        ASSERT_TRUE(agent->guard->own_address("ip", address, "lo"));
        ASSERT_EQ(std::system(
                      ("ip address add " + address + " dev lo nodad 2>/dev/null || ip address add " + address + " dev lo").c_str()),
                  0);
        ASSERT_TRUE(has_address(address));
    }
    // Starts n processes, each with a daemon that left its session; returns all their pids.
    std::vector<pid_t> start_many(int n) {
        std::vector<pid_t> pids;
        for (int i = 0; i < n; ++i) EXPECT_TRUE(agent->guard->spawn(world.sleeper("r" + std::to_string(i), "main", true)));
        for (int i = 0; i < n; ++i) {
            pids.push_back(world.pid_in("r" + std::to_string(i) + "-main"));
            pids.push_back(world.pid_in("r" + std::to_string(i) + "-main-daemon"));
        }
        world.seen.insert(world.seen.end(), pids.begin(), pids.end());
        return pids;
    }
    static bool none_alive(std::vector<pid_t> const& pids) {
        for (pid_t pid : pids)
            if (alive(pid)) return false;
        return true;
    }
    World world;
    bool network = false;
    ChildPtr worker, agent;
};
INSTANTIATE_TEST_SUITE_P(With, Permit, testing::Values(true, false),
                         [](auto const& p) { return p.param ? "cgroups" : "process_groups"; });

TEST_P(Permit, NothingThatNeedsOneStartsWithoutIt) {
    for (char const* role : {"main", "start", "prepare", "checker", "stopper"}) {
        auto const refused = agent->guard->spawn({"web", role, {"true"}, {}, "", "", -1});
        ASSERT_FALSE(refused) << role;
        EXPECT_THAT(refused.error(), HasSubstr("no permit"));
    }
    auto const address = agent->guard->own_address("ip", "10.9.9.1/32", "lo");
    ASSERT_FALSE(address);
    EXPECT_THAT(address.error(), HasSubstr("no permit"));
    for (char const* role : {"stop", "status", "check", "check:2"}) {
        EXPECT_TRUE(agent->guard->spawn({"web", role, {"true"}, {}, "", "", -1})) << role;
        agent->wait_event(GuardEvent::Kind::exited);
    }
    grant(*worker, 100s);
    EXPECT_TRUE(agent->guard->spawn({"web", "main", {"true"}, {}, "", "", -1}));
}

TEST_P(Permit, APermitInItsLastKIsNone) {
    worker->shared->kill_ns = std::int64_t{50} * 1'000'000'000;
    worker->shared->permit_end_ns = boot_ns() + std::int64_t{40} * 1'000'000'000;  // still holds, but less than K is left
    auto const refused = agent->guard->spawn({"web", "main", {"true"}, {}, "", "", -1});
    ASSERT_FALSE(refused);
}

TEST_P(Permit, ItsEndStopsEverythingWhileTheWorkerIsFrozen) {
    grant(*worker, 100s, 250ms);
    own("10.9.9.1/32");
    own("fd09::9/128");
    auto const pids = start_many(50);
    pid_t const forked = agent->fork_a_child();
    ASSERT_GT(forked, 0);
    world.seen.push_back(forked);
    auto const other = world.agent(*worker, "h2");
    kill(worker->pid, SIGSTOP);
    std::int64_t const end = boot_ns() + 700'000'000;
    worker->shared->permit_end_ns = end;  // the last renewal that came through
    ASSERT_TRUE(until([&] { return none_alive(pids); }));
    std::int64_t const dead = boot_ns();
    EXPECT_TRUE(until([&] { return !alive(agent->pid) && !alive(other->pid) && !alive(forked); }));
    ASSERT_TRUE(until([&] { return worker->shared->emergency_done_ns.load() > worker->shared->emergency_begun_ns.load(); }));
    std::int64_t const begun = worker->shared->emergency_begun_ns, done = worker->shared->emergency_done_ns;
    std::printf(
        "[ MEASURED ] %zu processes: begun %.2f ms after permit end - K, proven stopped %.2f ms later, %.2f ms before the end\n",
        pids.size() * 2, static_cast<double>(begun - (end - 250'000'000)) / 1e6, static_cast<double>(done - begun) / 1e6,
        static_cast<double>(end - done) / 1e6);
    EXPECT_GE(begun, end - 250'000'000) << "not before its time";
    EXPECT_LT(done, end + 250'000'000) << "the budget K, doubled for a busy test machine";
    EXPECT_GT(dead, 0);
    if (network) {
        EXPECT_FALSE(has_address("10.9.9.1"));
        EXPECT_FALSE(has_address("fd09::9"));
    }
    EXPECT_TRUE(alive(world.pid));
    kill(worker->pid, SIGCONT);
    auto const told = worker->wait_event(GuardEvent::Kind::emergency_done);
    EXPECT_TRUE(told.proven);
    EXPECT_EQ(worker->shared->emergency_stops.load(), 1u);
    // A new permit allows everything again, in a new host.
    grant(*worker, 100s);
    auto const again = world.agent(*worker, "h1");
    EXPECT_TRUE(again->guard->spawn(world.sleeper("web")));
    EXPECT_TRUE(alive(world.pid_in("web-main")));
}

TEST_P(Permit, ItsEndStopsEverythingWhileTheWorkerDiesAgainAndAgain) {
    grant(*worker, 100s);
    auto const pids = start_many(3);
    worker->shared->permit_end_ns = boot_ns() + 600'000'000;
    auto const* shared = worker->shared;
    std::vector<ChildPtr> workers;
    while (!none_alive(pids) && workers.size() < 40) {
        kill(workers.empty() ? worker->pid : workers.back()->pid, SIGKILL);
        workers.push_back(world.worker());
    }
    EXPECT_TRUE(none_alive(pids));
    EXPECT_GE(shared->emergency_stops.load(), 1u);
}

TEST_P(Permit, OneThatWasRenewedInTimeStopsNothing) {
    grant(*worker, 400ms, 100ms);
    auto const pids = start_many(2);
    for (int i = 0; i < 30; ++i) {
        worker->shared->permit_end_ns = boot_ns() + 2'000'000'000;
        usleep(50'000);
    }
    EXPECT_EQ(worker->shared->emergency_stops.load(), 0u);
    for (pid_t pid : pids) EXPECT_TRUE(alive(pid));
}

TEST_P(Permit, OneThatIsGivenUpStopsEverything) {
    grant(*worker, 100s);
    auto const pids = start_many(2);
    worker->shared->permit_end_ns = 0;
    worker->guard->permit_began();  // any message makes it look at once
    EXPECT_TRUE(until([&] { return none_alive(pids); }));
}

TEST_P(Permit, OneThatEndsWhileTheGuardIsFrozenIsEnforcedBeforeAnythingElse) {
    grant(*worker, 100s);
    auto const pids = start_many(5);
    own("10.9.9.2/32");
    kill(world.pid, SIGSTOP);
    ASSERT_TRUE(until([&] { return text_of("/proc/" + std::to_string(world.pid) + "/stat").find(") T ") != std::string::npos; }));
    worker->shared->permit_end_ns = boot_ns() + 50'000'000;
    // Sent before SIGCONT, so it is there to be read when the guard wakes.
    std::string error;
    std::thread asking([&] {
        auto const result = agent->guard->spawn(world.sleeper("late"));
        error = result ? "started" : result.error();
    });
    usleep(200'000);
    kill(world.pid, SIGCONT);
    asking.join();
    EXPECT_NE(error, "started");
    EXPECT_TRUE(until([&] { return none_alive(pids); }));
    EXPECT_TRUE(!network || until([&] { return !has_address("10.9.9.2"); }));
}

TEST_P(Permit, TheWorkerCanAskForTheStopItself) {
    grant(*worker, 100s);
    auto const pids = start_many(3);
    auto const done = worker->guard->emergency_stop();
    ASSERT_TRUE(done) << done.error();
    EXPECT_TRUE(none_alive(pids));
    EXPECT_FALSE(alive(agent->pid));
    EXPECT_EQ(worker->wait_event(GuardEvent::Kind::host_gone).host, "h1");
    auto const again = worker->guard->emergency_stop();  // nothing is left to stop
    EXPECT_TRUE(again);
}

}  // namespace
}  // namespace clusterd::guard_test
