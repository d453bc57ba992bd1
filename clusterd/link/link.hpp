// The links: heartbeats to and from the peer, on every configured network path at once. Used by the shell.
//
// Never blocks and never fails: what can't be sent is counted and forgotten, since the next heartbeat says more than the last one.
// What is delivered was sealed with the cluster's key by the other node of this cluster, on this link, and was not delivered
// before.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/spec.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/key.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clusterd {

struct LinkCounters {
    std::uint64_t sent = 0, received = 0;
    std::uint64_t send_errors = 0;      // no address yet, no route, no carrier, ...
    std::uint64_t dropped_bad = 0;      // not a heartbeat, not from the peer's address, not sealed with our key
    std::uint64_t dropped_foreign = 0;  // another cluster's
    std::uint64_t dropped_own = 0;      // this node's own name as the sender
    std::uint64_t dropped_replay = 0;   // delivered before, or too old to know
};

struct LinkInfo {
    std::string address, peer_address;  // literals, as configured
    std::uint16_t port = 0;
    bool bound = false;  // the own address is there
    bool up = false;     // heard within max(suspect, 3H)
    Instant last_heard = long_ago;
    LinkCounters counters;
};

class Links {
public:
    struct Callbacks {
        std::function<void(Heartbeat const&, int link)> heartbeat;
        std::function<void(Severity, std::string)> note;  // for the record: an address that isn't there yet, a foreign key, ...
    };

    // Binds each link's socket now, or as soon as its address appears.
    Links(Loop& loop, Spec const& spec, NodeIndex self, Key const& cluster_key, Callbacks callbacks);
    ~Links();
    Links(Links&&) noexcept;
    Links& operator=(Links&&) noexcept;

    void send(Heartbeat const& heartbeat);  // on every link, now
    std::vector<LinkInfo> info() const;
    // For status: what was dropped within the last minute, how much of it, and what to do. Empty: nothing worth a word.
    std::vector<std::string> warnings() const;
    bool up(int link) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
