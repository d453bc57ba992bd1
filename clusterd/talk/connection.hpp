// A TCP connection of one check: opened, written to and read from until the check's deadline. Used by the agents that speak a protocol
// of their own (tcp, redis). Who can't be asked because this node lacks files, memory or ports is unknown, never failed.
#pragma once

#include "agents/agent.hpp"

#include <sys/socket.h>
#include <string>
#include <string_view>

namespace clusterd {

struct Endpoint {
    sockaddr_storage address{};
    socklen_t size = 0;
    std::string where;   // 10.0.0.100:80, for messages
    std::string broken;  // not empty: no address and port
};
Endpoint endpoint(std::string const& address, int port);

// False at the deadline.
bool wait_for(int fd, short what, Instant deadline);
// It is this node that couldn't ask.
bool own_fault(int error);

class Connection {
public:
    explicit Connection(Endpoint const& to) : to_(to) {}
    ~Connection();
    Connection(Connection const&) = delete;
    Connection& operator=(Connection const&) = delete;

    // ok, or what the check has come to.
    CheckOutcome open(Instant deadline);
    CheckOutcome say(std::string_view text, Instant deadline);
    enum class Heard { more, closed, late, error };
    Heard hear(std::string& answer, Instant deadline);  // appends what came
    int error() const { return error_; }                // of Heard::error

private:
    Endpoint const& to_;
    int fd_ = -1;
    int error_ = 0;
};

}  // namespace clusterd
