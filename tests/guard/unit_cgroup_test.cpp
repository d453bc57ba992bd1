// The cgroups of systemd units, which the guard ends with the resources that they belong to. Here the test plays systemd: it makes
// the group and puts processes into it.
#include "tests/guard/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <fstream>

namespace clusterd::guard_test {
namespace {

using testing::HasSubstr;
using testing::Not;

// Where cgroup v2 is mounted here; empty: nowhere.
std::string mount_of_cgroup2() {
    std::ifstream file("/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        char at[512];
        if (line.find(" - cgroup2 ") != std::string::npos && std::sscanf(line.c_str(), "%*d %*d %*s / %511s", at) == 1) return at;
    }
    return {};
}

class UnitCgroup : public testing::Test {
protected:
    void SetUp() override {
        mount_ = mount_of_cgroup2();
        slice_ = "/clt" + std::to_string(getpid()) + ".slice";
        if (mount_.empty() || !is_root() || mkdir((mount_ + slice_).c_str(), 0755) != 0) GTEST_SKIP() << "a writable cgroup v2 is needed";
        unit_ = slice_ + "/web.service";
        mkdir((mount_ + unit_).c_str(), 0755);
        world.start();
        worker = world.worker();
        agent = world.agent(*worker);
    }
    void TearDown() override {
        if (mount_.empty()) return;
        for (pid_t pid : started_) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
        until([&] { return rmdir((mount_ + unit_).c_str()) == 0 || errno != EBUSY; });
        rmdir((mount_ + slice_).c_str());
    }
    // As systemd starts a unit's process: into a group that may have been emptied by force, so it is made anew.
    pid_t start_unit() {
        until([&] { return rmdir((mount_ + unit_).c_str()) == 0 || errno != EBUSY; });
        mkdir((mount_ + unit_).c_str(), 0755);
        pid_t const pid = fork();
        if (pid == 0) {
            for (;;) pause();
        }
        started_.push_back(pid);
        std::ofstream(mount_ + unit_ + "/cgroup.procs") << pid << std::flush;
        return pid;
    }
    bool ended(pid_t pid) const {
        return until([&] { return waitpid(pid, nullptr, WNOHANG) == pid || !alive(pid); });
    }

    World world;
    ChildPtr worker, agent;
    std::string mount_, slice_, unit_;
    std::vector<pid_t> started_;
};

TEST_F(UnitCgroup, IsOwnedOnlyWithAPermitAndOnlyIfItIsAUnits) {
    auto const without = agent->guard->own_cgroup("web", unit_, true);
    ASSERT_FALSE(without);
    EXPECT_THAT(without.error(), HasSubstr("no permit"));
    grant(*worker, 100s);
    for (char const* bad : {"/", "/system.slice", "system.slice/web.service", "/web.service", "/system.slice/../web.service", "//x/web.service", "/system.slice/.service", ""}) {
        auto const refused = agent->guard->own_cgroup("web", bad, true);
        ASSERT_FALSE(refused) << bad;
        EXPECT_THAT(refused.error(), HasSubstr("no cgroup of a service")) << bad;
    }
    EXPECT_TRUE(agent->guard->own_cgroup("web", unit_, true));
    EXPECT_THAT(text_of(world.dir + "/run/owned/res-web"), HasSubstr("cgroup " + unit_));
    EXPECT_TRUE(agent->guard->own_cgroup("web", unit_, true));
    EXPECT_TRUE(agent->guard->disown_cgroup("web", unit_));
    EXPECT_EQ(text_of(world.dir + "/run/owned/res-web"), "");
}

TEST_F(UnitCgroup, IsCountedAndKilledWithTheResource) {
    grant(*worker, 100s);
    pid_t const pid = start_unit();
    EXPECT_EQ(*agent->guard->count("web"), 0);
    ASSERT_TRUE(agent->guard->own_cgroup("web", unit_, true));
    EXPECT_EQ(*agent->guard->count("web"), 1);
    EXPECT_EQ(*agent->guard->kill_all("web"), 0);
    EXPECT_TRUE(ended(pid));
    pid_t const next = start_unit();
    EXPECT_TRUE(alive(next)) << "what was killed once can be started again";
    EXPECT_EQ(*agent->guard->count("web"), 1);
}

TEST_F(UnitCgroup, EndsWithThePermitAndWhatIsStartedLaterToo) {
    grant(*worker, 100s);
    ASSERT_TRUE(agent->guard->own_cgroup("web", unit_, true));
    pid_t const pid = start_unit();
    kill(worker->pid, SIGSTOP);
    worker->shared->permit_end_ns = boot_ns() + 400'000'000;
    EXPECT_TRUE(ended(pid));
    EXPECT_TRUE(until([&] { return worker->shared->emergency_done_ns.load() != 0; }));
    pid_t const late = start_unit();  // systemd was asked before, and does it now
    EXPECT_TRUE(ended(late));
    EXPECT_TRUE(until([&] { return world.log().find("processes of web in " + unit_ + " run without a permit") != std::string::npos; }));
    kill(worker->pid, SIGCONT);
}

// Started at boot on a node that may run nothing, say: whoever finds it tells the guard, and it ends.
TEST_F(UnitCgroup, FoundRunningWithoutAPermitIsEnded) {
    pid_t const pid = start_unit();
    ASSERT_TRUE(agent->guard->own_cgroup("web", unit_, false));
    EXPECT_TRUE(ended(pid));
    EXPECT_TRUE(until([&] { return world.log().find("processes of web in " + unit_ + " run without a permit") != std::string::npos; }));
    EXPECT_THAT(world.log(), Not(HasSubstr("the permit's end"))) << "there never was one";
    EXPECT_EQ(*worker->guard->count("web"), 0);
}

TEST_F(UnitCgroup, IsKeptByAGuardThatRenewsItself) {
    grant(*worker, 100s);
    ASSERT_TRUE(agent->guard->own_cgroup("web", unit_, true));
    pid_t const pid = start_unit();
    world.signal(SIGHUP);
    auto const next = world.worker();
    EXPECT_EQ(*agent->guard->count("web"), 1);
    next->shared->permit_end_ns = boot_ns() + 300'000'000;
    EXPECT_TRUE(ended(pid));
}

TEST_F(UnitCgroup, IsSweptByTheNextStart) {
    grant(*worker, 100s);
    ASSERT_TRUE(agent->guard->own_cgroup("web", unit_, true));
    pid_t const pid = start_unit();
    kill(world.pid, SIGKILL);
    world.wait_exit();
    EXPECT_TRUE(alive(pid));
    world.start();
    auto const next = world.worker();
    EXPECT_TRUE(ended(pid)) << "before the worker was started";
    EXPECT_THAT(world.log(), HasSubstr("swept"));
}

}  // namespace
}  // namespace clusterd::guard_test
