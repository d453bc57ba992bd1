// What an address driver says to and asks of the machines beside it: "does anyone have this address?" and "I have it now".
//
// Called by the ip-address driver. Announcements of IPv6 go out through the IP layer, from the address itself, so that the gate's
// rules hold for them; ARP goes out by AF_PACKET, past the gate: the caller looks at the permit first.
#pragma once

#include "resources/netlink.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace clusterd::net {

// Three probes (ARP probes of RFC 5227; for IPv6 neighbour solicitations as in duplicate address detection), answers awaited for
// `patience` in all. The MAC of another machine that answered; none: nobody did. On a link without neighbours: none, at once.
Result<std::optional<Mac>> who_else_has(IpAddress const& address, Link const& link, std::chrono::milliseconds patience);

// What came to a packet socket (ARP, or an IPv6 packet that the socket's filter let through), from `sender`: the MAC of another
// machine that has the address, or nothing. Another's own *probe* isn't word of that: in a failover both nodes may ask at once.
std::optional<Mac> holder_in(std::string_view packet, IpAddress const& address, Mac const& sender);

// One gratuitous ARP of each form (request and reply), or one unsolicited neighbour advertisement.
Result<Done> announce(IpAddress const& address, Link const& link);

}  // namespace clusterd::net
