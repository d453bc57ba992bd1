// See ping.hpp.
#include "agents/ping.hpp"

#include "clusterd/talk/connection.hpp"
#include "clusterd/wire/echo.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

class Ping final : public Agent {
public:
    explicit Ping(HealthSpec const& health) : name_(Attributes(health.attributes).text("address")), to_(endpoint(name_, 1)) {
        if (!to_.broken.empty()) return;
        if (to_.address.ss_family == AF_INET)
            reinterpret_cast<sockaddr_in&>(to_.address).sin_port = 0;  // ICMP has none
        else
            reinterpret_cast<sockaddr_in6&>(to_.address).sin6_port = 0;
    }

    CheckOutcome check(Instant deadline) override {
        if (!to_.broken.empty()) return {Health::unknown, name_ + ": not an address to ping"};
        EchoCookie cookie;
        if (getrandom(cookie.data(), cookie.size(), 0) != static_cast<ssize_t>(cookie.size()))
            return {Health::unknown, name_ + ": no random numbers"};
        Socket s(to_.address.ss_family);
        if (s.fd < 0) {
            bool const refused = errno == EACCES || errno == EPERM;
            return {Health::unknown, fmt::format("{}: no ICMP socket: {}{}", name_, std::strerror(errno),
                                                 refused ? "; run as root, or allow the group in net.ipv4.ping_group_range" : "")};
        }
        if (connect(s.fd, reinterpret_cast<sockaddr const*>(&to_.address), to_.size) != 0) return not_sent(errno);
        Instant const begun = boot_now();
        Duration const third = (deadline - begun) / 3;
        for (std::uint16_t i = 1; i <= 3; ++i) {
            std::string const echo = echo_request(to_.address.ss_family, i, cookie);
            if (send(s.fd, echo.data(), echo.size(), MSG_NOSIGNAL) < 0 && errno != ECONNREFUSED) return not_sent(errno);
            if (answered(s, cookie, i < 3 ? std::min(deadline, begun + third * i) : deadline)) {
                double const ms = static_cast<double>((boot_now() - begun).count()) / 1e6;
                return {Health::ok, fmt::format("{}: answers, {:.1f} ms", name_, ms)};
            }
        }
        return {Health::failed, name_ + ": none of three echoes was answered in time"};
    }

private:
    struct Socket {
        int fd;
        bool raw = false;
        explicit Socket(int family) {
            int const protocol = family == AF_INET ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
            fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
            if (fd >= 0) return;
            raw = true;
            fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
        }
        ~Socket() {
            if (fd >= 0) close(fd);
        }
        Socket(Socket const&) = delete;
        Socket& operator=(Socket const&) = delete;
    };

    CheckOutcome not_sent(int error) const {
        return {own_fault(error) ? Health::unknown : Health::failed, fmt::format("{}: {}", name_, std::strerror(error))};
    }

    // Whatever echo of this check: a late answer to the first is one, too. What the router says of it (unreachable) isn't waited out.
    bool answered(Socket const& s, EchoCookie const& cookie, Instant until) const {
        while (wait_for(s.fd, POLLIN, until)) {
            char buffer[256];
            ssize_t const n = recv(s.fd, buffer, sizeof buffer, 0);
            if (n < 0) continue;
            int const family = to_.address.ss_family;
            auto const reply = read_echo_reply({buffer, static_cast<std::size_t>(n)}, family, family == AF_INET && s.raw);
            if (reply && reply->cookie == cookie) return true;
        }
        return false;
    }

    std::string const name_;
    Endpoint to_;
};

}  // namespace

AgentPtr make_ping_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Ping>(health);
}

}  // namespace clusterd
