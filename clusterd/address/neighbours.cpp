// ARP and neighbour discovery on the wire. See neighbours.hpp.
#include "clusterd/address/neighbours.hpp"

#include "resources/clock.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace clusterd::net {
namespace {

constexpr Mac broadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr int probes = 3;

struct Fd {
    int fd;
    explicit Fd(int f) : fd(f) {}
    Fd(Fd const&) = delete;
    Fd& operator=(Fd const&) = delete;
    ~Fd() {
        if (fd >= 0) close(fd);
    }
};

// As it stands on an Ethernet (RFC 826).
struct [[gnu::packed]] Arp {
    std::uint16_t hardware = htons(ARPHRD_ETHER);
    std::uint16_t protocol = htons(ETH_P_IP);
    std::uint8_t hardware_size = 6, protocol_size = 4;
    std::uint16_t operation = 0;
    Mac sender_mac{};
    std::array<std::uint8_t, 4> sender{};
    Mac target_mac{};
    std::array<std::uint8_t, 4> target{};
};
static_assert(sizeof(Arp) == 28);

struct [[gnu::packed]] Solicitation {
    ip6_hdr ip{};
    nd_neighbor_solicit ns{};
};

struct [[gnu::packed]] Advertisement {
    nd_neighbor_advert na{};
    nd_opt_hdr option{};
    Mac mac{};
};

Error failed(std::string const& doing) {
    return Error{fmt::format("{}: {}", doing, std::strerror(errno))};
}

std::array<std::uint8_t, 4> v4(IpAddress const& a) {
    return {a.bytes[0], a.bytes[1], a.bytes[2], a.bytes[3]};
}

sockaddr_ll on_link(Link const& link, int protocol, Mac const& to) {
    sockaddr_ll ll{};
    ll.sll_family = AF_PACKET;
    ll.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
    ll.sll_ifindex = link.index;
    ll.sll_halen = 6;
    std::memcpy(ll.sll_addr, to.data(), to.size());
    return ll;
}

Result<int> packet_socket(Link const& link, int protocol) {
    int const fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failed("can't open a packet socket (CAP_NET_RAW is needed)");
    if (protocol == ETH_P_IPV6) {  // only neighbour advertisements: a busy link's traffic stays in the kernel
        sock_filter code[] = {
            {BPF_LD | BPF_B | BPF_ABS, 0, 0, 6},  // next header
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, IPPROTO_ICMPV6},
            {BPF_LD | BPF_B | BPF_ABS, 0, 0, 40},  // ICMPv6 type
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ND_NEIGHBOR_ADVERT},
            {BPF_RET | BPF_K, 0, 0, 0xffff},
            {BPF_RET | BPF_K, 0, 0, 0},
        };
        sock_fprog const program{6, code};
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    }
    sockaddr_ll const at = on_link(link, protocol, Mac{});
    if (bind(fd, reinterpret_cast<sockaddr const*>(&at), sizeof at) != 0) {
        Error const e = failed("can't listen on interface " + link.name);
        close(fd);
        return e;
    }
    return fd;
}

std::uint16_t checksum(ip6_hdr const& ip, void const* payload, std::size_t size) {
    std::uint32_t sum = static_cast<std::uint32_t>(size) + IPPROTO_ICMPV6;
    auto const add = [&](void const* data, std::size_t n) {
        auto const* p = static_cast<std::uint8_t const*>(data);
        for (std::size_t i = 0; i + 1 < n; i += 2) sum += static_cast<std::uint32_t>(p[i] << 8 | p[i + 1]);
        if (n % 2) sum += static_cast<std::uint32_t>(p[n - 1] << 8);
    };
    add(&ip.ip6_src, 16);
    add(&ip.ip6_dst, 16);
    add(payload, size);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons(static_cast<std::uint16_t>(~sum));
}

// To the solicited-node group of the address, from nowhere, as in duplicate address detection: the answer goes to all nodes.
Solicitation solicitation(IpAddress const& address, Mac& to) {
    Solicitation p;
    p.ip.ip6_flow = htonl(6u << 28);
    p.ip.ip6_plen = htons(sizeof p.ns);
    p.ip.ip6_nxt = IPPROTO_ICMPV6;
    p.ip.ip6_hlim = 255;
    std::uint8_t const group[16] = {
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, address.bytes[13], address.bytes[14], address.bytes[15]};
    std::memcpy(&p.ip.ip6_dst, group, 16);
    to = {0x33, 0x33, 0xff, address.bytes[13], address.bytes[14], address.bytes[15]};
    p.ns.nd_ns_type = ND_NEIGHBOR_SOLICIT;
    std::memcpy(p.ns.nd_ns_target.s6_addr, address.bytes.data(), 16);
    p.ns.nd_ns_cksum = checksum(p.ip, &p.ns, sizeof p.ns);
    return p;
}

bool send_probe(int fd, IpAddress const& address, Link const& link) {
    if (address.v6) {
        Mac to;
        Solicitation const p = solicitation(address, to);
        sockaddr_ll const ll = on_link(link, ETH_P_IPV6, to);
        return sendto(fd, &p, sizeof p, 0, reinterpret_cast<sockaddr const*>(&ll), sizeof ll) == sizeof p;
    }
    Arp p;
    p.operation = htons(ARPOP_REQUEST);
    p.sender_mac = link.mac;
    p.target = v4(address);
    sockaddr_ll const ll = on_link(link, ETH_P_ARP, broadcast);
    return sendto(fd, &p, sizeof p, 0, reinterpret_cast<sockaddr const*>(&ll), sizeof ll) == sizeof p;
}

}  // namespace

std::optional<Mac> holder_in(std::string_view packet, IpAddress const& address, Mac const& sender) {
    if (address.v6) {
        if (packet.size() < sizeof(ip6_hdr) + sizeof(nd_neighbor_advert)) return {};
        if (packet.substr(sizeof(ip6_hdr) + offsetof(nd_neighbor_advert, nd_na_target), 16) !=
            std::string_view(reinterpret_cast<char const*>(address.bytes.data()), 16))
            return {};
        return sender;
    }
    Arp arp;
    if (packet.size() < sizeof arp) return {};
    std::memcpy(&arp, packet.data(), sizeof arp);
    if (arp.protocol != htons(ETH_P_IP) || arp.protocol_size != 4 || arp.hardware_size != 6 || arp.sender != v4(address)) return {};
    Mac mac{};
    std::memcpy(mac.data(), &arp.sender_mac, mac.size());
    return mac;
}

namespace {

std::optional<Mac> listen_until(int fd, Instant until, IpAddress const& address, std::vector<Mac> const& own) {
    for (;;) {
        char packet[2048];
        sockaddr_ll from{};
        socklen_t from_size = sizeof from;
        ssize_t const n = recvfrom(fd, packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&from), &from_size);
        if (n < 0) {
            int const ms = ms_left(until);
            if (ms == 0) return {};
            pollfd p{fd, POLLIN, 0};
            if (errno != EINTR && poll(&p, 1, ms) == 0) return {};
            continue;
        }
        if (from.sll_pkttype == PACKET_OUTGOING) continue;
        Mac sender{};
        std::memcpy(sender.data(), from.sll_addr, sender.size());
        auto const mac = holder_in({packet, static_cast<std::size_t>(n)}, address, sender);
        if (mac && std::find(own.begin(), own.end(), *mac) == own.end()) return mac;
        if (boot_now() >= until) return {};
    }
}

// ---- what Listener lets through. Programs are loaded with jumps of one step and `ja` only: those have no limit that many addresses
// could reach.

void let_through(std::vector<sock_filter>& code) { code.push_back({BPF_RET | BPF_K, 0, 0, 0xffff}); }
void drop(std::vector<sock_filter>& code) { code.push_back({BPF_RET | BPF_K, 0, 0, 0}); }

std::uint32_t big_endian(std::uint8_t const* p, std::size_t n) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < n; ++i) value = value << 8 | p[i];
    return value;
}

// Goes on only if the four bytes at `offset` are the last four of one of the addresses.
void one_of(std::vector<sock_filter>& code, std::uint32_t offset, std::vector<IpAddress> const& addresses) {
    code.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offset});
    std::size_t const first = code.size();
    for (IpAddress const& a : addresses) {
        code.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, big_endian(a.bytes.data() + (a.v6 ? 12 : 0), 4)});
        code.push_back({BPF_JMP | BPF_JA, 0, 0, 0});
    }
    drop(code);
    for (std::size_t i = first + 1; i < code.size(); i += 2) code[i].k = static_cast<std::uint32_t>(code.size() - i - 1);
}

void not_from(std::vector<sock_filter>& code, std::uint32_t offset, std::vector<Mac> const& macs) {
    for (Mac const& mac : macs) {
        code.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offset});
        code.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 3, big_endian(mac.data(), 4)});
        code.push_back({BPF_LD | BPF_H | BPF_ABS, 0, 0, offset + 4});
        code.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, big_endian(mac.data() + 4, 2)});
        drop(code);
    }
}

std::vector<sock_filter> program(bool v6, std::vector<IpAddress> const& addresses, std::vector<Mac> const& but_from) {
    std::vector<sock_filter> code;
    if (v6) {
        for (auto const& [offset, value] : {std::pair(6u, std::uint32_t{IPPROTO_ICMPV6}), std::pair(40u, std::uint32_t{ND_NEIGHBOR_ADVERT})}) {
            code.push_back({BPF_LD | BPF_B | BPF_ABS, 0, 0, offset});
            code.push_back({BPF_JMP | BPF_JEQ | BPF_K, 1, 0, value});
            drop(code);
        }
        one_of(code, 60, addresses);  // the end of the advertisement's target
        not_from(code, static_cast<std::uint32_t>(SKF_LL_OFF) + 6, but_from);
    } else {
        one_of(code, offsetof(Arp, sender), addresses);
        not_from(code, offsetof(Arp, sender_mac), but_from);
    }
    let_through(code);
    return code;
}

Result<Done> announce_v6(IpAddress const& address, Link const& link) {
    Fd const s(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6));
    if (s.fd < 0) return failed("can't open a raw ICMPv6 socket (CAP_NET_RAW is needed)");
    int const hops = 255, loop = 0;
    setsockopt(s.fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
    setsockopt(s.fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &loop, sizeof loop);
    setsockopt(s.fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link.index, sizeof link.index);
    icmp6_filter none;
    ICMP6_FILTER_SETBLOCKALL(&none);
    setsockopt(s.fd, IPPROTO_ICMPV6, ICMP6_FILTER, &none, sizeof none);
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    std::memcpy(&at.sin6_addr, address.bytes.data(), 16);
    if (bind(s.fd, reinterpret_cast<sockaddr const*>(&at), sizeof at) != 0)
        return failed("can't announce from " + format_address(address));
    Advertisement p;  // the kernel fills in the checksum
    p.na.nd_na_type = ND_NEIGHBOR_ADVERT;
    p.na.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
    std::memcpy(&p.na.nd_na_target, address.bytes.data(), 16);
    p.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
    p.option.nd_opt_len = 1;
    p.mac = link.mac;
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_scope_id = static_cast<std::uint32_t>(link.index);
    inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
    if (sendto(s.fd, &p, sizeof p, 0, reinterpret_cast<sockaddr const*>(&to), sizeof to) != sizeof p)
        return failed("can't send a neighbour advertisement");
    return Done{};
}

}  // namespace

Result<std::optional<Mac>> who_else_has(IpAddress const& address, Link const& link, std::chrono::milliseconds patience) {
    if (!link.resolves) return std::optional<Mac>{};
    auto own = local_macs();
    if (!own) return Error{own.error()};
    auto const opened = packet_socket(link, address.v6 ? ETH_P_IPV6 : ETH_P_ARP);
    if (!opened) return Error{opened.error()};
    Fd const s(*opened);
    Instant const begin = boot_now();
    for (int i = 0; i < probes; ++i) {
        if (!send_probe(s.fd, address, link)) return failed("can't send a probe on interface " + link.name);
        // The last one gets two fifths of the time to be answered.
        Instant const until = i + 1 < probes ? begin + patience * 3 * (i + 1) / 10 : begin + patience;
        if (auto const mac = listen_until(s.fd, until, address, *own)) return mac;
    }
    return std::optional<Mac>{};
}

Result<Done> announce(IpAddress const& address, Link const& link) {
    if (!link.resolves) return Done{};
    if (address.v6) return announce_v6(address, link);
    auto const opened = packet_socket(link, 0);  // 0: sends only
    if (!opened) return Error{opened.error()};
    Fd const s(*opened);
    sockaddr_ll const ll = on_link(link, ETH_P_ARP, broadcast);
    for (int const operation :
         {ARPOP_REQUEST, ARPOP_REPLY}) {  // some switches and machines learn from the one, some from the other
        Arp p;
        p.operation = htons(static_cast<std::uint16_t>(operation));
        p.sender_mac = link.mac;
        p.sender = p.target = v4(address);
        p.target_mac = operation == ARPOP_REPLY ? broadcast : Mac{};
        if (sendto(s.fd, &p, sizeof p, 0, reinterpret_cast<sockaddr const*>(&ll), sizeof ll) != sizeof p)
            return failed("can't send a gratuitous ARP on " + link.name);
    }
    return Done{};
}

Result<std::unique_ptr<Listener>> Listener::open(Link const& link, bool v6) {
    auto const opened = packet_socket(link, v6 ? ETH_P_IPV6 : ETH_P_ARP);
    if (!opened) return Error{opened.error()};
    std::unique_ptr<Listener> listener(new Listener(*opened, link, v6));
    listener->listen_for({}, {});
    return listener;
}

Listener::~Listener() {
    close(fd_);
}

void Listener::listen_for(std::vector<IpAddress> const& addresses, std::vector<Mac> const& but_from) {
    addresses_ = addresses;
    but_from_ = but_from;
    auto code = program(v6_, addresses, but_from);
    if (code.size() > BPF_MAXINSNS) code = program(v6_, addresses, {});
    if (code.size() > BPF_MAXINSNS) return;  // next() looks again in any case
    sock_fprog const filter{static_cast<unsigned short>(code.size()), code.data()};
    setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

bool Listener::ask(IpAddress const& address) const {
    return send_probe(fd_, address, link_);
}

std::optional<Listener::Claim> Listener::next() {
    for (;;) {
        char packet[2048];
        sockaddr_ll from{};
        socklen_t from_size = sizeof from;
        ssize_t const n = recvfrom(fd_, packet, sizeof packet, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return {};
        if (from.sll_pkttype == PACKET_OUTGOING) continue;
        Mac sender{};
        std::memcpy(sender.data(), from.sll_addr, sender.size());
        for (IpAddress const& a : addresses_) {
            auto const mac = holder_in({packet, static_cast<std::size_t>(n)}, a, sender);
            if (mac && std::find(but_from_.begin(), but_from_.end(), *mac) == but_from_.end()) return Claim{a, *mac};
        }
    }
}

}  // namespace clusterd::net
