// See dns_client.hpp.
#include "clusterd/talk/dns_client.hpp"

#include "resources/clock.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/random.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

CheckOutcome said(Endpoint const& to, DnsQuestion const& question, Health result, std::string const& what) {
    return {result, fmt::format("{}: {}: {}", to.where, question.name, what)};
}

CheckOutcome by_udp(Endpoint const& to, std::string const& packet, DnsQuestion const& question, Instant deadline, DnsAnswer& answer) {
    struct Socket {
        int fd;
        ~Socket() {
            if (fd >= 0) close(fd);
        }
    } const s{socket(to.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    auto const error = [&](int e) { return said(to, question, own_fault(e) ? Health::unknown : Health::failed, std::strerror(e)); };
    if (s.fd < 0) return said(to, question, Health::unknown, fmt::format("no socket: {}", std::strerror(errno)));
    if (connect(s.fd, reinterpret_cast<sockaddr const*>(&to.address), to.size) != 0) return error(errno);
    Instant const begun = boot_now();
    Duration const third = (deadline - begun) / 3;
    for (int i = 1; i <= 3; ++i) {
        if (send(s.fd, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return error(errno);
        while (wait_for(s.fd, POLLIN, i < 3 ? std::min(deadline, begun + third * i) : deadline)) {
            char buffer[4096];
            ssize_t const n = recv(s.fd, buffer, sizeof buffer, 0);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (n < 0) return error(errno);
            auto read = read_dns_answer({buffer, static_cast<std::size_t>(n)}, question);
            if (!read) return said(to, question, Health::failed, read.error());
            if (!read->ours) continue;
            answer = std::move(*read);
            return {Health::ok, {}};
        }
    }
    return said(to, question, Health::failed, "no answer in time");
}

CheckOutcome by_tcp(Endpoint const& to, std::string const& packet, DnsQuestion const& question, Instant deadline, DnsAnswer& answer) {
    Connection server(to);
    if (auto const out = server.open(deadline); out.result != Health::ok) return out;
    std::string framed{static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size() & 0xff)};
    if (auto const out = server.say(framed + packet, deadline); out.result != Health::ok) return out;
    std::string heard;
    for (;;) {
        if (heard.size() >= 2) {
            std::size_t const size = static_cast<std::size_t>(static_cast<unsigned char>(heard[0])) << 8 | static_cast<unsigned char>(heard[1]);
            if (heard.size() >= size + 2) {
                auto read = read_dns_answer(std::string_view(heard).substr(2, size), question);
                if (!read) return said(to, question, Health::failed, read.error());
                if (!read->ours) return said(to, question, Health::failed, "by TCP it answers another question");
                answer = std::move(*read);
                return {Health::ok, {}};
            }
        }
        switch (server.hear(heard, deadline)) {
            case Connection::Heard::more: break;
            case Connection::Heard::late: return said(to, question, Health::failed, "no answer by TCP in time");
            case Connection::Heard::closed: return said(to, question, Health::failed, "it closed the connection");
            case Connection::Heard::error: return said(to, question, Health::failed, std::strerror(server.error()));
        }
    }
}

}  // namespace

CheckOutcome ask_dns(Endpoint const& to, DnsQuestion question, std::function<bool(DnsAnswer const&)> const& enough, Instant deadline,
                     DnsAnswer& answer) {
    if (!to.broken.empty()) return {Health::unknown, to.broken};
    if (getrandom(&question.id, sizeof question.id, 0) != sizeof question.id) return {Health::unknown, "no random numbers"};
    auto const packet = write_dns_question(question);
    if (!packet) return {Health::unknown, packet.error()};
    if (auto const out = by_udp(to, *packet, question, deadline, answer); out.result != Health::ok) return out;
    return answer.cut && !enough(answer) ? by_tcp(to, *packet, question, deadline, answer) : CheckOutcome{Health::ok, {}};
}

}  // namespace clusterd
