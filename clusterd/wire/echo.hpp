// ICMP echo, IPv4 and IPv6, as bytes: for the pinger of the public networks and the agent ping. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

using EchoCookie = std::array<unsigned char, 16>;  // random, so that an answer can't be guessed

struct EchoReply {
    std::uint16_t sequence = 0;
    EchoCookie cookie{};
};

// `family`: AF_INET or AF_INET6. Of IPv6 and of unprivileged sockets the kernel fills in id and checksum.
std::string echo_request(int family, std::uint16_t sequence, EchoCookie const& cookie);
// What came as ICMP (behind an IPv4 header where the socket is a raw one): an answer to an echo, or none.
std::optional<EchoReply> read_echo_reply(std::string_view packet, int family, bool with_ip_header);

}  // namespace clusterd
