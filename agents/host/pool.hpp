// The threads that drivers' actions and checks run on: none at first, one more whenever work finds all busy, at most `max`.
//
// Idle threads sleep until there is work. Threads that hang in a call are never ended: the worker kills the whole host then.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

namespace clusterd {

class Pool {
public:
    Pool(std::string name, std::size_t max);
    Pool(Pool const&) = delete;
    Pool& operator=(Pool const&) = delete;
    ~Pool();  // waits for what runs; what hasn't begun isn't done

    void post(std::function<void()> work);

private:
    static void* thread_main(void* pool);
    void run();

    std::string const name_;
    std::size_t const max_;
    std::mutex mutex_;
    std::condition_variable work_, ended_;
    std::deque<std::function<void()>> waiting_;
    std::size_t threads_ = 0, idle_ = 0;
    bool ending_ = false;
};

}  // namespace clusterd
