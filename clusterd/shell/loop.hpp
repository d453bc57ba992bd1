// The worker's one loop, as the rooms see it: descriptors, timers and work posted from other threads. Callbacks run one at a
// time, on the loop's thread, and must not block. shell/loop.cpp implements it on Boost.Asio; tests may bring their own.
#pragma once

#include "clusterd/core/time.hpp"

#include <functional>
#include <memory>

namespace clusterd {

class Loop {
public:
    // Ends the watch or timer when destroyed.
    struct Handle {
        virtual ~Handle() = default;
    };
    using HandlePtr = std::unique_ptr<Handle>;

    virtual ~Loop() = default;
    // `ready` is called whenever fd is readable (writable), until the handle is destroyed. The caller keeps the fd open longer.
    virtual HandlePtr on_readable(int fd, std::function<void()> ready) = 0;
    virtual HandlePtr on_writable(int fd, std::function<void()> ready) = 0;
    // Once, at `when` (CLOCK_BOOTTIME) or as soon after as possible.
    virtual HandlePtr at(Instant when, std::function<void()> due) = 0;
    // From any thread: run `work` on the loop's thread soon.
    virtual void post(std::function<void()> work) = 0;
    virtual Now now() const = 0;
};

}  // namespace clusterd
