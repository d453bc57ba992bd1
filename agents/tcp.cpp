// Connects and asks. See tcp.hpp.
#include "agents/tcp.hpp"

#include "agents/text.hpp"
#include "config/values.hpp"
#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

constexpr std::size_t max_answer = 64u << 10;  // `expect` is looked for in so much

struct Socket {
    int fd;
    ~Socket() {
        if (fd >= 0) close(fd);
    }
};

// False at the deadline.
bool wait_for(int fd, short what, Instant deadline) {
    for (;;) {
        int const ms = ms_left(deadline);
        if (ms == 0) return false;
        pollfd p{fd, what, 0};
        if (poll(&p, 1, ms) > 0) return true;
    }
}

// It is this node that couldn't ask: out of files, memory or ports.
bool own_fault(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL || error == EPERM ||
           error == EACCES;
}

class Tcp final : public Agent {
public:
    explicit Tcp(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        std::string const address = attributes.text("address");
        int const port = attributes.number("port", 0);
        where_ =
            address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port) : fmt::format("[{}]:{}", address, port);
        auto const parsed = parse_address(address);
        if (!parsed || port < 1 || port > 65535) {
            broken_ = fmt::format("{}: not an address and port to connect to", where_);
            return;
        }
        if (parsed->v6) {
            auto& in = reinterpret_cast<sockaddr_in6&>(to_);
            in.sin6_family = AF_INET6;
            in.sin6_port = htons(static_cast<std::uint16_t>(port));
            std::memcpy(&in.sin6_addr, parsed->bytes.data(), 16);
            to_size_ = sizeof in;
        } else {
            auto& in = reinterpret_cast<sockaddr_in&>(to_);
            in.sin_family = AF_INET;
            in.sin_port = htons(static_cast<std::uint16_t>(port));
            std::memcpy(&in.sin_addr, parsed->bytes.data(), 4);
            to_size_ = sizeof in;
        }
        if (auto text = unescape(attributes.text("send"))) send_ = *text;
        if (auto text = unescape(attributes.text("expect"))) expect_ = *text;
    }

    CheckOutcome check(Instant deadline) override {
        if (!broken_.empty()) return {Health::unknown, broken_};
        Socket const s{socket(to_.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        if (s.fd < 0) return {Health::unknown, fmt::format("{}: no socket: {}", where_, std::strerror(errno))};
        if (connect(s.fd, reinterpret_cast<sockaddr const*>(&to_), to_size_) != 0) {
            if (errno != EINPROGRESS) return refused(errno);
            if (!wait_for(s.fd, POLLOUT, deadline)) return {Health::failed, where_ + ": no connection in time"};
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(s.fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error != 0) return refused(error);
        }
        if (auto const out = say(s.fd, deadline); out.result != Health::ok) return out;
        return expect_.empty() ? CheckOutcome{Health::ok, where_ + ": connected"} : listen(s.fd, deadline);
    }

private:
    CheckOutcome refused(int error) const {
        return {own_fault(error) ? Health::unknown : Health::failed, fmt::format("{}: {}", where_, std::strerror(error))};
    }

    CheckOutcome say(int fd, Instant deadline) const {
        for (std::size_t at = 0; at < send_.size();) {
            ssize_t const n = ::send(fd, send_.data() + at, send_.size() - at, MSG_NOSIGNAL);
            if (n >= 0)
                at += static_cast<std::size_t>(n);
            else if (errno != EAGAIN && errno != EINTR)
                return {Health::failed, fmt::format("{}: can't send: {}", where_, std::strerror(errno))};
            else if (!wait_for(fd, POLLOUT, deadline))
                return {Health::failed, where_ + ": it takes nothing in time"};
        }
        return {Health::ok, {}};
    }

    CheckOutcome listen(int fd, Instant deadline) const {
        std::string answer;
        std::string const wanted = fmt::format("\"{}\" expected", one_line(expect_, 100));
        while (answer.size() < max_answer) {
            if (!wait_for(fd, POLLIN, deadline))
                return {Health::failed, fmt::format("{}: no such answer in time, {}{}", where_, wanted, heard(answer))};
            char buffer[4096];
            ssize_t const n = recv(fd, buffer, sizeof buffer, 0);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (n < 0) return {Health::failed, fmt::format("{}: {}", where_, std::strerror(errno))};
            if (n == 0) return {Health::failed, fmt::format("{}: it closed the connection, {}{}", where_, wanted, heard(answer))};
            answer.append(buffer, static_cast<std::size_t>(n));
            if (answer.find(expect_) != std::string::npos) return {Health::ok, where_ + ": answered as expected"};
        }
        return {Health::failed, fmt::format("{}: not in the first 64 KiB of its answer, {}", where_, wanted)};
    }
    static std::string heard(std::string const& answer) {
        return answer.empty() ? std::string() : fmt::format(", \"{}\" came", one_line(answer, 100));
    }

    std::string where_, broken_, send_, expect_;
    sockaddr_storage to_{};
    socklen_t to_size_ = 0;
};

}  // namespace

AgentPtr make_tcp_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Tcp>(health);
}

}  // namespace clusterd
