// See connection.hpp.
#include "clusterd/talk/connection.hpp"

#include "config/values.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace clusterd {

Endpoint endpoint(std::string const& address, int port) {
    Endpoint e;
    e.where = address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port) : fmt::format("[{}]:{}", address, port);
    auto const parsed = parse_address(address);
    if (!parsed || port < 1 || port > 65535) {
        e.broken = fmt::format("{}: not an address and port to connect to", e.where);
        return e;
    }
    if (parsed->v6) {
        auto& in = reinterpret_cast<sockaddr_in6&>(e.address);
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(static_cast<std::uint16_t>(port));
        std::memcpy(&in.sin6_addr, parsed->bytes.data(), 16);
        e.size = sizeof in;
    } else {
        auto& in = reinterpret_cast<sockaddr_in&>(e.address);
        in.sin_family = AF_INET;
        in.sin_port = htons(static_cast<std::uint16_t>(port));
        std::memcpy(&in.sin_addr, parsed->bytes.data(), 4);
        e.size = sizeof in;
    }
    return e;
}

bool wait_for(int fd, short what, Instant deadline) {
    for (;;) {
        int const ms = ms_left(deadline);
        if (ms == 0) return false;
        pollfd p{fd, what, 0};
        if (poll(&p, 1, ms) > 0) return true;
    }
}

bool own_fault(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL || error == EPERM ||
           error == EACCES;
}

Connection::~Connection() {
    if (fd_ >= 0) close(fd_);
}

CheckOutcome Connection::open(Instant deadline) {
    if (!to_.broken.empty()) return {Health::unknown, to_.broken};
    auto const refused = [this](int error) {
        return CheckOutcome{own_fault(error) ? Health::unknown : Health::failed, fmt::format("{}: {}", to_.where, std::strerror(error))};
    };
    fd_ = socket(to_.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return {Health::unknown, fmt::format("{}: no socket: {}", to_.where, std::strerror(errno))};
    if (connect(fd_, reinterpret_cast<sockaddr const*>(&to_.address), to_.size) != 0) {
        if (errno != EINPROGRESS) return refused(errno);
        if (!wait_for(fd_, POLLOUT, deadline)) return {Health::failed, to_.where + ": no connection in time"};
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) return refused(error);
    }
    return {Health::ok, to_.where + ": connected"};
}

CheckOutcome Connection::say(std::string_view text, Instant deadline) {
    while (!text.empty()) {
        ssize_t const n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (n >= 0)
            text.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EAGAIN && errno != EINTR)
            return {Health::failed, fmt::format("{}: can't send: {}", to_.where, std::strerror(errno))};
        else if (!wait_for(fd_, POLLOUT, deadline))
            return {Health::failed, to_.where + ": it takes nothing in time"};
    }
    return {Health::ok, {}};
}

Connection::Heard Connection::hear(std::string& answer, Instant deadline) {
    for (;;) {
        if (!wait_for(fd_, POLLIN, deadline)) return Heard::late;
        char buffer[4096];
        ssize_t const n = recv(fd_, buffer, sizeof buffer, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n < 0) {
            error_ = errno;
            return Heard::error;
        }
        answer.append(buffer, static_cast<std::size_t>(n));
        return n == 0 ? Heard::closed : Heard::more;
    }
}

}  // namespace clusterd
