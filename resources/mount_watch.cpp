// See mount_watch.hpp.
#include "resources/mount_watch.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cerrno>

namespace clusterd {
namespace {

// A filesystem that turns itself read-only after an error is no change of the mount's own: nobody is woken for it.
constexpr int look_every_ms = 2000;

}  // namespace

MountWatch::MountWatch(guard::DeviceNumber device, std::string point, bool read_only, std::function<void(std::string)> lost)
    : device_(device), point_(std::move(point)), read_only_(read_only), lost_(std::move(lost)) {
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread_ = std::thread([this] { run(); });
}

MountWatch::~MountWatch() {
    std::uint64_t const one = 1;
    [[maybe_unused]] ssize_t const n = write(wake_fd_, &one, sizeof one);
    thread_.join();
    close(wake_fd_);
}

std::string MountWatch::wrong() const {
    bool there = false, turned_read_only = false;
    bool const known = guard::for_each_mount(device_, [&](char const* at, bool read_only) {
        if (point_ != at) return;
        there = true;
        turned_read_only = read_only && !read_only_;
    });
    if (!known) return {};
    if (!there) return "it isn't mounted any more; somebody else has unmounted it";
    if (turned_read_only) return "it has become read-only, as after an error of its device; see `dmesg`, and run fsck";
    return {};
}

void MountWatch::run() {
    int const mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    for (;;) {
        if (std::string const what = wrong(); !what.empty()) {
            lost_(what);
            break;
        }
        pollfd fds[2] = {{wake_fd_, POLLIN, 0}, {mounts, POLLPRI, 0}};
        poll(fds, 2, look_every_ms);
        if (fds[0].revents) break;
    }
    if (mounts >= 0) close(mounts);
}

}  // namespace clusterd
