// The quorum disk on a real block device: a loop device over a file, with O_DIRECT. Skipped, loudly, where none can be had.
#include "tests/unit/quorum/support.hpp"

#include "clusterd/quorum/quorum.hpp"
#include "tests/unit/quorum/queue_loop.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::HasSubstr;

namespace {

// A loop device that the kernel frees with its last user (autoclear), so that nothing is left behind after a crash of the test.
class LoopDevice {
public:
    LoopDevice(std::string const& file, std::uint64_t bytes) {
        std::ofstream(file).flush();
        std::filesystem::resize_file(file, bytes);
        int const control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        int const back = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
        for (int tries = 0; tries < 20 && control >= 0 && back >= 0 && fd_ < 0; ++tries) {  // another process may take the free one first
            int const number = ::ioctl(control, LOOP_CTL_GET_FREE);
            if (number < 0) break;
            path_ = "/dev/loop" + std::to_string(number);
            int const fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
            if (fd < 0) break;
            loop_config config{};
            config.fd = static_cast<std::uint32_t>(back);
            config.block_size = 512;
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
            if (::ioctl(fd, LOOP_CONFIGURE, &config) == 0) fd_ = fd;
            else ::close(fd);
        }
        if (control >= 0) ::close(control);
        if (back >= 0) ::close(back);
    }
    LoopDevice(LoopDevice const&) = delete;
    LoopDevice& operator=(LoopDevice const&) = delete;
    ~LoopDevice() {
        if (fd_ >= 0) ::close(fd_);
    }
    explicit operator bool() const { return fd_ >= 0; }
    std::string const& path() const { return path_; }

private:
    int fd_ = -1;
    std::string path_;
};

#define NEEDS_DEVICE(device) \
    if (!(device)) GTEST_SKIP() << "SKIPPED: no loop device can be made here (needs root and /dev/loop-control): O_DIRECT on a block device is not tested"

// `n` cycles by way of the daemon's thread, and what they took.
LatencyStats measure(std::string const& path, std::string const& lock_dir, std::uint64_t n) {
    QueueLoop loop;
    std::uint64_t answers = 0, bad = 0;
    QuorumDisk::Options o;
    o.path = path;
    o.cluster = "shop";
    o.key = key_of(7);
    o.lock_dir = lock_dir;
    o.parse_config = parse;
    o.on_event = [&](Event const& e) {
        ++answers;
        auto const* const done = std::get_if<event::CycleDone>(&e);
        if (!done || !done->ok) ++bad;
    };
    QuorumDisk disk(o, loop);
    for (std::uint64_t i = 1; i <= n; ++i) {
        disk.cycle(i, slot_of(1, i));
        EXPECT_TRUE(loop.run_until([&] { return answers == i; }));
    }
    EXPECT_EQ(bad, 0u) << disk.health().message;
    return disk.latency();
}

void print(char const* what, LatencyStats const& s) {
    auto const us = [](Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); };
    std::printf("%s: %llu cycles, p50 %lld us, p99 %lld us, max %lld us\n", what, static_cast<unsigned long long>(s.count),
                static_cast<long long>(us(s.p50)), static_cast<long long>(us(s.p99)), static_cast<long long>(us(s.max)));
}

}  // namespace

TEST(Device, WorksWithODirectFromInitToDecisions) {
    TempDir dir;
    LoopDevice device(dir / "image", 64u << 20);
    NEEDS_DEVICE(device);
    auto const report = quorum_init({device.path(), "shop", "", {}});
    ASSERT_TRUE(report) << report.error();
    EXPECT_EQ(report->warning, "") << "O_DIRECT is used";
    EXPECT_EQ(report->header.geometry, geometry_for(64u << 20));
    auto const opened = open_disk(device.path(), DiskAccess::read_write);
    ASSERT_TRUE(opened) << opened.error();
    EXPECT_TRUE((*opened)->facts().direct && (*opened)->facts().block_device);

    DiskSession a{settings_for(device.path(), NodeIndex::a)}, b{settings_for(device.path(), NodeIndex::b)};
    ASSERT_TRUE(a.store_decision(*decision_of({3, 1}, config_of("<c>" + std::string(3u << 20, 'x') + "</c>")), 0));
    Slot slot = slot_of(1, 1, Role::alone, 3);
    slot.newest = {3, 1};
    Instant started;
    ASSERT_TRUE(a.cycle(slot, started));
    auto const loaded = b.load_decisions();
    ASSERT_TRUE(loaded) << loaded.error();
    EXPECT_EQ((*loaded)->id, (DecisionId{3, 1}));
    Key const key = key_of(7);
    auto const view = quorum_show(device.path(), &key);
    ASSERT_TRUE(view) << view.error();
    EXPECT_TRUE(view->block_device);
    EXPECT_EQ(view->decisions[0].state, DecisionView::State::ok);
}

TEST(Device, TooShortOnesAreRefused) {
    TempDir dir;
    LoopDevice device(dir / "image", 4u << 20);
    NEEDS_DEVICE(device);
    auto const report = quorum_init({device.path(), "shop", "", {}});
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error(), HasSubstr("needs 8388608"));
}

TEST(Device, OneInUseIsRefusedEvenWithForce) {
    TempDir dir;
    LoopDevice device(dir / "image", 16u << 20);
    NEEDS_DEVICE(device);
    int const held = ::open(device.path().c_str(), O_RDWR | O_EXCL | O_CLOEXEC);
    ASSERT_GE(held, 0);
    auto const report = quorum_init({device.path(), "shop", device.path(), {}});
    ::close(held);
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error(), HasSubstr("in use"));
    EXPECT_TRUE(quorum_init({device.path(), "shop", "", {}})) << "free again";
}

TEST(Device, AMountedOneIsRefusedAndSaysWhere) {
    TempDir dir;
    LoopDevice device(dir / "image", 16u << 20);
    NEEDS_DEVICE(device);
    if (std::system(("mkfs.ext4 -q -F " + device.path() + " >/dev/null 2>&1").c_str()) != 0) GTEST_SKIP() << "SKIPPED: no mkfs.ext4 here";
    std::string const report_unmounted = quorum_init({device.path(), "shop", "", {}}).error();
    EXPECT_THAT(report_unmounted, HasSubstr("ext4"));
    std::string const point = dir / "mnt";
    std::filesystem::create_directory(point);
    if (::mount(device.path().c_str(), point.c_str(), "ext4", 0, nullptr) != 0) GTEST_SKIP() << "SKIPPED: can't mount here";
    auto const report = quorum_init({device.path(), "shop", device.path(), {}});
    ::umount2(point.c_str(), MNT_DETACH);
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error(), HasSubstr("mounted at " + point));
}

TEST(Device, CycleLatencyIsMeasured) {
    TempDir dir;
    make_disk(dir / "file");
    auto const file = measure(dir / "file", dir.path(), 300);
    print("file", file);
    EXPECT_EQ(file.count, 300u);
    EXPECT_LE(file.p50, file.p99);
    EXPECT_LE(file.p99, file.max);
    LoopDevice device(dir / "image", 16u << 20);
    NEEDS_DEVICE(device);
    make_disk(device.path());
    auto const loop = measure(device.path(), dir.path(), 300);
    print("loop device", loop);
    EXPECT_EQ(loop.count, 300u);
}

TEST(Device, AFileWithoutODirectIsUsedWithAWarning) {
    std::string const shm = "/dev/shm/clusterd-test-" + std::to_string(::getpid());
    auto const report = quorum_init({shm, "shop", "", {}});
    if (!report) GTEST_SKIP() << "SKIPPED: no /dev/shm here: " << report.error();
    auto const opened = open_disk(shm, DiskAccess::read_write);
    EXPECT_TRUE(opened);
    if (opened) {
        EXPECT_EQ((*opened)->facts().direct, (*opened)->facts().warning.empty());
    }
    ::unlink(shm.c_str());
}
