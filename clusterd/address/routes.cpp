// See routes.hpp.
#include "clusterd/address/routes.hpp"

#include "clusterd/address/netlink.hpp"

#include <fmt/format.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>
#include <cerrno>
#include <cstring>
#include <memory>

namespace clusterd::net {
namespace {

struct Deleter {
    void operator()(nl_sock* s) const { nl_socket_free(s); }
    void operator()(nl_msg* m) const { nlmsg_free(m); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

std::size_t size_of(IpAddress const& address) { return address.v6 ? 16 : 4; }

std::uint32_t metric_of(Route const& route) { return route.metric == 0 && route.to.address.v6 ? 1024 : route.metric; }  // what IPv6 makes of none

int remember_error(sockaddr_nl*, nlmsgerr* error, void* to) {
    *static_cast<int*>(to) = -error->error;
    return NL_STOP;
}

// The request is sent, and every answer given to `each`; the kernel's errno, 0 where it agreed.
Result<int> talk(nl_msg* request, int (*each)(nl_msg*, void*), void* to) {
    Owned<nl_sock> const socket(nl_socket_alloc());
    if (!socket) return Error{"no memory for a netlink socket"};
    int error = 0, e = nl_connect(socket.get(), NETLINK_ROUTE);
    if (e < 0) return Error{fmt::format("can't talk to the kernel's netlink: {}", nl_geterror(e))};
    int const on = 1;  // without it the kernel lists all routes, and they are told apart here
    setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    nl_socket_modify_err_cb(socket.get(), NL_CB_CUSTOM, remember_error, &error);
    if (each) nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, each, to);
    e = nl_send_auto(socket.get(), request);
    if (e >= 0) e = each ? nl_recvmsgs_default(socket.get()) : nl_wait_for_ack(socket.get());
    if (e == -NLE_DUMP_INTR) return EAGAIN;
    if (e < 0 && error == 0) return Error{fmt::format("can't talk to the kernel's netlink: {}", nl_geterror(e))};
    return error;
}

std::optional<IpAddress> address_in(nlattr* attribute, bool v6) {
    IpAddress address{.v6 = v6};
    if (!attribute || nla_len(attribute) != static_cast<int>(size_of(address))) return {};
    std::memcpy(address.bytes.data(), nla_data(attribute), size_of(address));
    return address;
}

struct Found {
    IpPrefix to;
    std::uint32_t table;
    std::vector<Route> routes;
};

int collect(nl_msg* message, void* to) {
    Found& found = *static_cast<Found*>(to);
    nlmsghdr* const header = nlmsg_hdr(message);
    nlattr* attributes[RTA_MAX + 1] = {};
    if (header->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(header, sizeof(rtmsg), attributes, RTA_MAX, nullptr) < 0) return NL_OK;
    auto const* const r = static_cast<rtmsg const*>(nlmsg_data(header));
    bool const v6 = r->rtm_family == AF_INET6;
    Route route{.table = attributes[RTA_TABLE] ? nla_get_u32(attributes[RTA_TABLE]) : r->rtm_table};
    route.to.address = address_in(attributes[RTA_DST], v6).value_or(IpAddress{.v6 = v6});
    route.to.length = r->rtm_dst_len;
    if (r->rtm_protocol != route_protocol || (r->rtm_flags & RTM_F_CLONED) != 0 || route.table != found.table || route.to.length != found.to.length ||
        route.to.address != found.to.address)
        return NL_OK;
    route.gateway = address_in(attributes[RTA_GATEWAY], v6);
    route.source = address_in(attributes[RTA_PREFSRC], v6);
    if (attributes[RTA_OIF]) route.link = static_cast<int>(nla_get_u32(attributes[RTA_OIF]));
    if (attributes[RTA_PRIORITY]) route.metric = nla_get_u32(attributes[RTA_PRIORITY]);
    found.routes.push_back(route);
    return NL_OK;
}

Result<Owned<nl_msg>> request(int type, int flags, IpPrefix const& to, std::uint32_t table) {
    Owned<nl_msg> message(nlmsg_alloc_simple(type, flags));
    rtmsg r{};
    r.rtm_family = to.address.v6 ? AF_INET6 : AF_INET;
    r.rtm_table = table < 256 ? static_cast<unsigned char>(table) : static_cast<unsigned char>(RT_TABLE_UNSPEC);
    r.rtm_protocol = route_protocol;
    if (!message || nlmsg_append(message.get(), &r, sizeof r, NLMSG_ALIGNTO) < 0 || nla_put_u32(message.get(), RTA_TABLE, table) < 0)
        return Error{"no memory for a netlink message"};
    return message;
}

Result<Owned<nl_msg>> request_about(int type, int flags, Route const& route) {
    auto message = request(type, flags, route.to, route.table);
    if (!message) return message;
    auto* const r = static_cast<rtmsg*>(nlmsg_data(nlmsg_hdr(message->get())));
    bool const adding = type == RTM_NEWROUTE;
    r->rtm_dst_len = static_cast<unsigned char>(route.to.length);
    r->rtm_type = RTN_UNICAST;
    r->rtm_scope = adding ? (route.gateway || route.to.address.v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK) : RT_SCOPE_NOWHERE;
    auto const put = [&](int what, IpAddress const& address) { return nla_put(message->get(), what, static_cast<int>(size_of(address)), address.bytes.data()); };
    int e = put(RTA_DST, route.to.address);
    if (e == 0 && route.gateway) e = put(RTA_GATEWAY, *route.gateway);
    if (e == 0 && route.source) e = put(RTA_PREFSRC, *route.source);
    if (e == 0 && route.link != 0) e = nla_put_u32(message->get(), RTA_OIF, static_cast<std::uint32_t>(route.link));
    if (e == 0 && metric_of(route) != 0) e = nla_put_u32(message->get(), RTA_PRIORITY, metric_of(route));
    if (e < 0) return Error{"no memory for a netlink message"};
    return message;
}

}  // namespace

Result<std::vector<Route>> find_routes(IpPrefix const& to, std::uint32_t table) {
    for (int attempt = 0;; ++attempt) {
        auto const message = request(RTM_GETROUTE, NLM_F_DUMP, to, table);
        if (!message) return Error{message.error()};
        Found found{to, table, {}};
        auto const e = talk(message->get(), collect, &found);
        if (!e) return Error{e.error()};
        if (*e == 0) return std::move(found.routes);
        if (*e == ENOENT) return std::vector<Route>{};  // there is no such table
        if (*e != EAGAIN || attempt == 5) return Error{fmt::format("the kernel doesn't list its routes: {}", std::strerror(*e))};
    }
}

Result<Done> add_route(Route const& route) {
    auto const message = request_about(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
    if (!message) return Error{message.error()};
    auto const e = talk(message->get(), nullptr, nullptr);
    if (!e) return Error{e.error()};
    switch (*e) {
        case 0: return Done{};
        case EEXIST:
            return Error{fmt::format("another route to that network with metric {} stands already; see \"ip route show table {}\", and take it off or give this one a metric of its own",
                                     metric_of(route), route.table)};
        case ENETUNREACH:
        case EHOSTUNREACH: return Error{"its gateway can't be reached from this node: no interface that is up has its network"};
        case ENETDOWN: return Error{"its interface is down; set it up"};
        case EINVAL:
            if (route.source) return Error{fmt::format("the kernel refuses it: {} is no address of this node, or the gateway isn't one of a neighbour", format_address(*route.source))};
            return Error{"the kernel refuses it: is the gateway one of this node's own addresses?"};
        case EPERM: return Error{"it may not be added; clusterd must run as root"};
        default: return Error{fmt::format("the kernel refused to add it: {}", std::strerror(*e))};
    }
}

Result<Done> remove_route(Route const& route) {
    auto const message = request_about(RTM_DELROUTE, 0, route);
    if (!message) return Error{message.error()};
    auto const e = talk(message->get(), nullptr, nullptr);
    if (!e) return Error{e.error()};
    if (*e == 0 || *e == ESRCH || *e == ENOENT || *e == ENODEV) return Done{};
    return Error{fmt::format("the kernel refused to remove it: {}", std::strerror(*e))};
}

std::string format_route(Route const& route) {
    std::string text = fmt::format("{}/{}", format_address(route.to.address), route.to.length);
    if (route.gateway) text += " via " + format_address(*route.gateway);
    if (route.link != 0) text += " dev " + link_name(route.link);
    if (route.source) text += " src " + format_address(*route.source);
    return text;
}

}  // namespace clusterd::net
