// Addresses and interfaces of this network namespace, asked from and told to the kernel over rtnetlink (libnl-route-3).
//
// Called by the ip-address driver and its watch, and by the worker, on a thread beside its loop: the kernel may make a caller wait for a
// lock. Each call has a socket of its own: any thread may call.
#pragma once

#include "clusterd/core/result.hpp"
#include "config/values.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd::net {

using Mac = std::array<std::uint8_t, 6>;
std::string format_mac(Mac const& mac);
std::optional<Mac> parse_mac(std::string_view text);  // what format_mac wrote

struct Link {
    int index = 0;
    std::string name;
    bool up = false;
    bool carrier = false;
    bool resolves = false;  // has ARP / neighbour discovery: not loopback, not NOARP, has a MAC
    Mac mac{};
    bool operator==(Link const&) const = default;
};

struct AddressOnLink {
    int link = 0;
    int prefix = 0;
    bool lasts = true;  // has no lifetime
};

Result<std::optional<Link>> find_link(std::string const& name);
Result<std::vector<Mac>> local_macs();
std::string link_name(int index);  // "interface 7" where it has none any more

// Where `address` stands on this node; empty: nowhere.
Result<std::vector<AddressOnLink>> find_address(IpAddress const& address);
// IPv6 without duplicate address detection (the driver has probed), so that it is usable at once. `lifetime` in seconds: then the
// kernel takes it off by itself, up to 250 ms late; 0: it stays.
Result<Done> add_address(IpAddress const& address, int prefix, int link, std::uint32_t lifetime = 0);
// Counted anew from now. The kernel *adds* an address that isn't there: only while nobody may be taking it off.
Result<Done> set_lifetime(IpAddress const& address, int prefix, int link, std::uint32_t lifetime);
Result<Done> remove_address(IpAddress const& address, int prefix, int link);  // gone already is done

}  // namespace clusterd::net
