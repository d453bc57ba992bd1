// See address.hpp.
#include "clusterd/link/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>
#include <cstring>

namespace clusterd {

std::optional<SocketAddress> socket_address(std::string const& literal, std::uint16_t port) {
    SocketAddress a;
    auto& v4 = reinterpret_cast<sockaddr_in&>(a.storage);
    if (inet_pton(AF_INET, literal.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        a.length = sizeof v4;
        return a;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(a.storage);
    if (inet_pton(AF_INET6, literal.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        a.length = sizeof v6;
        return a;
    }
    return std::nullopt;
}

bool same_host(SocketAddress const& a, SocketAddress const& b) {
    if (a.family() != b.family()) return false;
    if (a.family() == AF_INET)
        return reinterpret_cast<sockaddr_in const&>(a.storage).sin_addr.s_addr ==
               reinterpret_cast<sockaddr_in const&>(b.storage).sin_addr.s_addr;
    if (a.family() != AF_INET6) return false;
    return std::memcmp(&reinterpret_cast<sockaddr_in6 const&>(a.storage).sin6_addr,
                       &reinterpret_cast<sockaddr_in6 const&>(b.storage).sin6_addr, sizeof(in6_addr)) == 0;
}

std::uint16_t port_of(SocketAddress const& a) {
    // The port stands at the same place in both.
    return ntohs(reinterpret_cast<sockaddr_in const&>(a.storage).sin_port);
}

std::string to_text(SocketAddress const& a) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (a.family() == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in const&>(a.storage).sin_addr, text, sizeof text);
        return std::string(text) + ":" + std::to_string(port_of(a));
    }
    if (a.family() == AF_INET6) inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6 const&>(a.storage).sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(port_of(a));
}

void Fd::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

}  // namespace clusterd
