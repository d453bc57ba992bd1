// The disk driver on real block devices: loop devices, one of them on a FUSE disk that fails and hangs on request (tests/lab/faultdisk.cpp).
#include "resources/disk.hpp"
#include "resources/disk_identity.hpp"
#include "tests/loop_device.hpp"
#include "tests/unit/resources/driver_world.hpp"

#include <gmock/gmock.h>
#include <dirent.h>
#include <sys/wait.h>
#include <csignal>

namespace clusterd {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string printed(std::string const& command) {
    std::string text;
    if (std::FILE* const pipe = popen(command.c_str(), "r")) {
        char buffer[256];
        while (std::fgets(buffer, sizeof buffer, pipe)) text += buffer;
        pclose(pipe);
    }
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

int threads_named(std::string const& name) {
    int n = 0;
    for (auto const& task : fs::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "comm");
        std::string is;
        std::getline(file, is);
        n += is == name;
    }
    return n;
}

class DiskDriver : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0 || !private_mounts()) GTEST_SKIP() << "loop devices need root";
        setenv("CLUSTERD_RUN_DIR", world.dir.c_str(), 1);
    }
    void TearDown() override {
        if (faults > 0) order("data eio");  // what hangs ends
        world.driver.reset();
        device.reset();
        if (faults > 0) {
            umount2((world.dir + "/faulty").c_str(), MNT_DETACH);
            kill(faults, SIGTERM);
            waitpid(faults, nullptr, 0);
        }
        unsetenv("CLUSTERD_RUN_DIR");
    }
    Driver& make(std::map<std::string, std::string> more = {}) {
        std::map<std::string, std::string> attributes{{"device", device->path}, {"check-every", "20ms"}, {"check-timeout", "20s"}};
        for (auto& [name, value] : more) attributes[name] = value;
        return world.make(make_disk_driver, attributes);
    }
    void plain(char const* type) {
        device = std::make_unique<LoopDevice>(world.dir + "/image", type);
        if (device->path.empty()) GTEST_SKIP() << "this machine has no loop devices";
    }
    void faulty() {
        std::string const program = std::string(BINARY_DIR) + "/bin/lab-faultdisk", at = world.dir + "/faulty", image = world.dir + "/image";
        if (access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/fuse is missing";
        fs::create_directory(at);
        std::ofstream(image).close();
        fs::resize_file(image, 8 << 20);
        faults = fork();
        if (faults == 0) {
            execl(program.c_str(), program.c_str(), at.c_str(), image.c_str(), "data", nullptr);
            _exit(127);
        }
        for (int i = 0; i < 4000 && !fs::exists(at + "/control"); ++i) std::this_thread::sleep_for(5ms);
        ASSERT_TRUE(fs::exists(at + "/control"));
        device = std::make_unique<LoopDevice>(at + "/data");
        ASSERT_NE(device->path, "");
    }
    void order(std::string const& what) const {
        std::ofstream control(world.dir + "/faulty/control");
        control << what << std::endl;
        EXPECT_TRUE(control) << what;
    }
    static Instant within(std::int64_t ms) { return boot_now() + std::chrono::milliseconds(ms); }

    DriverWorld world;
    std::unique_ptr<LoopDevice> device;
    pid_t faults = 0;
    std::chrono::milliseconds const ms{1};
};

TEST_F(DiskDriver, ComesOnlineGoesOfflineAndIsRemembered) {
    plain("ext4");
    if (IsSkipped()) return;
    Driver& disk = make();
    EXPECT_EQ(disk.probe(within(20'000)).state, ResourceState::offline);
    DriverOutcome const on = disk.start(within(20'000));
    EXPECT_EQ(on.state, ResourceState::online) << on.message;
    EXPECT_EQ(disk.start(within(20'000)).state, ResourceState::online);
    Driver& after = make();  // another agent host
    EXPECT_EQ(after.probe(within(20'000)).state, ResourceState::online);
    EXPECT_EQ(after.stop(within(20'000)).state, ResourceState::offline);
    EXPECT_EQ(make().probe(within(20'000)).state, ResourceState::offline);
    EXPECT_FALSE(world.has_told());
}

TEST_F(DiskDriver, WithoutItsDeviceOrWithAnotherItDoesntStart) {
    plain("ext4");
    if (IsSkipped()) return;
    struct {
        std::map<std::string, std::string> attributes;
        char const* why;
    } const table[] = {
        {{{"device", "/dev/disk/by-id/no-such-disk"}}, "disk web: /dev/disk/by-id/no-such-disk: No such file or directory"},
        {{{"device", "/dev/null"}}, "/dev/null is no block device"},
        {{{"size", "4096"}}, "has 33554432 bytes, not 4096: it is another disk"},
        {{{"uuid", "0fc63daf-8483-4772-8e79-3d69d8477de4"}}, "not 0fc63daf-8483-4772-8e79-3d69d8477de4: it is another disk"},
    };
    for (auto const& row : table) {
        DriverOutcome const outcome = make(row.attributes).start(within(20'000));
        EXPECT_EQ(outcome.state, ResourceState::failed) << row.why;
        EXPECT_THAT(outcome.message, HasSubstr(row.why));
        EXPECT_FALSE(outcome.restart_here) << "another try here finds the same";
        EXPECT_EQ(world.driver->probe(within(20'000)).state, ResourceState::offline);
    }
    EXPECT_EQ(make({{"size", "33554432"}}).start(within(20'000)).state, ResourceState::online);
}

TEST_F(DiskDriver, KnowsTheUuidThatBlkidPrints) {
    for (char const* type : {"ext4", "xfs"}) {
        plain(type);
        if (IsSkipped()) return;
        std::string const uuid = printed("blkid -p -o value -s UUID " + device->path);
        ASSERT_EQ(uuid.size(), 36u) << uuid;
        DriverOutcome const outcome = make({{"uuid", uuid}}).start(within(20'000));
        EXPECT_EQ(outcome.state, ResourceState::online) << outcome.message;
        world.driver->stop(within(20'000));
        world.driver.reset();
        device.reset();
        fs::remove(world.dir + "/image");
    }
    plain("");
    std::system(("echo 'label: gpt' | sfdisk -q " + device->path + " >/dev/null 2>&1").c_str());
    std::string const uuid = printed("blkid -p -o value -s PTUUID " + device->path);
    ASSERT_EQ(uuid.size(), 36u) << uuid;
    DriverOutcome const outcome = make({{"uuid", uuid}}).start(within(20'000));
    EXPECT_EQ(outcome.state, ResourceState::online) << outcome.message;
}

TEST_F(DiskDriver, AnEmptyOneIsNotTheOneThatIsMeant) {
    plain("");
    if (IsSkipped()) return;
    EXPECT_THAT(make({{"uuid", "0fc63daf-8483-4772-8e79-3d69d8477de4"}}).start(within(20'000)).message, HasSubstr("neither an ext2/3/4 nor an xfs filesystem nor a GPT"));
}

TEST_F(DiskDriver, ErrorsAreToldWhileItIsOnline) {
    faulty();
    if (IsSkipped() || HasFatalFailure()) return;
    EXPECT_EQ(make().start(within(20'000)).state, ResourceState::online);
    order("data reio");
    DriverOutcome const told = world.wait_told();
    EXPECT_EQ(told.state, ResourceState::failed);
    EXPECT_THAT(told.message, HasSubstr("it can't be read: Input/output error"));
    EXPECT_FALSE(told.restart_here);
    EXPECT_EQ(world.driver->probe(within(20'000)).state, ResourceState::failed);
    order("data ok");
    EXPECT_EQ(world.driver->probe(within(20'000)).state, ResourceState::online);
    EXPECT_EQ(world.driver->stop(within(20'000)).state, ResourceState::offline);
}

TEST_F(DiskDriver, OneThatHangsIsToldAndHoldsNothingUp) {
    faulty();
    if (IsSkipped() || HasFatalFailure()) return;
    Driver& disk = make({{"check-timeout", "300ms"}});
    order("data hang");
    DriverOutcome outcome = disk.start(within(20'000));
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("doesn't answer: a read of it has not come back in 300ms"));
    EXPECT_THAT(disk.start(within(20'000)).message, HasSubstr("doesn't answer"));
    EXPECT_EQ(threads_named("disk"), 1) << "no second read beside one that hangs";
    order("data ok");
    for (int i = 0; i < 4000 && threads_named("disk") > 0; ++i) std::this_thread::sleep_for(5ms);
    outcome = disk.start(within(20'000));
    ASSERT_EQ(outcome.state, ResourceState::online) << outcome.message;
    order("data hang");
    EXPECT_THAT(world.wait_told().message, HasSubstr("doesn't answer"));
    EXPECT_EQ(disk.stop(within(20'000)).state, ResourceState::offline) << "although a read hangs";
    EXPECT_EQ(threads_named("disk"), 1) << "(else this shows nothing)";
}

TEST_F(DiskDriver, AStopDoesntWaitForAReadThatHangs) {
    faulty();
    if (IsSkipped() || HasFatalFailure()) return;
    Driver& disk = make({{"check-timeout", "1h"}});
    ASSERT_EQ(disk.start(within(20'000)).state, ResourceState::online);
    order("data hang");
    for (int i = 0; i < 4000 && threads_named("disk") == 0; ++i) std::this_thread::sleep_for(5ms);
    ASSERT_EQ(threads_named("disk"), 1);
    EXPECT_EQ(disk.stop(within(20'000)).state, ResourceState::offline);
    EXPECT_FALSE(world.has_told());
}

TEST(DiskIdentity, NothingIsSeenInTooFewBytes) {
    std::string ext(1024 + 0x68 + 16, '\0');
    ext.replace(1024 + 0x38, 2, "\x53\xef");
    EXPECT_EQ(identify_disk(ext).kind, "ext");
    EXPECT_EQ(identify_disk(ext).uuid, "00000000-0000-0000-0000-000000000000");
    EXPECT_EQ(identify_disk(ext.substr(0, ext.size() - 1)).kind, "");
    std::string gpt(4096 + 72, '\0');
    gpt.replace(4096, 8, "EFI PART");
    for (int i = 0; i < 16; ++i) gpt[4096 + 56 + static_cast<std::size_t>(i)] = static_cast<char>(i);
    EXPECT_EQ(identify_disk(gpt).uuid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    EXPECT_EQ(identify_disk(gpt.substr(0, gpt.size() - 1)).kind, "");
    EXPECT_EQ(identify_disk("XFSB").kind, "");
    EXPECT_EQ(identify_disk("").kind, "");
}

}  // namespace
}  // namespace clusterd
