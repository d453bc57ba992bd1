// Two nodes' worth of configuration on loopback, for the tests of the link room.
#pragma once

#include "clusterd/core/spec.hpp"
#include "clusterd/wire/key.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace clusterd::test {

inline Key test_key(std::uint8_t seed = 1) {
    Key key;
    for (std::size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<std::uint8_t>(seed + i);
    return key;
}

// A port of `address` that nothing uses, for UDP and TCP.
inline std::uint16_t free_port(char const* address = "127.0.0.1") {
    for (int n = 0; n < 100; ++n) {
        int const tcp = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), udp = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        inet_pton(AF_INET, address, &a.sin_addr);
        socklen_t size = sizeof a;
        bool good = ::bind(tcp, reinterpret_cast<sockaddr*>(&a), size) == 0 &&
                    ::getsockname(tcp, reinterpret_cast<sockaddr*>(&a), &size) == 0;
        good = good && ::bind(udp, reinterpret_cast<sockaddr*>(&a), size) == 0;
        ::close(tcp);
        ::close(udp);
        if (good) return ntohs(a.sin_port);
    }
    return 0;
}

// ::1 stands for both ends of an IPv6 link: then the ports differ.
inline Spec pair_spec(bool ipv6 = false, std::string cluster = "pair") {
    Spec spec;
    spec.cluster = std::move(cluster);
    spec.nodes[0].name = "alpha";
    spec.nodes[1].name = "beta";
    std::uint16_t const port = free_port();
    spec.nodes[0].links.push_back({"127.0.0.1", port});
    spec.nodes[1].links.push_back({"127.0.0.2", port});
    if (ipv6) {
        spec.nodes[0].links.push_back({"::1", free_port()});
        spec.nodes[1].links.push_back({"::1", free_port()});
    }
    spec.timing.heartbeat = std::chrono::milliseconds(20);
    spec.timing.suspect = std::chrono::milliseconds(200);
    return spec;
}

}  // namespace clusterd::test
