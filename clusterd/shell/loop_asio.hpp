// The worker's loop on Boost.Asio, without Asio in the header: made by the shell's main and by tests of rooms that need a loop.
#pragma once

#include "clusterd/shell/loop.hpp"

namespace clusterd {

class AsioLoop : public Loop {
public:
    // Runs callbacks until stop(). An exception of a callback comes out here: it is a bug, and main's to report.
    virtual void run() = 0;
    // From any thread or callback: run() returns soon. Called before run(), run() returns at once.
    virtual void stop() = 0;
    // The boost::asio::io_context, for the one file that speaks Beast (api/server.cpp).
    virtual void* io_context() = 0;
};

// Every handle, and every ApiServer, ends before its loop. Throws std::system_error where the kernel refuses an epoll or timer
// descriptor.
std::unique_ptr<AsioLoop> make_loop();

}  // namespace clusterd
