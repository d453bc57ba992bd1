// The nodes' cores and shells talking over the sync channel: values in, values out. Used by the shell.
//
// Decisions travel with their configuration's hash; its XML goes ahead of the first decision that names it in each session. So what
// is delivered is complete: a decision whose configuration can't be had here is not delivered at all, and a note says why.
#pragma once

#include "clusterd/link/sync_channel.hpp"

#include <set>

namespace clusterd {

class Replica {
public:
    // None of them may destroy the replica.
    struct Callbacks {
        std::function<void(Incarnation peer)> up;
        std::function<void(std::string const& reason)> down;
        std::function<void(SyncMessage)> message;
        std::function<void(std::string)> aux;                            // the shell's own frames, as they were sent
        std::function<ConfigPtr(Hash const&)> known;                     // null: not known here
        std::function<Result<ConfigPtr>(std::string const& xml)> parse;  // called only for what isn't known
        std::function<void(Severity, std::string)> note;                 // for the record; may be empty
        std::function<bool(int link)> link_up;                           // may be empty
    };

    Replica(Loop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& cluster_key, Callbacks callbacks);
    ~Replica();
    Replica(Replica&&) noexcept;
    Replica& operator=(Replica&&) noexcept;

    bool send(SyncMessage const& message);  // false: the channel is down, the message is gone
    bool send_aux(std::string_view frame);  // likewise; at most 8 MiB - 1
    bool up() const;
    SyncInfo info() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
