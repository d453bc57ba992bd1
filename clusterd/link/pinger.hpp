// ICMP echo to the ping targets of one network, IPv4 and IPv6. For networks.cpp.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/link/address.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/echo.hpp"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

class Pinger {
public:
    // `answered` whenever a target that counted as silent answers.
    Pinger(Loop& loop, std::string interface, std::vector<std::string> const& targets, int misses, std::function<void()> answered);

    // Opens sockets if need be and pings every target once; the pings of before that weren't answered count as missed.
    void ping();
    void restart();  // the interface is another one now: new sockets

    bool able() const { return able_; }  // false: no kind of ICMP socket is allowed here
    std::string const& why_unable() const { return why_; }
    bool any_answers() const;  // a target counts as answering until it missed `misses` in a row
    std::string target_list() const;

private:
    struct Target {
        std::string literal;
        SocketAddress address;
        EchoCookie cookie{};
        std::uint16_t sequence = 0;
        int missed = 0;
        bool waiting = false;
    };
    struct Socket {
        Fd fd;
        bool raw = false;
        Loop::HandlePtr watch;
    };
    Socket& socket_of(int family) { return sockets_[family == AF_INET ? 0 : 1]; }
    bool open(int family);
    void send(Target& target);
    void readable(int family);
    void take(int family, std::string_view packet, SocketAddress const& source);

    Loop& loop_;
    std::string interface_;
    int misses_;
    std::function<void()> answered_;
    std::vector<Target> targets_;
    std::array<Socket, 2> sockets_;
    bool able_ = true;
    bool out_of_room_ = false;  // the last socket that couldn't be opened: for want of files or memory
    std::string why_;
};

}  // namespace clusterd
