// Filesystems that are resources, on the real guard, with real ones on loop devices.
#include "clusterd/guard/mounts.hpp"
#include "tests/guard/world.hpp"
#include "tests/loop_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <filesystem>

namespace clusterd::guard_test {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class Mounts : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        if (!is_root() || !private_mounts()) GTEST_SKIP() << "mounting needs root";
        if (std::system((std::string("command -v mkfs.") + GetParam() + " >/dev/null").c_str()) != 0)
            GTEST_SKIP() << "mkfs is missing";
        device = std::make_unique<LoopDevice>(world.dir + "/image", GetParam());
        if (device->path.empty()) GTEST_SKIP() << "this machine has no loop devices";
        number = {device->major_number, device->minor_number};
        point = world.dir + "/mnt";
        fs::create_directory(point);
        world.start();
        worker = world.worker();
        grant(*worker, 100s);
        agent = world.agent(*worker);
        ASSERT_TRUE(agent->guard->own_mount("data", point, number.major, number.minor, true));
        mount_it();
    }
    void TearDown() override {
        for (pid_t one : started) {
            kill(one, SIGKILL);
            waitpid(one, nullptr, 0);
        }
        if (!point.empty()) umount2(point.c_str(), MNT_DETACH);
    }
    void mount_it() { ASSERT_EQ(mount(device->path.c_str(), point.c_str(), GetParam(), 0, nullptr), 0) << errno; }
    // Somebody else's: not the guard's child, and with something that isn't written to the device yet.
    pid_t start_writer() {
        pid_t const pid = fork();
        if (pid == 0) {
            int const fd = open((point + "/dirty").c_str(), O_RDWR | O_CREAT, 0600);
            (void)!write(fd, "not yet on the device", 21);
            for (;;) pause();
        }
        started.push_back(pid);
        EXPECT_TRUE(until([&] { return fs::exists(point + "/dirty") && fs::file_size(point + "/dirty") == 21; }));
        return pid;
    }
    bool mounted() const { return guard::is_mounted(number); }
    std::string recorded() const { return text_of(world.dir + "/run/owned/res-data"); }

    World world;
    std::unique_ptr<LoopDevice> device;
    guard::DeviceNumber number;
    std::string point;
    ChildPtr worker, agent;
    std::vector<pid_t> started;
};
INSTANTIATE_TEST_SUITE_P(Of, Mounts, testing::Values("ext4", "xfs"), [](auto const& p) { return std::string(p.param); });

TEST_P(Mounts, AnEmergencyStopEndsUsersAndMountAndWritesNothing) {
    pid_t const writer = start_writer();
    EXPECT_THAT(recorded(), HasSubstr("mount " + point + " 7 " + std::to_string(number.minor)));
    ASSERT_TRUE(worker->guard->emergency_stop());
    EXPECT_FALSE(mounted());
    EXPECT_TRUE(until([&] { return !alive(writer); }));
    int const free = open(device->path.c_str(), O_RDONLY | O_EXCL);
    EXPECT_GE(free, 0) << "the kernel has given it up";
    close(free);
    mount_it();
    EXPECT_TRUE(!fs::exists(point + "/dirty") || text_of(point + "/dirty") != "not yet on the device")
        << "what was dirty was written after all";
}

TEST_P(Mounts, EndsWithThePermitAlsoWhenWorkerAndHostStandStill) {
    pid_t const writer = start_writer();
    kill(worker->pid, SIGSTOP);
    kill(agent->pid, SIGSTOP);
    worker->shared->permit_end_ns = boot_ns() + 300'000'000;
    EXPECT_TRUE(until([&] { return !mounted() && !alive(writer); }));
    EXPECT_TRUE(until([&] { return worker->shared->emergency_done_ns > worker->shared->emergency_begun_ns; }));
    EXPECT_EQ(worker->shared->emergency_unproven, 0u);
}

TEST_P(Mounts, IsUnmountedWhereverItIs) {
    fs::create_directory(world.dir + "/copy");
    ASSERT_EQ(mount(point.c_str(), (world.dir + "/copy").c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_TRUE(worker->guard->emergency_stop());
    EXPECT_FALSE(mounted());
}

TEST_P(Mounts, TheNextStartSweepsWhatAKilledGuardLeft) {
    pid_t const writer = start_writer();
    kill(world.pid, SIGKILL);
    EXPECT_EQ(world.wait_exit(), 128 + SIGKILL);
    EXPECT_TRUE(mounted());
    world.start();
    auto const next = world.worker();
    EXPECT_FALSE(mounted()) << "before the worker was started";
    EXPECT_TRUE(until([&] { return !alive(writer); }));
    EXPECT_EQ(recorded(), "");
    EXPECT_THAT(world.log(), HasSubstr("1 filesystems"));
}

TEST_P(Mounts, SurvivesAReexecutionAndIsForgottenOnRequest) {
    world.signal(SIGHUP);
    auto const next = world.worker();
    EXPECT_TRUE(mounted());
    ASSERT_TRUE(agent->guard->disown_mount("data"));
    EXPECT_EQ(recorded(), "");
    ASSERT_TRUE(agent->guard->own_mount("data", point, number.major, number.minor, false));
    auto const taken = agent->guard->own_mount("other", "/elsewhere", number.major, number.minor, true);
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error(), HasSubstr("already owned by data"));
    for (char const* bad : {"", "/", "relative", "/with blank", "/with\nline"})
        EXPECT_FALSE(agent->guard->own_mount("bad", bad, 7, 200, true)) << bad;
}

}  // namespace
}  // namespace clusterd::guard_test
