// A thread that waits for the kernel to tell of something that may have taken a route away. Called by the type route.
#pragma once

#include "clusterd/core/result.hpp"

#include <functional>
#include <thread>

namespace clusterd {

class RouteWatch {
public:
    RouteWatch() = default;
    ~RouteWatch() { end(); }
    RouteWatch(RouteWatch const&) = delete;
    RouteWatch& operator=(RouteWatch const&) = delete;

    // Listens from now on. `look` is called on the watch's thread, once at first and after each change of a route of that family, an address
    // or an interface; it returns false to be called no more. It must not call the watch.
    Result<Done> begin(bool v6, std::function<bool()> look);
    void end();

private:
    void run(std::function<bool()> const& look);
    int netlink_fd_ = -1, wake_fd_ = -1;
    std::thread thread_;
};

}  // namespace clusterd
