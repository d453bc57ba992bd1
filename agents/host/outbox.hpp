// What an agent host has to tell the worker and couldn't yet: nobody may be reading, for a worker can be dead or frozen.
//
// Bounded: of what is repeated (a resource's state, a check's result) only the newest is kept; of answers to actions, the newest
// 1024. Used by the host's own thread only.
#pragma once

#include "clusterd/wire/host_message.hpp"

#include <deque>
#include <optional>
#include <string>

namespace clusterd {

class Outbox {
public:
    // Sends at once where the socket takes it, else keeps it.
    void send(int fd, host::Message const& message);
    // The socket takes something again.
    void flush(int fd);
    bool empty() const { return waiting_.empty(); }
    std::size_t size() const { return waiting_.size(); }
    void clear() { waiting_.clear(); }

private:
    struct Waiting {
        std::string key;  // messages of one key replace each other; empty: an answer
        std::string frame;
    };
    void keep(std::string key, std::string frame);
    std::deque<Waiting> waiting_;
};

}  // namespace clusterd
