// The filesystem driver on real filesystems, on loop devices, in a mount namespace of the test's own.
#include "resources/filesystem.hpp"
#include "clusterd/guard/mounts.hpp"
#include "tests/loop_device.hpp"
#include "tests/unit/resources/driver_world.hpp"

#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <csignal>

namespace clusterd {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

bool is_mounted_now(guard::DeviceNumber device) {
    return guard::is_mounted(device);
}

class MountGuard : public LocalGuard {
public:
    Result<Done> own_mount(std::string const&, std::string const& point, unsigned major, unsigned minor, bool to_start) override {
        if (to_start && no_permit) return Error{"mount refused: no permit"};
        owned = point + " " + std::to_string(major) + ":" + std::to_string(minor);
        return Done{};
    }
    Result<Done> disown_mount(std::string const&) override {
        owned.clear();
        return Done{};
    }
    std::string owned;
};

class FilesystemDriver : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        if (geteuid() != 0 || !private_mounts()) GTEST_SKIP() << "mounting needs root";
        if (std::system((std::string("command -v mkfs.") + GetParam() + " >/dev/null").c_str()) != 0)
            GTEST_SKIP() << "mkfs is missing";
        device = std::make_unique<LoopDevice>(world.dir + "/image", GetParam());
        if (device->path.empty()) GTEST_SKIP() << "this machine has no loop devices";
        point = world.dir + "/mnt";
        fs::create_directory(point);
        make({});
    }
    void TearDown() override {
        driver.reset();
        for (pid_t one : started) {
            kill(one, SIGKILL);
            waitpid(one, nullptr, 0);
        }
        while (!point.empty() && umount2(point.c_str(), MNT_DETACH) == 0) {
        }
    }
    void make(std::map<std::string, std::string> more) {
        ResourceSpec resource;
        resource.name = "data";
        resource.attributes = {{"device", device->path}, {"mount", point}, {"type", GetParam()}, {"fsck", "auto"}};
        for (auto& [name, value] : more) resource.attributes[name] = value;
        driver.reset();
        driver = make_filesystem_driver(resource, {guard, guard.hub, [this](DriverOutcome outcome) {
                                                       std::lock_guard lock(world.mutex);
                                                       world.told.push_back(std::move(outcome));
                                                       world.came.notify_all();
                                                   }});
    }
    // A process with a file open on it. `stubborn`: SIGTERM doesn't end it.
    pid_t hold(bool stubborn = false) {
        int holds[2];
        EXPECT_EQ(pipe2(holds, O_CLOEXEC), 0);
        pid_t const pid = fork();
        if (pid == 0) {
            if (stubborn) signal(SIGTERM, SIG_IGN);
            [[maybe_unused]] int const fd = open((point + "/held").c_str(), O_RDWR | O_CREAT, 0600);
            [[maybe_unused]] ssize_t const told = write(holds[1], "", 1);
            for (;;) pause();
        }
        started.push_back(pid);
        char held;
        EXPECT_EQ(read(holds[0], &held, 1), 1);
        close(holds[0]);
        close(holds[1]);
        return pid;
    }
    bool ended(pid_t pid) {
        for (int i = 0; i < 20000; ++i) {
            if (waitpid(pid, nullptr, WNOHANG) == pid) {
                std::erase(started, pid);
                return true;
            }
            std::this_thread::sleep_for(1ms);
        }
        return false;
    }
    bool mounted() const { return is_mounted_now({device->major_number, device->minor_number}); }

    DriverWorld world;
    MountGuard guard;
    std::unique_ptr<LoopDevice> device;
    std::string point;
    DriverPtr driver;
    std::vector<pid_t> started;
};
INSTANTIATE_TEST_SUITE_P(Of, FilesystemDriver, testing::Values("ext4", "xfs"), [](auto const& p) { return std::string(p.param); });

TEST_P(FilesystemDriver, GoesOnlineAndOffline) {
    EXPECT_EQ(driver->probe(in(20s)).state, ResourceState::offline);
    auto const started_ = driver->start(in(20s));
    ASSERT_EQ(started_.state, ResourceState::online) << started_.message;
    EXPECT_EQ(guard.owned, point + " 7:" + std::to_string(device->minor_number)) << "named before it was mounted";
    world.write("mnt/file", "kept");
    EXPECT_EQ(driver->start(in(20s)).state, ResourceState::online) << "again is success";
    EXPECT_EQ(driver->probe(in(20s)).state, ResourceState::online);
    auto const stopped = driver->stop(in(20s));
    EXPECT_EQ(stopped.state, ResourceState::offline) << stopped.message;
    EXPECT_FALSE(mounted());
    EXPECT_EQ(guard.owned, "");
    EXPECT_FALSE(world.has_told());
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    EXPECT_EQ(world.read("mnt/file"), "kept");
}

TEST_P(FilesystemDriver, OptionsAreThose) {
    make({{"options", "ro,noatime"}});
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    EXPECT_LT(open((point + "/file").c_str(), O_WRONLY | O_CREAT, 0600), 0);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(driver->stop(in(20s)).state, ResourceState::offline);
    make({{"options", "nosuchoption"}});
    auto const refused = driver->start(in(20s));
    EXPECT_EQ(refused.state, ResourceState::failed);
    EXPECT_THAT(refused.message, HasSubstr("mount exited with status 32"));
}

TEST_P(FilesystemDriver, ABusyOneIsNamedAndEnded) {
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    pid_t const polite = hold(), stubborn = hold(true);
    auto const stopped = driver->stop(in(20s));
    EXPECT_EQ(stopped.state, ResourceState::offline) << stopped.message;
    EXPECT_THAT(stopped.message, HasSubstr("it was held by unit_resources ("));
    EXPECT_TRUE(ended(polite));
    EXPECT_TRUE(ended(stubborn)) << "which needs SIGKILL";
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    pid_t const other = hold(true);
    EXPECT_EQ(driver->kill(in(20s)).state, ResourceState::offline);
    EXPECT_TRUE(ended(other));
}

TEST_P(FilesystemDriver, WhoHoldsItIsSaidWhereThatCantBeEnded) {
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    ASSERT_EQ(mkdir((point + "/below").c_str(), 0755), 0);
    ASSERT_EQ(mount("tmpfs", (point + "/below").c_str(), "tmpfs", 0, nullptr), 0);  // as busy as a process, and nobody's to kill
    pid_t const stubborn = hold(true);
    auto const stuck = driver->stop(in(1s));
    EXPECT_EQ(stuck.state, ResourceState::failed);
    EXPECT_THAT(stuck.message, HasSubstr("busy"));
    EXPECT_THAT(stuck.message, HasSubstr("it is held by unit_resources (" + std::to_string(stubborn) + ")"));
    umount2((point + "/below").c_str(), MNT_DETACH);
    EXPECT_EQ(driver->stop(in(20s)).state, ResourceState::offline);
}

TEST_P(FilesystemDriver, ALazyUnmountIsNotOffline) {
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    pid_t const holder = hold();
    ASSERT_EQ(umount2(point.c_str(), MNT_DETACH), 0);
    EXPECT_THAT(world.wait_told().message, HasSubstr("it isn't mounted any more")) << "known by the kernel's word";
    auto const probed = driver->probe(in(20s));
    EXPECT_EQ(probed.state, ResourceState::failed);
    EXPECT_THAT(probed.message, HasSubstr("unmounted lazily"));
    EXPECT_EQ(driver->stop(in(500ms)).state, ResourceState::failed);
    EXPECT_EQ(driver->start(in(20s)).state, ResourceState::failed);
    kill(holder, SIGKILL);
    EXPECT_TRUE(ended(holder));
    EXPECT_EQ(driver->stop(in(20s)).state, ResourceState::offline);
}

TEST_P(FilesystemDriver, AMountInAnotherNamespaceIsNotOffline) {
    ASSERT_EQ(driver->start(in(20s)).state, ResourceState::online);
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    pid_t const other = fork();
    if (other == 0) {
        bool const well = private_mounts();
        (void)!write(ready[1], "x", well ? 1 : 0);
        for (;;) pause();
    }
    started.push_back(other);
    char text;
    ASSERT_EQ(read(ready[0], &text, 1), 1);
    EXPECT_THAT(driver->stop(in(500ms)).message, HasSubstr("mounted in another namespace"));
    EXPECT_FALSE(mounted());
    kill(other, SIGKILL);
    EXPECT_TRUE(ended(other));
    EXPECT_EQ(driver->stop(in(20s)).state, ResourceState::offline);
    close(ready[0]);
    close(ready[1]);
}

TEST_P(FilesystemDriver, IsNotMountedASecondTimeNorOverAnother) {
    fs::create_directory(world.dir + "/other");
    ASSERT_EQ(mount(device->path.c_str(), (world.dir + "/other").c_str(), GetParam(), 0, nullptr), 0);
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("mounted elsewhere: " + world.dir + "/other"));
    EXPECT_EQ(driver->stop(in(20s)).state, ResourceState::offline) << "wherever it is";
    ASSERT_EQ(mount("tmpfs", point.c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("something else is mounted at " + point));
    umount2(point.c_str(), 0);
    fs::remove(point);
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("make the directory"));
}

TEST_P(FilesystemDriver, ADeviceThatSomethingElseHasIsRefused) {
    int const fd = open(device->path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("its device is in use on this node"));
    EXPECT_FALSE(mounted());
    close(fd);
    EXPECT_EQ(driver->start(in(20s)).state, ResourceState::online);
}

TEST_P(FilesystemDriver, WithoutAPermitNothingIsMounted) {
    guard.no_permit = true;
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("no permit"));
    EXPECT_FALSE(mounted());
}

TEST_P(FilesystemDriver, WithoutItsDeviceItIsOfflineAndCantStart) {
    make({{"device", world.dir + "/none"}});
    EXPECT_EQ(driver->probe(in(20s)).state, ResourceState::offline);
    EXPECT_EQ(driver->stop(in(20s)).state, ResourceState::offline);
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("No such file or directory"));
    make({{"device", world.dir + "/image"}});
    EXPECT_THAT(driver->start(in(20s)).message, HasSubstr("no block device"));
}

TEST_P(FilesystemDriver, ADamagedOneIsLeftToTheAdministrator) {
    if (std::string(GetParam()) != "ext4") GTEST_SKIP() << "xfs has no fsck at mount";
    // The root directory's inode is lost: e2fsck -p leaves such a decision to a person.
    ASSERT_EQ(std::system(("debugfs -w -R 'clri <2>' " + device->path + " 2>/dev/null").c_str()), 0);
    ASSERT_EQ(std::system(("debugfs -w -R 'ssv state 2' " + device->path + " 2>/dev/null").c_str()), 0);
    auto const outcome = driver->start(in(20s));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_FALSE(outcome.restart_here) << "a second try can't help";
    EXPECT_THAT(outcome.message, HasSubstr("run `e2fsck " + device->path));
    EXPECT_FALSE(mounted());
    make({{"fsck", "never"}});
    EXPECT_THAT(driver->start(in(20s)).message, Not(HasSubstr("e2fsck")));
}

}  // namespace
}  // namespace clusterd
