// Routes of this network namespace that the cluster added, asked from and told to the kernel over rtnetlink (libnl-3).
//
// Called by the type route. Ours bear a protocol number of our own, so that they are told from everybody else's, also by the kernel, which
// lists only them to us: a machine with a million routes is no trouble. Each call has a socket of its own: any thread may call.
#pragma once

#include "clusterd/core/result.hpp"
#include "config/values.hpp"

#include <optional>
#include <string>
#include <vector>

namespace clusterd::net {

inline constexpr unsigned char route_protocol = 79;  // `ip route show proto 79`; not one of <linux/rtnetlink.h> or of iproute2's rt_protos

struct Route {
    IpPrefix to;
    std::optional<IpAddress> gateway;
    int link = 0;  // 0: asked for, the kernel finds it by the gateway
    std::optional<IpAddress> source;
    std::uint32_t metric = 0;
    std::uint32_t table = 254;
};

// Ours to that network in that table.
Result<std::vector<Route>> find_routes(IpPrefix const& to, std::uint32_t table);
Result<Done> add_route(Route const& route);     // an error where any route to that network with that metric stands in the table
Result<Done> remove_route(Route const& route);  // gone already is done
std::string format_route(Route const& route);   // "10.1.0.0/16 via 10.0.0.254 dev eth0"

}  // namespace clusterd::net
