// The sync channel: one ordered, sealed stream of messages between the two nodes, over whichever link works. Used by replica.cpp.
//
// The second node of the file connects, the first one listens on all its links. At most one session counts; a newer authentic one
// replaces it, since only a peer that gave the old one up makes a new one. Nothing is kept over a session's end: after `up`,
// nothing sent before is known to have arrived. Never blocks.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/spec.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/key.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace clusterd {

struct SyncInfo {
    bool up = false;
    int link = -1;  // the session's; -1 without one
    Incarnation peer = 0;
    Instant since = long_ago;
    std::uint64_t sessions = 0;  // so far
    std::uint64_t refused = 0;   // connections that never got as far as that
    std::string problem;         // why there is no session: of the last attempt; empty with one
    std::uint64_t frames_sent = 0, frames_received = 0;
};

class SyncChannel {
public:
    // None of them may destroy the channel.
    struct Callbacks {
        std::function<void(Incarnation peer)> up;
        std::function<void(std::string const& reason)> down;
        std::function<void(std::string_view frame)> message;
        std::function<void(Severity, std::string)> note;  // for the record; may be empty
        std::function<bool(int link)> link_up;            // which links work, for the choice; may be empty
    };

    SyncChannel(Loop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& cluster_key, Callbacks callbacks);
    ~SyncChannel();
    SyncChannel(SyncChannel&&) noexcept;
    SyncChannel& operator=(SyncChannel&&) noexcept;

    // Queued in order. False: down, or this frame (over 8 MiB) or a peer that doesn't read made it go down.
    bool send(std::string_view frame);
    bool up() const;
    SyncInfo info() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
