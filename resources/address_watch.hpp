// One thread that keeps an eye on all of a host's cluster addresses, repeats their announcements and renews their lifetimes.
//
// Called by the ip-address driver. It sleeps until the kernel tells of a change (netlink) or an announcement is due: an address
// removed by hand, an interface that is down, gone or without carrier is known within the millisecond. Thread-safe.
//
// It is this thread that renews lifetimes, not the worker: renewing adds an address that was taken off, so it must exclude the driver's
// stop() (forget() below) and end with the host at an emergency stop; and it may wait for a lock of the kernel's, as the worker must not.
#pragma once

#include "resources/lifetime.hpp"
#include "clusterd/address/netlink.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace clusterd::net {

class AddressWatch {
public:
    // Of the network namespace of the thread that first asked for it; ends with its last user.
    static Result<std::shared_ptr<AddressWatch>> shared();

    struct Watched {
        IpAddress address;
        int prefix = 0;
        Link link;
        // Called once, on the watch's thread: what happened, and whether starting it here again can help. It must not call the
        // watch.
        std::function<void(std::string message, bool restart_here)> lost;
        // Announcements: how many (at 0, 50, 250 ms, 1 s, 2 s, then every 200 ms), and whether one may leave at this moment.
        int announcements = 0;
        std::function<bool()> may_announce;
        Lifetime lifetime = {};
    };
    std::uint64_t watch(Watched watched);
    void forget(std::uint64_t id);  // after it returned, `lost` isn't running and won't be called, and nothing is renewed
    void announce_again(std::uint64_t id, int times);  // beginning now; never waits

    explicit AddressWatch(int netlink_fd, int wake_fd);
    ~AddressWatch();

private:
    struct Entry {
        Watched watched;
        Instant begun;
        Instant next;  // announcement; `forever` when none is left
        Instant renewal;  // `forever` where it has no lifetime
        int announced = 0, to_announce = 0;
        bool lost = false;
    };
    void run();
    void read_events();
    void on_message(int type, void const* body, std::size_t size);
    void verify(Entry& entry);
    void lose(Entry& entry, std::string message, bool restart_here);
    void take_requests();
    Instant announce_due();
    Instant renew_due();
    bool renew(Entry& entry);
    void wake();

    int const netlink_fd_;
    int const wake_fd_;
    std::mutex mutex_;  // held while `lost` is called: that is what makes forget() a promise
    std::map<std::uint64_t, Entry> entries_;
    std::uint64_t last_ = 0;
    bool ending_ = false;
    std::mutex request_mutex_;
    std::map<std::uint64_t, int> requests_;  // announcements asked for
    std::thread thread_;
};

}  // namespace clusterd::net
