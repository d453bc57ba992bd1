// See echo.hpp.
#include "clusterd/wire/echo.hpp"

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <cstring>

namespace clusterd {
namespace {

// ICMP and ICMPv6 echo look the same but for the type.
struct EchoMessage {
    std::uint8_t type = 0, code = 0;
    std::uint16_t checksum = 0, id = 0, sequence = 0;
    EchoCookie cookie{};
};
static_assert(sizeof(EchoMessage) == 24);

std::uint16_t checksum(void const* data, std::size_t size) {
    auto const* bytes = static_cast<unsigned char const*>(data);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < size; i += 2) {
        std::uint16_t word;
        std::memcpy(&word, bytes + i, 2);
        sum += word;
    }
    while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

}  // namespace

std::string echo_request(int family, std::uint16_t sequence, EchoCookie const& cookie) {
    EchoMessage m;
    m.type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    m.sequence = htons(sequence);
    m.cookie = cookie;
    if (family == AF_INET) m.checksum = checksum(&m, sizeof m);
    return {reinterpret_cast<char const*>(&m), sizeof m};
}

std::optional<EchoReply> read_echo_reply(std::string_view packet, int family, bool with_ip_header) {
    if (with_ip_header) {
        if (packet.size() < sizeof(iphdr)) return std::nullopt;
        std::size_t const header = static_cast<std::size_t>(static_cast<unsigned char>(packet[0]) & 15) * 4;
        if (header < sizeof(iphdr) || header > packet.size()) return std::nullopt;
        packet.remove_prefix(header);
    }
    EchoMessage m;
    if (packet.size() < sizeof m) return std::nullopt;
    std::memcpy(static_cast<void*>(&m), packet.data(), sizeof m);
    if (m.type != (family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) return std::nullopt;
    return EchoReply{ntohs(m.sequence), m.cookie};
}

}  // namespace clusterd
