// A Loop on poll() for tests: real descriptors, real time, one thread. Callbacks may end any watch or timer, also their own.
#pragma once

#include "clusterd/shell/loop.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <chrono>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace clusterd::test {

class TestLoop : public Loop {
public:
    TestLoop() : wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
    ~TestLoop() override { ::close(wake_); }

    HandlePtr on_readable(int fd, std::function<void()> ready) override { return watch(fd, POLLIN, std::move(ready)); }
    HandlePtr on_writable(int fd, std::function<void()> ready) override { return watch(fd, POLLOUT, std::move(ready)); }
    HandlePtr at(Instant when, std::function<void()> due) override {
        auto const id = ++ids_;
        timers_[id] = {when, std::make_shared<std::function<void()>>(std::move(due))};
        return handle([this, id] { timers_.erase(id); });
    }
    void post(std::function<void()> work) override {
        std::lock_guard const lock(mutex_);
        posted_.push_back(std::move(work));
        std::uint64_t const one = 1;
        (void)!::write(wake_, &one, sizeof one);
    }
    Now now() const override {
        timespec t{};
        ::clock_gettime(CLOCK_BOOTTIME, &t);
        return Now{Instant{t.tv_sec * 1'000'000'000LL + t.tv_nsec}, 0, 0};
    }

    // One wait of at most `limit`, and whatever is due after it.
    void run_once(Duration limit) {
        Instant wake = now().mono + limit;
        for (auto const& [id, timer] : timers_) wake = std::min(wake, timer.when);
        auto const wait = std::max<std::int64_t>(0, (wake - now().mono).count() / 1'000'000 + 1);
        std::vector<pollfd> fds{{wake_, POLLIN, 0}};
        std::vector<std::uint64_t> ids{0};
        for (auto const& [id, w] : watches_) fds.push_back({w.fd, w.events, 0}), ids.push_back(id);
        ::poll(fds.data(), fds.size(), static_cast<int>(wait));
        for (std::size_t i = 1; i < fds.size(); ++i)
            if (fds[i].revents != 0) call_watch(ids[i]);
        call_posted();
        call_timers();
    }
    // Runs until `done` says so. False: not within `limit`, which is generous, for slow machines; nothing waits for it to pass.
    bool run_until(std::function<bool()> const& done, Duration limit = std::chrono::seconds(20)) {
        Instant const end = now().mono + limit;
        while (!done()) {
            if (now().mono > end) return false;
            run_once(std::chrono::milliseconds(20));
        }
        return true;
    }
    void run_for(Duration time) {
        Instant const end = now().mono + time;
        run_until([&] { return now().mono >= end; }, time * 2);
    }

private:
    struct Watch {
        int fd;
        short events;
        std::shared_ptr<std::function<void()>> call;
    };
    struct Timer {
        Instant when;
        std::shared_ptr<std::function<void()>> call;
    };
    struct Ender : Handle {
        explicit Ender(std::function<void()> e) : end(std::move(e)) {}
        ~Ender() override { end(); }
        std::function<void()> end;
    };
    static HandlePtr handle(std::function<void()> end) { return std::make_unique<Ender>(std::move(end)); }
    HandlePtr watch(int fd, short events, std::function<void()> ready) {
        auto const id = ++ids_;
        watches_[id] = {fd, events, std::make_shared<std::function<void()>>(std::move(ready))};
        return handle([this, id] { watches_.erase(id); });
    }
    void call_watch(std::uint64_t id) {
        auto const found = watches_.find(id);
        if (found == watches_.end()) return;  // ended by a call of this round
        auto const call = found->second.call;
        (*call)();
    }
    void call_posted() {
        std::uint64_t count = 0;
        (void)!::read(wake_, &count, sizeof count);
        std::vector<std::function<void()>> work;
        {
            std::lock_guard const lock(mutex_);
            work.swap(posted_);
        }
        for (auto const& w : work) w();
    }
    void call_timers() {
        Instant const t = now().mono;
        std::vector<std::uint64_t> due;
        for (auto const& [id, timer] : timers_)
            if (timer.when <= t) due.push_back(id);
        for (auto const id : due) {
            auto const found = timers_.find(id);
            if (found == timers_.end()) continue;
            auto const call = found->second.call;
            timers_.erase(found);
            (*call)();
        }
    }

    int wake_;
    std::uint64_t ids_ = 0;
    std::map<std::uint64_t, Watch> watches_;
    std::map<std::uint64_t, Timer> timers_;
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
};

}  // namespace clusterd::test
