// See interfaces.hpp. The kernel's messages are read with its own macros, each length checked by them.
#include "clusterd/link/interfaces.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
constexpr Duration retry_after = 1s;
constexpr unsigned lower_up = 1u << 16;  // IFF_LOWER_UP, which <net/if.h> doesn't know

Interface describe(nlmsghdr const* header) {
    auto const* info = static_cast<ifinfomsg const*>(NLMSG_DATA(header));
    Interface i;
    i.index = info->ifi_index;
    i.enabled = (info->ifi_flags & IFF_UP) != 0;
    i.carrier = (info->ifi_flags & IFF_RUNNING) != 0 && (info->ifi_flags & lower_up) != 0;
    auto left = static_cast<unsigned>(IFLA_PAYLOAD(header));
    for (auto const* a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type != IFLA_IFNAME) continue;
        auto const* name = static_cast<char const*>(RTA_DATA(a));
        i.name.assign(name, ::strnlen(name, RTA_PAYLOAD(a)));
    }
    return i;
}

}  // namespace

Interfaces::Interfaces(Loop& loop, std::function<void()> changed, std::function<void(std::string)> failed)
    : loop_(loop), changed_(std::move(changed)), failed_(std::move(failed)) {
    open();
}

std::optional<Interface> Interfaces::find(std::string const& name) const {
    for (auto const& [index, interface] : by_index_)
        if (interface.name == name) return interface;
    return std::nullopt;
}

void Interfaces::open() {
    retry_.reset();
    watch_.reset();
    by_index_.clear();
    complete_ = false;
    fd_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0) {
        failed_("the state of network interfaces can't be watched: " + std::string(std::strerror(errno)) + "; trying again");
        retry_ = loop_.at(loop_.now().mono + retry_after, [this] { open(); });
        return;
    }
    watch_ = loop_.on_readable(fd_.get(), [this] { readable(); });
    ask_for_all();
}

void Interfaces::ask_for_all() {
    struct {
        nlmsghdr header;
        ifinfomsg info;
    } request{};
    request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg));
    request.header.nlmsg_type = RTM_GETLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_seq = 1;
    (void)::send(fd_.get(), &request, request.header.nlmsg_len, 0);
}

void Interfaces::readable() {
    bool news = false;
    for (int i = 0; i < 64; ++i) {
        alignas(nlmsghdr) char buffer[32 << 10];
        ssize_t const n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) {
            news = take(buffer, static_cast<std::size_t>(n)) || news;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        return open();  // ENOBUFS: events were lost; begin with a list again
    }
    if (news && complete_) changed_();
}

// True: something changed.
bool Interfaces::take(char const* data, std::size_t size) {
    bool news = false;
    auto left = static_cast<unsigned>(size);
    for (auto const* h = reinterpret_cast<nlmsghdr const*>(data); NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
            news = news || !complete_;
            complete_ = true;
        }
        bool const link = h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK;
        if (!link || h->nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) continue;
        auto const* info = static_cast<ifinfomsg const*>(NLMSG_DATA(h));
        if (info->ifi_family != AF_UNSPEC) continue;  // a bridge's ports are told of once more under AF_BRIDGE
        if (h->nlmsg_type == RTM_DELLINK) {
            news = by_index_.erase(info->ifi_index) > 0 || news;
            continue;
        }
        Interface const now = describe(h);
        Interface& known = by_index_[now.index];
        news = news || known != now;
        known = now;
    }
    return news;
}

}  // namespace clusterd
