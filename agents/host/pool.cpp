// Threads that grow with the work. See pool.hpp.
#include "agents/host/pool.hpp"

#include <pthread.h>
#include <stdexcept>

namespace clusterd {
namespace {

// Drivers and agents are shallow; OpenSSL under curl is the deepest of them.
constexpr std::size_t stack_size = 512u << 10;

}  // namespace

Pool::Pool(std::string name, std::size_t max) : name_(std::move(name)), max_(max) {}

Pool::~Pool() {
    std::unique_lock lock(mutex_);
    ending_ = true;
    waiting_.clear();
    work_.notify_all();
    ended_.wait(lock, [this] { return threads_ == 0; });
}

void Pool::post(std::function<void()> work) {
    std::lock_guard lock(mutex_);
    if (ending_) return;
    waiting_.push_back(std::move(work));
    if (idle_ >= waiting_.size() || threads_ == max_) {
        work_.notify_one();
        return;
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int const error = pthread_create(&thread, &attributes, thread_main, this);
    pthread_attr_destroy(&attributes);
    if (error == 0)
        ++threads_;
    else if (threads_ == 0)
        throw std::runtime_error("no thread can be started; raise the limit of tasks of clusterd's unit");
}

void* Pool::thread_main(void* pool) {
    static_cast<Pool*>(pool)->run();
    return nullptr;
}

void Pool::run() {
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        work_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        --idle_;
        if (ending_) break;
        auto work = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        work();
        work = nullptr;  // what it holds is given up outside the lock
        lock.lock();
    }
    --threads_;
    ended_.notify_all();  // under the lock: the pool may be gone as soon as it is released
}

}  // namespace clusterd
