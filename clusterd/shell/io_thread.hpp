// A thread for I/O that may hang, beside the worker's loop: jobs run on it one at a time in order; what they report is posted to
// the loop. Used by quorum/ and store/.
//
// It promises: run() never blocks; nothing is posted once the IoThread is gone; its destructor waits a short while for the job
// under way and then leaves the thread behind. So a job must own (shared_ptr) everything it touches.
#pragma once

#include "clusterd/shell/loop.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <signal.h>
#include <string>
#include <system_error>
#include <time.h>

namespace clusterd {

inline Instant boottime_now() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return Instant{std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
}

class IoThread {
public:
    using Work = std::function<void()>;

    // What a job may keep: where it reports to. Safe to use after the IoThread is gone.
    class Back {
    public:
        void post(Work work) {
            std::lock_guard const lock(mutex_);
            if (loop_) loop_->post([self = self_.lock(), work = std::move(work)] { if (!self->closed()) work(); });
        }
        bool closed() const {
            std::lock_guard const lock(mutex_);
            return loop_ == nullptr;
        }

    private:
        friend class IoThread;
        mutable std::mutex mutex_;
        Loop* loop_ = nullptr;  // null: nobody is there any more
        std::weak_ptr<Back> self_;
    };

    IoThread(char const* name, Loop& loop, Duration grace = std::chrono::milliseconds(200)) : inner_(std::make_shared<Inner>()), grace_(grace) {
        inner_->back = std::make_shared<Back>();
        inner_->back->loop_ = &loop;
        inner_->back->self_ = inner_->back;
        start(name);
    }
    IoThread(IoThread const&) = delete;
    IoThread& operator=(IoThread const&) = delete;
    ~IoThread() {
        {
            std::lock_guard const lock(inner_->back->mutex_);
            inner_->back->loop_ = nullptr;
        }
        std::unique_lock lock(inner_->mutex);
        inner_->stop = true;
        inner_->wake.notify_all();
        bool const ended = inner_->wake.wait_for(lock, grace_, [this] { return inner_->ended; });
        lock.unlock();
        if (ended) pthread_join(thread_, nullptr);
        else pthread_detach(thread_);  // hung in the kernel; it ends with its I/O or with the process
    }

    void run(Work job) {
        std::lock_guard const lock(inner_->mutex);
        inner_->jobs.push_back(std::move(job));
        inner_->wake.notify_all();
    }
    std::shared_ptr<Back> back() const { return inner_->back; }
    // Since when the job under way runs; none: idle. A hang is seen by this.
    std::optional<Instant> busy_since() const {
        std::lock_guard const lock(inner_->mutex);
        return inner_->busy_since;
    }

private:
    struct Inner {
        mutable std::mutex mutex;
        std::condition_variable wake;
        std::deque<Work> jobs;
        bool stop = false, ended = false;
        std::optional<Instant> busy_since;
        std::shared_ptr<Back> back;
    };

    // A small stack (the worker's memory is locked) and no signals: they are the loop's.
    void start(char const* name) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 512u << 10);
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        auto* const arg = new std::shared_ptr<Inner>(inner_);
        int const err = pthread_create(&thread_, &attributes, &IoThread::main, arg);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        pthread_attr_destroy(&attributes);
        if (err != 0) {
            delete arg;
            throw std::system_error(err, std::generic_category(), std::string("the thread ") + name + " can't be started");
        }
        pthread_setname_np(thread_, name);
    }

    static void* main(void* arg) {
        std::unique_ptr<std::shared_ptr<Inner>> const holder(static_cast<std::shared_ptr<Inner>*>(arg));
        Inner& in = **holder;
        std::unique_lock lock(in.mutex);
        while (true) {
            in.wake.wait(lock, [&in] { return in.stop || !in.jobs.empty(); });
            if (in.stop) break;
            Work job = std::move(in.jobs.front());
            in.jobs.pop_front();
            in.busy_since = boottime_now();
            lock.unlock();
            job();
            job = nullptr;  // what it owns ends here, not under the lock
            lock.lock();
            in.busy_since.reset();
        }
        std::deque<Work> const unrun = std::move(in.jobs);
        in.jobs.clear();
        in.ended = true;
        in.wake.notify_all();
        lock.unlock();
        return nullptr;
    }

    std::shared_ptr<Inner> inner_;
    Duration grace_;
    pthread_t thread_{};
};

}  // namespace clusterd
