// A loop for tests: posted work waits until the test runs it. No descriptors, no timers.
#pragma once

#include "clusterd/shell/io_thread.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace clusterd {

class QueueLoop : public Loop {
public:
    HandlePtr on_readable(int, std::function<void()>) override { return nullptr; }
    HandlePtr on_writable(int, std::function<void()>) override { return nullptr; }
    HandlePtr at(Instant, std::function<void()>) override { return nullptr; }
    void post(std::function<void()> work) override {
        std::lock_guard const lock(mutex_);
        queue_.push_back(std::move(work));
        wake_.notify_all();
    }
    Now now() const override { return {boottime_now(), 0, 0}; }

    // Runs posted work until `done` holds; false after a generous while.
    bool run_until(std::function<bool()> const& done, std::chrono::seconds limit = std::chrono::seconds(30)) {
        auto const end = std::chrono::steady_clock::now() + limit;
        while (!done()) {
            std::unique_lock lock(mutex_);
            wake_.wait_for(lock, std::chrono::milliseconds(5), [this] { return !queue_.empty(); });
            if (queue_.empty()) {
                if (std::chrono::steady_clock::now() > end) return false;
                continue;
            }
            auto work = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            work();
        }
        return true;
    }
    std::size_t waiting() const {
        std::lock_guard const lock(mutex_);
        return queue_.size();
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
};

}  // namespace clusterd
