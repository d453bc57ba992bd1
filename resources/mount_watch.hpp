// A thread that hears when a filesystem is no longer mounted where it was, or has become read-only: the kernel wakes whoever polls
// mountinfo at each change. Called by the filesystem driver while it is online.
#pragma once

#include "clusterd/guard/mounts.hpp"

#include <functional>
#include <string>
#include <thread>

namespace clusterd {

class MountWatch {
public:
    // `lost`: called once, on the watch's thread, with what happened.
    MountWatch(guard::DeviceNumber device, std::string point, bool read_only, std::function<void(std::string)> lost);
    ~MountWatch();  // after it, `lost` isn't running and won't be called

private:
    void run();
    std::string wrong() const;

    guard::DeviceNumber const device_;
    std::string const point_;
    bool const read_only_;  // on purpose
    std::function<void(std::string)> const lost_;
    int wake_fd_ = -1;
    std::thread thread_;
};

}  // namespace clusterd
