// See owners.hpp. Frames are made and read by hand: the kernel's own sockets would not tell which node answered.
#include "owners.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <ifaddrs.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lab {
namespace {

constexpr std::uint16_t echo_id = 0x77c1;
constexpr std::uint64_t remembered_samples = 2000;
constexpr Mac everybody{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

using Bytes = std::vector<std::uint8_t>;

void put(Bytes& out, void const* data, std::size_t size) {
    auto const* bytes = static_cast<std::uint8_t const*>(data);
    out.insert(out.end(), bytes, bytes + size);
}
void put16(Bytes& out, unsigned value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}
unsigned get16(std::uint8_t const* at) { return static_cast<unsigned>(at[0] << 8 | at[1]); }

std::uint32_t add_up(std::uint8_t const* data, std::size_t size, std::uint32_t sum) {
    for (std::size_t i = 0; i + 1 < size; i += 2) sum += get16(data + i);
    if (size % 2) sum += static_cast<std::uint32_t>(data[size - 1] << 8);
    return sum;
}
unsigned checksum(std::uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}
void set16(Bytes& out, std::size_t at, unsigned value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

Bytes ethernet(Mac const& to, Mac const& from, unsigned type) {
    Bytes frame;
    put(frame, to.data(), 6);
    put(frame, from.data(), 6);
    put16(frame, type);
    return frame;
}

Bytes ip6_packet(std::array<std::uint8_t, 16> const& from, std::array<std::uint8_t, 16> const& to, Bytes icmp) {
    std::uint32_t sum = add_up(from.data(), 16, 0);
    sum = add_up(to.data(), 16, sum) + static_cast<std::uint32_t>(icmp.size()) + IPPROTO_ICMPV6;
    set16(icmp, 2, checksum(add_up(icmp.data(), icmp.size(), sum)));
    Bytes packet{0x60, 0, 0, 0};
    put16(packet, static_cast<unsigned>(icmp.size()));
    packet.push_back(IPPROTO_ICMPV6);
    packet.push_back(255);  // neighbour discovery wants 255
    put(packet, from.data(), 16);
    put(packet, to.data(), 16);
    put(packet, icmp.data(), icmp.size());
    return packet;
}

// The interface's address in the net of `address`: same first three bytes (IPv4), first eight (IPv6).
bool own_address(std::string const& interface, bool v6, std::array<std::uint8_t, 16> const& address, std::array<std::uint8_t, 16>& own) {
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0) return false;
    std::size_t const common = v6 ? 8 : 3, size = v6 ? 16 : 4;
    bool found = false;
    for (auto* each = all; each && !found; each = each->ifa_next) {
        if (!each->ifa_addr || interface != each->ifa_name || each->ifa_addr->sa_family != (v6 ? AF_INET6 : AF_INET)) continue;
        void const* bytes = v6 ? static_cast<void const*>(&reinterpret_cast<sockaddr_in6*>(each->ifa_addr)->sin6_addr)
                               : static_cast<void const*>(&reinterpret_cast<sockaddr_in*>(each->ifa_addr)->sin_addr);
        if (std::memcmp(bytes, address.data(), common) != 0) continue;
        std::memcpy(own.data(), bytes, size);
        found = true;
    }
    freeifaddrs(all);
    return found;
}

std::int64_t boot_us() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

// The kernel's stamp of a received packet is wall-clock time; made into CLOCK_BOOTTIME by its age.
std::int64_t stamp_us(msghdr& message) {
    for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
        timespec stamp{}, wall{};
        std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
        clock_gettime(CLOCK_REALTIME, &wall);
        return boot_us() - ((wall.tv_sec - stamp.tv_sec) * 1'000'000 + (wall.tv_nsec - stamp.tv_nsec) / 1000);
    }
    return boot_us();
}

}  // namespace

OwnerSampler::OwnerSampler(std::string const& interface, std::string const& address, std::string const& first_source,
                           std::vector<NodeMac> nodes)
    : nodes_(std::move(nodes)) {
    v6_ = address.find(':') != std::string::npos;
    if (inet_pton(v6_ ? AF_INET6 : AF_INET, address.c_str(), address_.data()) != 1) throw std::runtime_error(address + " is not an address");
    if (inet_pton(v6_ ? AF_INET6 : AF_INET, first_source.c_str(), source_.data()) != 1)
        throw std::runtime_error(first_source + " is not an address of the same family");
    if (nodes_.size() > 32) throw std::runtime_error("at most 32 nodes");
    if (!own_address(interface, v6_, address_, own_))
        throw std::runtime_error(interface + " has no address in the net of " + address);
    socket_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(v6_ ? ETH_P_IPV6 : ETH_P_ALL));
    if (socket_ < 0) throw std::runtime_error(std::string("no packet socket (needs root): ") + std::strerror(errno));
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (ioctl(socket_, SIOCGIFHWADDR, &request) != 0) throw std::runtime_error("no interface " + interface);
    std::memcpy(own_mac_.data(), request.ifr_hwaddr.sa_data, 6);
    interface_index_ = static_cast<int>(if_nametoindex(interface.c_str()));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(v6_ ? ETH_P_IPV6 : ETH_P_ALL);
    at.sll_ifindex = interface_index_;
    if (bind(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    int const on = 1, room = 4 << 20;
    setsockopt(socket_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
}

OwnerSampler::~OwnerSampler() {
    if (socket_ >= 0) close(socket_);
}

void OwnerSampler::send(Bytes const& frame) {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = interface_index_;
    to.sll_halen = 6;
    std::memcpy(to.sll_addr, frame.data(), 6);
    (void)sendto(socket_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);  // lost: one answer fewer
}

void OwnerSampler::sample() {
    ++number_;
    answers_.emplace(number_, 0);
    while (answers_.size() > remembered_samples) answers_.erase(answers_.begin());
    if (v6_)
        send_solicitation();
    else
        send_arp();
    for (auto const& node : nodes_) v6_ ? send_echo6(node.mac) : send_echo4(node.mac);
}

void OwnerSampler::send_arp() {
    Bytes frame = ethernet(everybody, own_mac_, ETH_P_ARP);
    Bytes const head{0, 1, 8, 0, 6, 4, 0, 1};
    put(frame, head.data(), head.size());
    auto from = source_;
    from[3] = static_cast<std::uint8_t>(from[3] + number_ % source_addresses);
    put(frame, own_mac_.data(), 6);
    put(frame, from.data(), 4);
    frame.insert(frame.end(), 6, 0);
    put(frame, address_.data(), 4);
    send(frame);
}

void OwnerSampler::send_solicitation() {
    std::array<std::uint8_t, 16> group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    std::copy(address_.begin() + 13, address_.end(), group.begin() + 13);
    Mac const to{0x33, 0x33, 0xff, group[13], group[14], group[15]};
    Bytes icmp{135, 0, 0, 0, 0, 0, 0, 0};
    put(icmp, address_.data(), 16);
    icmp.insert(icmp.end(), {1, 1});  // option: my link-layer address
    put(icmp, own_mac_.data(), 6);
    auto from = source_;
    from[15] = static_cast<std::uint8_t>(from[15] + number_ % source_addresses);
    Bytes frame = ethernet(to, own_mac_, ETH_P_IPV6);
    Bytes const packet = ip6_packet(from, group, icmp);
    put(frame, packet.data(), packet.size());
    send(frame);
}

void OwnerSampler::send_echo4(Mac const& to) {
    Bytes icmp{8, 0, 0, 0};
    put16(icmp, echo_id);
    put16(icmp, static_cast<unsigned>(number_ & 0xffff));
    set16(icmp, 2, checksum(add_up(icmp.data(), icmp.size(), 0)));
    Bytes ip{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, IPPROTO_ICMP, 0, 0};
    put(ip, own_.data(), 4);
    put(ip, address_.data(), 4);
    set16(ip, 2, static_cast<unsigned>(ip.size() + icmp.size()));
    set16(ip, 10, checksum(add_up(ip.data(), ip.size(), 0)));
    Bytes frame = ethernet(to, own_mac_, ETH_P_IP);
    put(frame, ip.data(), ip.size());
    put(frame, icmp.data(), icmp.size());
    send(frame);
}

void OwnerSampler::send_echo6(Mac const& to) {
    Bytes icmp{128, 0, 0, 0};
    put16(icmp, echo_id);
    put16(icmp, static_cast<unsigned>(number_ & 0xffff));
    Bytes frame = ethernet(to, own_mac_, ETH_P_IPV6);
    Bytes const packet = ip6_packet(own_, address_, icmp);
    put(frame, packet.data(), packet.size());
    send(frame);
}

// The newest sample whose number ends like this.
std::uint64_t OwnerSampler::sample_of(std::uint16_t sequence) const {
    std::uint64_t const back = (number_ - sequence) & 0xffff;
    return back <= number_ ? number_ - back : 0;
}

void OwnerSampler::answered(Mac const& by, std::uint64_t sample, std::int64_t when_us) {
    auto const at = answers_.find(sample);
    if (at == answers_.end()) return;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].mac != by) continue;
        std::uint32_t const before = at->second;
        at->second |= 1U << i;
        if (before == at->second) return;
        auto& seen = seen_[nodes_[i].name];
        if (seen.samples++ == 0) seen.first_us = when_us;
        seen.last_us = std::max(seen.last_us, when_us);
        if (before != 0 && (before & (before - 1)) == 0 && two_++ == 0) first_two_us_ = when_us;
        return;
    }
}

void OwnerSampler::receive() {
    while (true) {
        alignas(8) std::uint8_t frame[2048], control[256];
        iovec part{frame, sizeof frame};
        msghdr message{nullptr, 0, &part, 1, control, sizeof control, 0};
        ssize_t const got = recvmsg(socket_, &message, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            return;
        }
        if (got >= 14) receive_frame(frame, static_cast<std::size_t>(got), stamp_us(message));
    }
}

void OwnerSampler::receive_frame(std::uint8_t const* frame, std::size_t size, std::int64_t when_us) {
    if (std::memcmp(frame, own_mac_.data(), 6) != 0) return;  // announcements to everybody are no answers
    Mac from;
    std::memcpy(from.data(), frame + 6, 6);
    unsigned const type = get16(frame + 12);
    std::uint8_t const* at = frame + 14;
    size -= 14;
    if (type == ETH_P_ARP && !v6_) {
        if (size < 28 || get16(at + 6) != 2 || std::memcmp(at + 14, address_.data(), 4) != 0) return;
        auto const source = static_cast<std::uint8_t>(at[27] - source_[3]);
        if (source >= source_addresses) return;  // answers the client's own kernel
        std::uint64_t const back = (number_ - source) % source_addresses;
        if (back <= number_) answered(from, number_ - back, when_us);
    } else if (type == ETH_P_IP && !v6_) {
        if (size < 28 || at[0] != 0x45 || at[9] != IPPROTO_ICMP || std::memcmp(at + 12, address_.data(), 4) != 0) return;
        if (at[20] == 0 && get16(at + 24) == echo_id) answered(from, sample_of(static_cast<std::uint16_t>(get16(at + 26))), when_us);
    } else if (type == ETH_P_IPV6 && v6_) {
        receive_ip6(at, size, from, when_us);
    }
}

void OwnerSampler::receive_ip6(std::uint8_t const* packet, std::size_t size, Mac const& from, std::int64_t when_us) {
    if (size < 48 || packet[6] != IPPROTO_ICMPV6) return;
    std::uint8_t const* icmp = packet + 40;
    if (icmp[0] == 129 && std::memcmp(packet + 8, address_.data(), 16) == 0 && get16(icmp + 4) == echo_id) {
        answered(from, sample_of(static_cast<std::uint16_t>(get16(icmp + 6))), when_us);
    } else if (icmp[0] == 136 && size >= 64 && std::memcmp(icmp + 8, address_.data(), 16) == 0) {
        auto const source = static_cast<std::uint8_t>(packet[39] - source_[15]);
        if (source >= source_addresses) return;
        std::uint64_t const back = (number_ - source) % source_addresses;
        if (back <= number_) answered(from, number_ - back, when_us);
    }
}

}  // namespace lab
