// See pinger.hpp. An unprivileged ICMP socket where the machine allows one (net.ipv4.ping_group_range), else a raw one.
#include "clusterd/link/pinger.hpp"

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sodium.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

// Only echo replies: a raw socket would get every ICMP packet of the machine.
void filter_replies(int fd, int family) {
    if (family == AF_INET) {
        icmp_filter filter{};
        filter.data = ~(1u << ICMP_ECHOREPLY);
        (void)::setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
    } else {
        icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
        (void)::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
    }
}

}  // namespace

Pinger::Pinger(Loop& loop, std::string interface, std::vector<std::string> const& targets, int misses,
               std::function<void()> answered)
    : loop_(loop), interface_(std::move(interface)), misses_(misses), answered_(std::move(answered)) {
    for (auto const& literal : targets) {
        auto const address = socket_address(literal, 0);
        if (!address) continue;  // config/ allows only literals
        Target t;
        t.literal = literal;
        t.address = *address;
        randombytes_buf(t.cookie.data(), t.cookie.size());
        targets_.push_back(t);
    }
}

void Pinger::restart() {
    for (Socket& s : sockets_) {
        s.watch.reset();
        s.fd.reset();
    }
}

bool Pinger::open(int family) {
    Socket& s = socket_of(family);
    if (s.fd) return true;
    int const protocol = family == AF_INET ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
    s.raw = false;
    s.fd.reset(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!s.fd) {
        s.raw = true;
        s.fd.reset(::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    }
    if (!s.fd) {
        out_of_room_ = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (errno == EACCES || errno == EPERM) {
            able_ = false;
            why_ = "neither ICMP nor raw sockets are allowed here (run as root, or allow the group in net.ipv4.ping_group_range)";
        }
        return false;
    }
    if (s.raw) filter_replies(s.fd.get(), family);
    // Over this interface and no other, or a target would seem to answer on a network that is dead. Where it can't be bound the
    // routing table decides.
    (void)::setsockopt(s.fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface_.c_str(), static_cast<socklen_t>(interface_.size() + 1));
    s.watch = loop_.on_readable(s.fd.get(), [this, family] { readable(family); });
    return true;
}

void Pinger::ping() {
    for (Target& t : targets_) {
        if (able_ && !open(t.address.family()) && out_of_room_) continue;  // not asked: that says nothing about the network
        if (t.waiting) t.missed = std::min(t.missed + 1, misses_);
        t.waiting = true;
        if (able_ && open(t.address.family())) send(t);
    }
}

void Pinger::send(Target& t) {
    Socket const& s = socket_of(t.address.family());
    std::string const m = echo_request(t.address.family(), ++t.sequence, t.cookie);
    (void)::sendto(s.fd.get(), m.data(), m.size(), MSG_DONTWAIT | MSG_NOSIGNAL, t.address.get(), t.address.length);
}

void Pinger::readable(int family) {
    for (int i = 0; i < 64; ++i) {
        Socket& s = socket_of(family);
        if (!s.fd) return;
        char buffer[256];
        SocketAddress source;
        source.length = sizeof source.storage;
        ssize_t const n = ::recvfrom(s.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT, source.get(), &source.length);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) return;
            return restart();  // ENETDOWN and the like: new sockets with the next ping
        }
        take(family, {buffer, static_cast<std::size_t>(n)}, source);
    }
}

void Pinger::take(int family, std::string_view packet, SocketAddress const& source) {
    auto const reply = read_echo_reply(packet, family, family == AF_INET && socket_of(family).raw);
    if (!reply) return;
    for (Target& t : targets_) {
        if (!same_host(source, t.address) || reply->cookie != t.cookie || reply->sequence != t.sequence) continue;
        t.waiting = false;
        bool const was_silent = t.missed >= misses_;
        t.missed = 0;
        if (was_silent) answered_();
    }
}

bool Pinger::any_answers() const {
    return std::any_of(targets_.begin(), targets_.end(), [this](Target const& t) { return t.missed < misses_; });
}

std::string Pinger::target_list() const {
    std::string list;
    for (Target const& t : targets_) list += (list.empty() ? "" : ", ") + t.literal;
    return list;
}

}  // namespace clusterd
