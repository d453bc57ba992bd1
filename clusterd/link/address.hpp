// A socket address made of a literal of the configuration. For the rooms that open sockets; knows nothing of names or DNS.
#pragma once

#include <sys/socket.h>
#include <cstdint>
#include <optional>
#include <string>

namespace clusterd {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    int family() const { return storage.ss_family; }
    sockaddr const* get() const { return reinterpret_cast<sockaddr const*>(&storage); }
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

std::optional<SocketAddress> socket_address(std::string const& literal,
                                            std::uint16_t port);  // nullopt: not an IPv4 or IPv6 literal
bool same_host(SocketAddress const& a, SocketAddress const& b);   // ports aside
std::uint16_t port_of(SocketAddress const& a);
std::string to_text(SocketAddress const& a);  // 10.0.0.1:7780, [fd00::1]:7780

// An fd that closes itself.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(Fd&& o) noexcept : fd_(o.release()) {}
    Fd& operator=(Fd&& o) noexcept {
        if (this != &o) reset(o.release());
        return *this;
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() {
        int const fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

}  // namespace clusterd
