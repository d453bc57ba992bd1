// One share of one file server, as the driver file-share sees it: looked for, added, removed and watched.
//
// The server itself is never started, stopped or killed for a share: others are on it. Nothing of a share is a process of the resource's
// own, so the guard has nothing of it to end: on a node that goes dark it ends with its address (the gate) and its filesystem, whose users
// the guard kills (docs/types/file-share.md).
#pragma once

#include "resources/driver.hpp"

#include <memory>
#include <string>

namespace clusterd {

class ShareServer {
public:
    virtual ~ShareServer() = default;
    // online: configured, and the server answers; offline: not configured; failed: in between; unknown. Changes nothing.
    virtual DriverOutcome look(Instant deadline) = 0;
    virtual DriverOutcome add(Instant deadline) = 0;                     // online, or failed
    virtual DriverOutcome remove(Instant deadline, bool by_force) = 0;  // offline, or failed/unknown

    // On the watch's thread, while it is online. Waits until something may have changed (a few seconds at most) or `wake_fd` is readable.
    virtual void wait(int wake_fd) = 0;
    virtual DriverOutcome glance() = 0;  // look(), as cheap as can be
    virtual void cancel_glance() {}      // from another thread: one under way ends soon, and so does each later one
    virtual void allow_glances() {}      // before a watch begins
};
using ShareServerPtr = std::unique_ptr<ShareServer>;

ShareServerPtr make_samba_share(ResourceSpec const& resource, DriverContext const& context);
ShareServerPtr make_ganesha_export(ResourceSpec const& resource, DriverContext const& context);
ShareServerPtr make_kernel_export(ResourceSpec const& resource, DriverContext const& context);

// Why a share's directory can't be offered, or empty.
std::string why_no_directory(std::string const& path);

// Does a process have a file of the directory open, or stand in it? By the names the kernel gives: nothing is touched.
bool holds_directory(int pid, std::string const& path);

}  // namespace clusterd
