// The worker's loop on boost::asio::io_context: one thread runs every callback.
//
// Timers are points on CLOCK_BOOTTIME, which goes on during suspend; Asio's own clocks don't, so one timerfd carries the earliest
// of an ordered list. Each watch has a duplicate of its descriptor: epoll knows a descriptor once only, and a reader and a writer
// of the same socket must not end each other.
#include "clusterd/shell/loop_asio.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <map>
#include <system_error>

namespace clusterd {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;

std::int64_t clock_ns(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// Kept for a minute of wall time: asking the C library for the zone each time costs more than a step of the core.
int local_minute(std::int64_t wall_ms) {
    thread_local std::int64_t known_minute = -1;
    thread_local int answer = 0;
    std::int64_t const minute = wall_ms / 60'000;
    if (minute != known_minute) {
        std::time_t const seconds = static_cast<std::time_t>(wall_ms / 1000);
        std::tm local{};
        localtime_r(&seconds, &local);
        answer = local.tm_hour * 60 + local.tm_min;
        known_minute = minute;
    }
    return answer;
}

// The kernel has no room for one more just now; that passes.
bool out_of_room(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOSPC;
}

// Kept alive by its handle and by the operation under way; `wanted` ends with the handle.
struct Watch : std::enable_shared_from_this<Watch> {
    Watch(asio::io_context& io, int watched, stream_descriptor::wait_type what, std::function<void()> callback)
        : descriptor(io), again(io), fd(watched), kind(what), ready(std::move(callback)) {}

    // Where files have run out it begins as soon as there is one again: late, but nobody's end.
    void start() {
        int const failed = open_copy();
        if (failed == 0) return arm();
        if (!out_of_room(failed)) throw std::system_error(failed, std::generic_category(), "watching a descriptor");
        again.expires_after(std::chrono::milliseconds(50));
        again.async_wait([self = shared_from_this()](boost::system::error_code cancelled) {
            if (!cancelled && self->wanted) self->start();
        });
    }

    int open_copy() {
        int const copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) return errno;
        boost::system::error_code failed;
        descriptor.assign(copy, failed);
        if (failed) close(copy);
        return failed.value();
    }

    void arm() {
        descriptor.async_wait(kind, [self = shared_from_this()](boost::system::error_code failed) {
            if (failed || !self->wanted) return;
            self->ready();
            if (self->wanted) self->arm();
        });
    }

    stream_descriptor descriptor;
    asio::steady_timer again;
    int fd;
    stream_descriptor::wait_type kind;
    std::function<void()> ready;
    bool wanted = true;
};

struct WatchHandle final : Loop::Handle {
    explicit WatchHandle(std::shared_ptr<Watch> w) : watch(std::move(w)) {}
    ~WatchHandle() override {
        watch->wanted = false;
        watch->again.cancel();
        boost::system::error_code ignored;
        watch->descriptor.close(ignored);
    }
    std::shared_ptr<Watch> watch;
};

// The list of what is due, and the one timerfd armed for its head.
class Timers : public std::enable_shared_from_this<Timers> {
public:
    using Key = std::pair<Instant, std::uint64_t>;

    explicit Timers(asio::io_context& io) : descriptor_(io) {
        int const fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
        descriptor_.assign(fd);
    }

    void listen() {
        descriptor_.async_wait(stream_descriptor::wait_read, [self = shared_from_this()](boost::system::error_code failed) {
            if (failed) return;
            std::uint64_t expirations = 0;
            [[maybe_unused]] ssize_t const got = read(self->descriptor_.native_handle(), &expirations, sizeof expirations);
            self->run_due();
            self->listen();
        });
    }
    Key add(Instant when, std::function<void()> due) {
        Key const key{when, ++last_};
        due_.emplace(key, std::move(due));
        if (due_.begin()->first == key) arm();
        return key;
    }
    void remove(Key key) { due_.erase(key); }  // the timerfd may fire for nothing, once
    void close() {
        due_.clear();
        boost::system::error_code ignored;
        descriptor_.close(ignored);
    }

private:
    void run_due() {
        // Those added by a callback wait for the next round, so a timer that re-arms itself in the past can't starve the sockets.
        Key const limit{Instant{clock_ns(CLOCK_BOOTTIME)}, last_};
        while (!due_.empty() && due_.begin()->first <= limit) {
            if (due_.begin()->first.second > limit.second) break;
            auto const due = std::move(due_.begin()->second);
            due_.erase(due_.begin());
            due();
        }
        arm();
    }
    void arm() {
        itimerspec at{};
        if (!due_.empty() && due_.begin()->first.first != forever) {
            std::int64_t const ns = std::max<std::int64_t>(due_.begin()->first.first.ns, 1);  // 0 would disarm it
            at.it_value.tv_sec = ns / 1'000'000'000;
            at.it_value.tv_nsec = ns % 1'000'000'000;
        }
        timerfd_settime(descriptor_.native_handle(), TFD_TIMER_ABSTIME, &at, nullptr);
    }

    stream_descriptor descriptor_;
    std::map<Key, std::function<void()>> due_;
    std::uint64_t last_ = 0;
};

struct TimerHandle final : Loop::Handle {
    TimerHandle(std::shared_ptr<Timers> t, Timers::Key k) : timers(std::move(t)), key(k) {}
    ~TimerHandle() override { timers->remove(key); }
    std::shared_ptr<Timers> timers;
    Timers::Key key;
};

class LoopImpl final : public AsioLoop {
public:
    LoopImpl() : work_(asio::make_work_guard(io_)), timers_(std::make_shared<Timers>(io_)) { timers_->listen(); }
    ~LoopImpl() override { timers_->close(); }

    HandlePtr on_readable(int fd, std::function<void()> ready) override {
        return watch(fd, stream_descriptor::wait_read, std::move(ready));
    }
    HandlePtr on_writable(int fd, std::function<void()> ready) override {
        return watch(fd, stream_descriptor::wait_write, std::move(ready));
    }
    HandlePtr at(Instant when, std::function<void()> due) override {
        return std::make_unique<TimerHandle>(timers_, timers_->add(when, std::move(due)));
    }
    void post(std::function<void()> work) override { asio::post(io_, std::move(work)); }
    Now now() const override {
        std::int64_t const wall_ms = clock_ns(CLOCK_REALTIME) / 1'000'000;
        return {Instant{clock_ns(CLOCK_BOOTTIME)}, wall_ms, local_minute(wall_ms)};
    }

    void run() override {
        io_.run();
        io_.restart();
    }
    void stop() override { io_.stop(); }
    void* io_context() override { return &io_; }

private:
    HandlePtr watch(int fd, stream_descriptor::wait_type kind, std::function<void()> ready) {
        auto made = std::make_shared<Watch>(io_, fd, kind, std::move(ready));
        made->start();
        return std::make_unique<WatchHandle>(std::move(made));
    }

    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::shared_ptr<Timers> timers_;
};

}  // namespace

std::unique_ptr<AsioLoop> make_loop() {
    return std::make_unique<LoopImpl>();
}

}  // namespace clusterd
