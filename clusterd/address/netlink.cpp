// rtnetlink through libnl-route-3. See netlink.hpp.
#include "clusterd/address/netlink.hpp"

#include <fmt/format.h>

#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <charconv>
#include <cstring>
#include <memory>

namespace clusterd::net {
namespace {

constexpr unsigned lower_up = 0x10000;  // IFF_LOWER_UP of <linux/if.h>, which can't be included beside <net/if.h>

struct Deleter {
    void operator()(nl_sock* s) const { nl_socket_free(s); }
    void operator()(nl_cache* c) const { nl_cache_free(c); }
    void operator()(rtnl_link* l) const { rtnl_link_put(l); }
    void operator()(rtnl_addr* a) const { rtnl_addr_put(a); }
    void operator()(nl_addr* a) const { nl_addr_put(a); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

Error failed(char const* doing, int error) {
    return Error{fmt::format("{}: {}", doing, nl_geterror(error))};
}

Result<Owned<nl_sock>> connect() {
    Owned<nl_sock> socket(nl_socket_alloc());
    if (!socket) return Error{"no memory for a netlink socket"};
    if (int const e = nl_connect(socket.get(), NETLINK_ROUTE); e < 0) return failed("can't talk to the kernel's netlink", e);
    return socket;
}

// A dump that was interrupted by a change is begun again.
template <class Dump>
Result<Owned<nl_cache>> dump(char const* what, Dump fill) {
    auto socket = connect();
    if (!socket) return Error{socket.error()};
    int e = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        nl_cache* cache = nullptr;
        e = fill(socket->get(), &cache);
        if (e >= 0) return Owned<nl_cache>(cache);
        if (e != -NLE_DUMP_INTR && e != -NLE_AGAIN) break;
    }
    return failed(what, e);
}

Owned<nl_addr> nl_address(IpAddress const& address) {
    return Owned<nl_addr>(nl_addr_build(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), address.v6 ? 16 : 4));
}

bool same(nl_addr const* a, IpAddress const& address) {
    std::size_t const size = address.v6 ? 16 : 4;
    auto* mutable_a = const_cast<nl_addr*>(a);  // libnl's getters aren't const
    return a && nl_addr_get_family(mutable_a) == (address.v6 ? AF_INET6 : AF_INET) && nl_addr_get_len(mutable_a) == size &&
           std::memcmp(nl_addr_get_binary_addr(mutable_a), address.bytes.data(), size) == 0;
}

Mac mac_of(rtnl_link* link, bool& has) {
    Mac mac{};
    nl_addr* const a = rtnl_link_get_addr(link);
    has = a && nl_addr_get_len(a) == mac.size();
    if (has) std::memcpy(mac.data(), nl_addr_get_binary_addr(a), mac.size());
    return mac;
}

Result<Owned<rtnl_addr>> object(IpAddress const& address, int prefix, int link) {
    Owned<rtnl_addr> a(rtnl_addr_alloc());
    Owned<nl_addr> local = nl_address(address);
    if (!a || !local) return Error{"no memory for a netlink message"};
    nl_addr_set_prefixlen(local.get(), prefix);
    rtnl_addr_set_ifindex(a.get(), link);
    rtnl_addr_set_family(a.get(), address.v6 ? AF_INET6 : AF_INET);
    if (int const e = rtnl_addr_set_local(a.get(), local.get()); e < 0) return failed("can't name the address to the kernel", e);
    rtnl_addr_set_prefixlen(a.get(), prefix);
    return a;
}

}  // namespace

std::string format_mac(Mac const& m) {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", m[0], m[1], m[2], m[3], m[4], m[5]);
}

std::optional<Mac> parse_mac(std::string_view text) {
    Mac mac{};
    if (text.size() != 17) return {};
    for (std::size_t i = 0; i < mac.size(); ++i) {
        char const* const at = text.data() + 3 * i;
        auto const [end, error] = std::from_chars(at, at + 2, mac[i], 16);
        if (error != std::errc() || end != at + 2 || (i < 5 && *end != ':')) return {};
    }
    return mac;
}

Result<std::optional<Link>> find_link(std::string const& name) {
    auto socket = connect();
    if (!socket) return Error{socket.error()};
    rtnl_link* raw = nullptr;
    int const e = rtnl_link_get_kernel(socket->get(), 0, name.c_str(), &raw);
    if (e == -NLE_NODEV || e == -NLE_OBJ_NOTFOUND) return std::optional<Link>{};
    if (e < 0) return failed(("can't ask the kernel about interface " + name).c_str(), e);
    Owned<rtnl_link> const owned(raw);
    unsigned const flags = rtnl_link_get_flags(raw);
    Link link;
    link.index = rtnl_link_get_ifindex(raw);
    link.name = name;
    link.up = (flags & IFF_UP) != 0;
    link.carrier = (flags & lower_up) != 0;
    bool has_mac = false;
    link.mac = mac_of(raw, has_mac);
    link.resolves = has_mac && (flags & (IFF_LOOPBACK | IFF_NOARP)) == 0;
    return std::optional<Link>{link};
}

Result<std::vector<Mac>> local_macs() {
    auto links = dump("can't list the interfaces", [](nl_sock* s, nl_cache** c) { return rtnl_link_alloc_cache(s, AF_UNSPEC, c); });
    if (!links) return Error{links.error()};
    std::vector<Mac> macs;
    for (nl_object* o = nl_cache_get_first(links->get()); o; o = nl_cache_get_next(o)) {
        bool has = false;
        Mac const mac = mac_of(reinterpret_cast<rtnl_link*>(o), has);
        if (has) macs.push_back(mac);
    }
    return macs;
}

std::string link_name(int index) {
    char name[IF_NAMESIZE] = {};
    return if_indextoname(static_cast<unsigned>(index), name) ? std::string(name) : "interface " + std::to_string(index);
}

Result<std::vector<AddressOnLink>> find_address(IpAddress const& address) {
    auto all = dump("can't list the addresses", [](nl_sock* s, nl_cache** c) { return rtnl_addr_alloc_cache(s, c); });
    if (!all) return Error{all.error()};
    std::vector<AddressOnLink> found;
    for (nl_object* o = nl_cache_get_first(all->get()); o; o = nl_cache_get_next(o)) {
        auto* a = reinterpret_cast<rtnl_addr*>(o);
        if (same(rtnl_addr_get_local(a), address))
            found.push_back({rtnl_addr_get_ifindex(a), rtnl_addr_get_prefixlen(a), (rtnl_addr_get_flags(a) & IFA_F_PERMANENT) != 0});
    }
    return found;
}

namespace {

Result<int> put(IpAddress const& address, int prefix, int link, std::uint32_t lifetime, int how) {
    auto a = object(address, prefix, link);
    if (!a) return Error{a.error()};
    unsigned flags = address.v6 ? IFA_F_NODAD : 0;
    if (prefix == (address.v6 ? 128 : 32)) flags |= IFA_F_NOPREFIXROUTE;  // there is no network to route to
    rtnl_addr_set_flags(a->get(), flags);
    if (lifetime > 0) {
        rtnl_addr_set_valid_lifetime(a->get(), lifetime);
        rtnl_addr_set_preferred_lifetime(a->get(), lifetime);
    }
    auto socket = connect();
    if (!socket) return Error{socket.error()};
    return rtnl_addr_add(socket->get(), a->get(), how);
}

}  // namespace

Result<Done> add_address(IpAddress const& address, int prefix, int link, std::uint32_t lifetime) {
    auto const e = put(address, prefix, link, lifetime, NLM_F_CREATE | NLM_F_EXCL);
    if (!e) return Error{e.error()};
    if (*e < 0 && *e != -NLE_EXIST) return failed("the kernel refused to add it", *e);
    return Done{};
}

Result<Done> set_lifetime(IpAddress const& address, int prefix, int link, std::uint32_t lifetime) {
    auto const e = put(address, prefix, link, lifetime, NLM_F_REPLACE);
    if (!e) return Error{e.error()};
    if (*e < 0) return failed("the kernel refused to renew its lifetime", *e);
    return Done{};
}

Result<Done> remove_address(IpAddress const& address, int prefix, int link) {
    auto a = object(address, prefix, link);
    if (!a) return Error{a.error()};
    auto socket = connect();
    if (!socket) return Error{socket.error()};
    int const e = rtnl_addr_delete(socket->get(), a->get(), 0);
    if (e < 0 && e != -NLE_NOADDR && e != -NLE_OBJ_NOTFOUND && e != -NLE_NODEV) return failed("the kernel refused to remove it", e);
    return Done{};
}

}  // namespace clusterd::net
