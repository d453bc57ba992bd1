// The loop on Asio: watches, timers, work from other threads, and handles that end within callbacks.
#include "clusterd/shell/loop_asio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <thread>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

// Ends a loop that waits for what doesn't come, as a failure.
struct Limit {
    explicit Limit(AsioLoop& loop)
        : handle(loop.at(loop.now().mono + 30s, [&loop, this] {
              late = true;
              loop.stop();
          })) {}
    ~Limit() { EXPECT_FALSE(late); }
    bool late = false;
    Loop::HandlePtr handle;
};

TEST(AsioLoop, TimersRunInTheirOrder) {
    auto const loop = make_loop();
    Limit const limit(*loop);
    std::vector<int> ran;
    Instant const now = loop->now().mono;
    auto const c = loop->at(now + 30ms, [&] {
        ran.push_back(3);
        loop->stop();
    });
    auto const a = loop->at(now - 1h, [&] { ran.push_back(1); });
    auto gone = loop->at(now + 5ms, [&] { ran.push_back(99); });
    auto const b = loop->at(now + 10ms, [&] { ran.push_back(2); });
    gone.reset();
    loop->run();
    EXPECT_THAT(ran, ElementsAre(1, 2, 3));
    EXPECT_GE(loop->now().mono - now, 30ms);
}

TEST(AsioLoop, TimerCanEndItselfAndOthers) {
    auto const loop = make_loop();
    Limit const limit(*loop);
    Loop::HandlePtr self, victim;
    bool hit = false;
    Instant const due = loop->now().mono + 5ms;
    self = loop->at(due, [&] {
        self.reset();
        victim.reset();
        loop->stop();
    });
    victim = loop->at(due, [&] { hit = true; });
    loop->run();
    EXPECT_FALSE(hit);
}

TEST(AsioLoop, TimerInThePastDoesNotStarveSockets) {
    auto const loop = make_loop();
    Limit const limit(*loop);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    Loop::HandlePtr again;
    std::function<void()> rearm = [&] { again = loop->at(long_ago, rearm); };
    rearm();
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    auto const watch = loop->on_readable(ends[0], [&] { loop->stop(); });
    loop->run();
    close(ends[0]);
    close(ends[1]);
}

TEST(AsioLoop, ReadableIsToldWhileThereIsSomething) {
    auto const loop = make_loop();
    Limit const limit(*loop);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    ASSERT_EQ(write(ends[1], "abc", 3), 3);
    std::string got;
    int writable = 0;
    Loop::HandlePtr reader, writer;
    reader = loop->on_readable(ends[0], [&] {
        char c = 0;
        ASSERT_EQ(read(ends[0], &c, 1), 1);  // one at a time: the rest must be told again
        got.push_back(c);
        if (got == "abc") {
            reader.reset();  // within its own callback
            if (writable > 0) loop->stop();
        }
    });
    writer = loop->on_writable(ends[0], [&] {  // the same descriptor
        if (++writable == 3) {
            writer.reset();
            if (got == "abc") loop->stop();
        }
    });
    loop->run();
    EXPECT_EQ(got, "abc");
    EXPECT_GT(writable, 0);
    reader.reset();
    writer.reset();
    close(ends[0]);
    close(ends[1]);
}

TEST(AsioLoop, WorkFromThreadsRunsOnTheLoopsOwn) {
    auto const loop = make_loop();
    Limit const limit(*loop);
    int sum = 0;
    bool foreign = false;
    auto const owner = std::this_thread::get_id();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) {
                loop->post([&] {
                    foreign = foreign || std::this_thread::get_id() != owner;
                    if (++sum == 4000) loop->stop();
                });
            }
        });
    }
    loop->run();
    for (auto& t : threads) t.join();
    EXPECT_EQ(sum, 4000);
    EXPECT_FALSE(foreign);
}

TEST(AsioLoop, StopsBeforeItRunsAndRunsAgain) {
    auto const loop = make_loop();
    loop->stop();
    loop->run();
    bool ran = false;
    loop->post([&] {
        ran = true;
        loop->stop();
    });
    loop->run();
    EXPECT_TRUE(ran);
}

TEST(AsioLoop, NowIsTheBootClockAndTheLocalMinute) {
    auto const loop = make_loop();
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    Instant const before{std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
    Now const now = loop->now();
    EXPECT_GE(now.mono, before);
    EXPECT_LT(now.mono - before, 10s);
    std::time_t const seconds = static_cast<std::time_t>(now.wall_ms / 1000);
    std::tm local{};
    localtime_r(&seconds, &local);
    EXPECT_EQ(now.local_minute, local.tm_hour * 60 + local.tm_min);
}

TEST(AsioLoop, ClosedDescriptorIsAnError) {
    auto const loop = make_loop();
    EXPECT_THROW(loop->on_readable(-1, [] {}), std::system_error);
}

// A daemon that dies because its files have run out would turn somebody else's leak into an outage.
TEST(AsioLoop, WithoutAFreeDescriptorAWatchBeginsLater) {
    auto const loop = make_loop();
    Limit const limit(*loop);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    std::vector<int> hoard;
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit const few{std::min<rlim_t>(before.rlim_cur, 64), before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd; (fd = dup(ends[0])) >= 0;) hoard.push_back(fd);
    ASSERT_EQ(errno, EMFILE);
    bool seen = false;
    auto const watch = loop->on_readable(ends[0], [&] { seen = true, loop->stop(); });
    auto dropped = loop->on_readable(ends[0], [] { ADD_FAILURE() << "its handle is gone"; });
    dropped.reset();
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    auto const later = loop->at(loop->now().mono + 120ms, [&] {
        EXPECT_FALSE(seen);
        for (int const fd : hoard) close(fd);
    });
    loop->run();
    EXPECT_TRUE(seen);
    setrlimit(RLIMIT_NOFILE, &before);
    close(ends[0]), close(ends[1]);
}

}  // namespace
}  // namespace clusterd
