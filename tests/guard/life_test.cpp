// The guard's life and its children's: a dead worker, a dead host, SIGHUP, leaving, a killed guard and what the next one finds.
#include "tests/guard/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace clusterd::guard_test {
namespace {

using testing::HasSubstr;

class Life : public testing::TestWithParam<bool> {
protected:
    Life() : world(GetParam()) {}
    void SetUp() override {
        if (!GetParam() && !is_root()) GTEST_SKIP() << "hiding the cgroups needs root";
    }
    void start(std::map<std::string, std::string> const& env = {}) {
        world.start(env);
        worker = world.worker();
        worker->guard->ready();
        grant(*worker, 100s);
        agent = world.agent(*worker);
        ASSERT_TRUE(agent->guard->spawn(world.sleeper("web", "main", true)));
        web = world.pid_in("web-main");
        web_daemon = world.pid_in("web-main-daemon");
        world.seen.push_back(web);
        world.seen.push_back(web_daemon);
    }
    // What the worker's and the agent's ends of their socket say to each other.
    static void expect_connected(int a, int b) {
        ASSERT_EQ(send(a, "hello", 5, MSG_NOSIGNAL), 5);
        char text[8] = {};
        ASSERT_EQ(recv(b, text, sizeof text, 0), 5);
        EXPECT_STREQ(text, "hello");
    }
    World world;
    ChildPtr worker, agent;
    pid_t web = 0, web_daemon = 0;
};
INSTANTIATE_TEST_SUITE_P(With, Life, testing::Values(true, false),
                         [](auto const& p) { return p.param ? "cgroups" : "process_groups"; });

TEST_P(Life, ADeadWorkerIsFollowedByOneThatGoesOn) {
    start();
    char const state[] = "role, terms, incarnations";
    ASSERT_TRUE(worker->shared->write_resume(state, sizeof state));
    kill(worker->pid, SIGKILL);
    auto const next = world.worker();
    EXPECT_TRUE(next->resumed);
    char found[4096];
    ASSERT_EQ(next->shared->read_resume(found, sizeof found), sizeof state);
    EXPECT_STREQ(found, state);
    EXPECT_EQ(next->shared->worker_starts.load(), 2u);
    auto const fd = next->guard->host("h1");  // the same host, on the same socket
    ASSERT_TRUE(fd) << fd.error();
    expect_connected(*fd, agent->other_fd);
    close(*fd);
    EXPECT_TRUE(alive(agent->pid));
    EXPECT_TRUE(alive(web));
    kill(web, SIGKILL);
    EXPECT_EQ(agent->wait_event(GuardEvent::Kind::exited).process.pid, web);
}

TEST_P(Life, ADeadHostIsReportedAndItsProcessesGoOn) {
    start();
    kill(agent->pid, SIGKILL);
    EXPECT_EQ(worker->wait_event(GuardEvent::Kind::host_gone).host, "h1");
    auto const next = world.agent(*worker);
    auto const known = next->guard->processes("web");
    ASSERT_TRUE(known);
    ASSERT_EQ(known->size(), 1u);
    EXPECT_TRUE(known->front().running);
    EXPECT_EQ(known->front().pid, web);
    kill(web, SIGKILL);
    EXPECT_EQ(next->wait_event(GuardEvent::Kind::exited).process.pid, web) << "the new host of that name hears of it";
}

TEST_P(Life, AnExitThatNoHostHeardOfIsKept) {
    start();
    ASSERT_TRUE(worker->guard->kill_host("h1"));
    EXPECT_FALSE(alive(agent->pid));
    kill(web, SIGTERM);
    EXPECT_TRUE(until([&] { return !alive(web); }));
    auto const next = world.agent(*worker);
    ASSERT_TRUE(until([&] { return !next->guard->processes("web")->front().running; }));
    EXPECT_EQ(WTERMSIG(next->guard->processes("web")->front().wait_status), SIGTERM);
}

TEST_P(Life, SighupRenewsTheGuardInPlace) {
    start();
    ASSERT_TRUE(agent->guard->own_address("ip", "10.9.9.3/32", "lo"));
    pid_t const old_worker = worker->pid;
    world.signal(SIGHUP);
    auto next = world.worker();
    EXPECT_TRUE(next->resumed);
    EXPECT_TRUE(until([&] { return !alive(old_worker); }));
    EXPECT_TRUE(alive(world.pid));
    EXPECT_TRUE(alive(agent->pid));
    EXPECT_TRUE(alive(web));
    auto const fd = next->guard->host("h1");
    ASSERT_TRUE(fd) << fd.error();
    expect_connected(*fd, agent->other_fd);
    close(*fd);
    // The host's own connection to the guard goes on, too, and exits are still seen.
    auto const known = agent->guard->processes("web");
    ASSERT_TRUE(known) << known.error();
    ASSERT_EQ(known->size(), 1u);
    EXPECT_EQ(known->front().pid, web);
    kill(web, SIGTERM);
    EXPECT_EQ(WTERMSIG(agent->wait_event(GuardEvent::Kind::exited).process.wait_status), SIGTERM);
    // And so does the watch over the permit.
    next->shared->permit_end_ns = boot_ns() + 300'000'000;
    EXPECT_TRUE(until([&] { return !alive(web_daemon) && !alive(agent->pid); }));
    EXPECT_TRUE(alive(world.pid));
    // Twice is as good as once; nothing it needs was used up.
    ASSERT_TRUE(until([&] { return next->has_event(GuardEvent::Kind::emergency_done); }));
    world.signal(SIGHUP);
    auto const third = world.worker();
    EXPECT_TRUE(third->resumed);
    grant(*third, 100s);
    auto const host = world.agent(*third);
    EXPECT_TRUE(host->guard->spawn(world.sleeper("db")));
}

TEST_P(Life, SighupWithAProgramThatIsGoneChangesNothing) {
    start();
    std::filesystem::rename(world.dir + "/bin/clusterd", world.dir + "/bin/away");
    world.signal(SIGHUP);
    EXPECT_TRUE(until([&] { return world.log().find("the reload is not done") != std::string::npos; }));
    EXPECT_TRUE(alive(worker->pid));
    EXPECT_TRUE(until([&] { return *agent->guard->count("ip") == 0; }));  // what is amid its exec counts, the agent itself
    std::filesystem::rename(world.dir + "/bin/away", world.dir + "/bin/clusterd");  // the world's end needs it
}

TEST_P(Life, SigtermLeavesAndEndsWithZero) {
    start();
    world.signal(SIGTERM);
    worker->wait_event(GuardEvent::Kind::leave);
    EXPECT_TRUE(alive(web));
    ASSERT_TRUE(agent->guard->kill_all("web"));
    worker->guard->left();
    worker->order("exit 0");
    EXPECT_EQ(world.wait_exit(), 0);
    EXPECT_FALSE(alive(agent->pid));
    EXPECT_TRUE(std::filesystem::is_empty(world.dir + "/run/owned"));
}

TEST_P(Life, AWorkerThatDiesWhileLeavingIsFollowedByOneThatLeaves) {
    start();
    world.signal(SIGTERM);
    worker->wait_event(GuardEvent::Kind::leave);
    kill(worker->pid, SIGKILL);
    auto const next = world.worker();
    next->wait_event(GuardEvent::Kind::leave);
    next->guard->left();
    next->order("exit 0");
    EXPECT_EQ(world.wait_exit(), 0);
    EXPECT_FALSE(alive(web)) << "left behind by a clean leave is not left running";
}

TEST_P(Life, ALeaveThatTakesTooLongIsAnEmergencyStop) {
    start({{"CLUSTERD_LEAVE_TIMEOUT_S", "1"}});
    world.signal(SIGTERM);
    EXPECT_EQ(world.wait_exit(), 1);
    EXPECT_FALSE(alive(web));
    EXPECT_FALSE(alive(web_daemon));
    EXPECT_FALSE(alive(worker->pid));
}

TEST_P(Life, ASecondSigtermStopsAtOnce) {
    start();
    world.signal(SIGTERM);
    worker->wait_event(GuardEvent::Kind::leave);
    world.signal(SIGTERM);
    EXPECT_EQ(world.wait_exit(), 1);
    EXPECT_FALSE(alive(web));
    EXPECT_FALSE(alive(web_daemon));
}

TEST_P(Life, TheNextStartSweepsWhatAKilledGuardLeft) {
    bool const network = is_root() && unshare(CLONE_NEWNET) == 0 && std::system("ip link set lo up") == 0;
    start();
    if (network) {
        ASSERT_TRUE(agent->guard->own_address("ip", "10.9.9.4/32", "lo"));
        ASSERT_EQ(std::system("ip address add 10.9.9.4/32 dev lo"), 0);
    }
    kill(world.pid, SIGKILL);
    EXPECT_EQ(world.wait_exit(), 128 + SIGKILL);
    EXPECT_TRUE(until([&] { return !alive(worker->pid) && !alive(agent->pid); })) << "they die with it";
    EXPECT_TRUE(alive(web));
    EXPECT_TRUE(alive(web_daemon));
    world.start();
    auto const next = world.worker();
    EXPECT_FALSE(next->resumed) << "a new guard is a new incarnation";
    EXPECT_FALSE(alive(web)) << "before the worker was started";
    EXPECT_FALSE(alive(web_daemon));
    EXPECT_TRUE(!network || std::system("ip -o address show dev lo | grep -q 10.9.9.4") != 0);
    EXPECT_THAT(world.log(), HasSubstr("swept"));
}

// What the service manager is told.
TEST(Notify, SaysReadyAliveStoppingAndReloading) {
    World world;
    int const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::string const name = world.dir + "/notify";
    at.sun_path[0] = 0;  // an abstract one, as in containers
    std::memcpy(at.sun_path + 1, name.data(), name.size());
    ASSERT_EQ(
        bind(fd, reinterpret_cast<sockaddr const*>(&at), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
        0);
    std::string all;
    auto const hears = [&](std::string const& text, std::chrono::milliseconds limit = 20s) {
        return until(
            [&] {
                char buffer[1024];
                for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
                    all.append(buffer, static_cast<std::size_t>(n)).append("\n");
                return all.find(text) != std::string::npos;
            },
            limit);
    };
    world.start({{"NOTIFY_SOCKET", "@" + name}, {"WATCHDOG_USEC", "400000"}});
    auto worker = world.worker();
    EXPECT_FALSE(hears("READY=1", 100ms));
    worker->guard->ready();
    worker->guard->status_line("joined\nREADY=0");
    EXPECT_TRUE(hears("READY=1"));
    EXPECT_TRUE(hears("STATUS=joined READY=0"));
    all.clear();
    worker->shared->alive++;
    EXPECT_TRUE(hears("WATCHDOG=1"));
    hears("never", 500ms);  // the pings that the last step still earned
    all.clear();
    EXPECT_FALSE(hears("WATCHDOG=1", 1000ms)) << "a worker that stands still earns none";
    all.clear();
    world.signal(SIGHUP);
    EXPECT_TRUE(hears("RELOADING=1\nMONOTONIC_USEC="));
    worker = world.worker();
    worker->guard->ready();
    EXPECT_TRUE(hears("READY=1"));
    world.signal(SIGTERM);
    EXPECT_TRUE(hears("STOPPING=1"));
    worker->guard->left();
    worker->order("exit 0");
    EXPECT_EQ(world.wait_exit(), 0);
    close(fd);
}

}  // namespace
}  // namespace clusterd::guard_test
