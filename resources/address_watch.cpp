// Watches cluster addresses by netlink events and repeats their announcements. See address_watch.hpp.
#include "resources/address_watch.hpp"

#include "resources/clock.hpp"
#include "clusterd/address/neighbours.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace clusterd::net {
namespace {

using std::chrono::milliseconds;

constexpr unsigned lower_up = 0x10000;             // IFF_LOWER_UP
constexpr Duration retry_pace = milliseconds(20);  // of an announcement that may not leave yet
constexpr Duration retry_for = std::chrono::seconds(30);
constexpr Duration renew_again = milliseconds(20);  // where the permit known is too old for a lifetime: a newer one is on its way
constexpr Duration slow_renewal = milliseconds(5);

// Every renewal of a lifetime is told to all listeners. Nothing here is to be learned from a new address: it needn't wake us.
void ignore_new_addresses(int netlink_fd) {
    sock_filter code[] = {
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, offsetof(nlmsghdr, nlmsg_type)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, htons(RTM_NEWADDR)},  // BPF reads big-endian, netlink writes as the machine does
        {BPF_RET | BPF_K, 0, 0, 0},
        {BPF_RET | BPF_K, 0, 0, 0xffffffff},
    };
    sock_fprog const program{4, code};
    setsockopt(netlink_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

Duration since_begin(int announcement) {
    static constexpr std::array<milliseconds, 5> first{milliseconds(0), milliseconds(50), milliseconds(250), milliseconds(1000),
                                                       milliseconds(2000)};
    auto const i = static_cast<std::size_t>(announcement);
    return i < first.size() ? first[i] : first.back() + milliseconds(200) * (announcement - static_cast<int>(first.size()) + 1);
}

}  // namespace

Result<std::shared_ptr<AddressWatch>> AddressWatch::shared() {
    static std::mutex mutex;
    static std::weak_ptr<AddressWatch> current;
    std::lock_guard lock(mutex);
    if (auto watch = current.lock()) return watch;
    int const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    sockaddr_nl at{};
    at.nl_family = AF_NETLINK;
    at.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    int const wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0 || wake < 0 || bind(fd, reinterpret_cast<sockaddr const*>(&at), sizeof at) != 0) {
        Error const e{fmt::format("can't listen to the kernel's netlink events: {}", std::strerror(errno))};
        if (fd >= 0) close(fd);
        if (wake >= 0) close(wake);
        return e;
    }
    ignore_new_addresses(fd);
    auto watch = std::make_shared<AddressWatch>(fd, wake);
    current = watch;
    return watch;
}

AddressWatch::AddressWatch(int netlink_fd, int wake_fd) : netlink_fd_(netlink_fd), wake_fd_(wake_fd) {
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "addresses");
        run();
    });
}

AddressWatch::~AddressWatch() {
    {
        std::lock_guard lock(mutex_);
        ending_ = true;
    }
    wake();
    thread_.join();
    close(netlink_fd_);
    close(wake_fd_);
}

void AddressWatch::wake() {
    std::uint64_t const one = 1;
    [[maybe_unused]] ssize_t const n = write(wake_fd_, &one, sizeof one);  // fails only where a wake-up is pending already
}

std::uint64_t AddressWatch::watch(Watched watched) {
    std::uint64_t id = 0;
    {
        std::lock_guard lock(mutex_);
        Instant const now = boot_now();
        id = ++last_;
        int const announcements = watched.announcements;
        Instant const next = announcements > 0 ? now : forever, renewal = watched.lifetime.renew_every.count() > 0 ? now : forever;
        entries_.emplace(id, Entry{std::move(watched), now, next, renewal, 0, announcements});
    }
    wake();
    return id;
}

void AddressWatch::forget(std::uint64_t id) {
    std::lock_guard lock(mutex_);
    entries_.erase(id);
}

void AddressWatch::announce_again(std::uint64_t id, int times) {
    {
        std::lock_guard lock(request_mutex_);
        requests_[id] = times;
    }
    wake();
}

void AddressWatch::take_requests() {
    std::lock_guard lock(request_mutex_);
    Instant const now = boot_now();
    for (auto const& [id, times] : requests_) {
        auto const it = entries_.find(id);
        if (it == entries_.end() || times <= 0) continue;
        Entry& e = it->second;
        if (e.next != forever && e.to_announce - e.announced > times) continue;  // more than that is on its way
        e.begun = e.next = now;
        e.announced = 0;
        e.to_announce = times;
    }
    requests_.clear();
}

void AddressWatch::run() {
    for (;;) {
        Instant next;
        {
            std::lock_guard lock(mutex_);
            if (ending_) return;
            take_requests();
            next = std::min(announce_due(), renew_due());
        }
        pollfd fds[] = {{netlink_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
        poll(fds, 2, next == forever ? -1 : ms_left(next));
        std::uint64_t drained = 0;
        [[maybe_unused]] ssize_t const n = read(wake_fd_, &drained, sizeof drained);
        std::lock_guard lock(mutex_);
        read_events();
    }
}

// Sends what is due; returns when the next one is.
Instant AddressWatch::announce_due() {
    Instant const now = boot_now();
    Instant next = forever;
    for (auto& [id, e] : entries_) {
        if (e.lost || e.next == forever) continue;
        if (e.next <= now) {
            bool const sent = e.watched.may_announce && e.watched.may_announce() && announce(e.watched.address, e.watched.link);
            if (sent) {
                if (e.announced++ == 0) e.begun = now;  // the others keep their distance from the first that left
                e.next = e.announced < e.to_announce ? e.begun + since_begin(e.announced) : forever;
            } else {
                e.next = now - e.begun < retry_for ? now + retry_pace : forever;
            }
        }
        next = std::min(next, e.next);
    }
    return next;
}

Instant AddressWatch::renew_due() {
    Instant next = forever;
    for (auto& [id, e] : entries_) {
        if (e.lost || e.renewal == forever) continue;
        if (e.renewal <= boot_now()) e.renewal = boot_now() + (renew(e) ? e.watched.lifetime.renew_every : renew_again);
        next = std::min(next, e.renewal);
    }
    return next;
}

// The kernel counts from when it gets to it, which may be late: then it is told again, with what is left by now. False: the permit that
// is known doesn't suffice.
bool AddressWatch::renew(Entry& entry) {
    Watched const& w = entry.watched;
    for (int attempt = 0; attempt < 3; ++attempt) {
        Instant const before = boot_now();
        std::uint32_t const seconds = lifetime_for(w.lifetime.permit_end() - before, w.lifetime.alone);
        if (seconds == 0) return false;
        if (!set_lifetime(w.address, w.prefix, w.link.index, seconds)) return false;  // the interface is gone: an event tells
        if (boot_now() - before < slow_renewal) break;
    }
    return true;
}

void AddressWatch::read_events() {
    alignas(nlmsghdr) static thread_local char buffer[32 << 10];
    for (;;) {
        ssize_t const n = recv(netlink_fd_, buffer, sizeof buffer, MSG_TRUNC);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != ENOBUFS) return;
        if (n < 0 || static_cast<std::size_t>(n) > sizeof buffer) {  // events were lost: look at everything
            for (auto& [id, e] : entries_) verify(e);
            continue;
        }
        auto left = static_cast<std::uint32_t>(n);
        for (auto* m = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left))
            on_message(m->nlmsg_type, NLMSG_DATA(m), m->nlmsg_len - NLMSG_HDRLEN);
    }
}

void AddressWatch::on_message(int type, void const* body, std::size_t size) {
    if (type == RTM_DELADDR && size >= sizeof(ifaddrmsg)) {
        auto const* a = static_cast<ifaddrmsg const*>(body);
        for (auto& [id, e] : entries_)
            if (static_cast<int>(a->ifa_index) == e.watched.link.index) verify(e);  // perhaps ours, perhaps its neighbour
    }
    if ((type == RTM_NEWLINK || type == RTM_DELLINK) && size >= sizeof(ifinfomsg)) {
        auto const* l = static_cast<ifinfomsg const*>(body);
        if (l->ifi_family != AF_UNSPEC) return;  // a bridge's word about a port
        for (auto& [id, e] : entries_) {
            Link const& link = e.watched.link;
            if (l->ifi_index != link.index) continue;
            if (type == RTM_DELLINK)
                lose(e, fmt::format("interface {} is gone", link.name), false);
            else if (!(l->ifi_flags & IFF_UP))
                lose(e, fmt::format("interface {} was set down; set it up again", link.name), false);
            else if (!(l->ifi_flags & lower_up))
                lose(e, fmt::format("interface {} has lost its carrier; look at cable and switch", link.name), false);
        }
    }
}

void AddressWatch::verify(Entry& entry) {
    Link const& link = entry.watched.link;
    auto const stands = find_address(entry.watched.address);
    if (!stands) return;  // can't be found out now; the next event or probe tells
    bool const there = std::any_of(stands->begin(), stands->end(), [&](AddressOnLink const& a) { return a.link == link.index; });
    if (there) return;
    auto const now = find_link(link.name);
    if (now && !*now)
        lose(entry, fmt::format("interface {} is gone", link.name), false);
    else if (now && !(*now)->up)
        lose(entry, fmt::format("interface {} was set down; set it up again", link.name), false);
    else
        lose(entry,
             fmt::format("{} was removed from {} by someone else{}", format_address(entry.watched.address), link.name,
                         entry.renewal != forever ? ", or its lifetime ended since the permit wasn't renewed in time" : ""),
             true);
}

void AddressWatch::lose(Entry& entry, std::string message, bool restart_here) {
    if (entry.lost) return;
    entry.lost = true;
    entry.watched.lost(std::move(message), restart_here);
}

}  // namespace clusterd::net
