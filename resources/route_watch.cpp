// See route_watch.hpp.
#include "resources/route_watch.hpp"

#include <fmt/format.h>

#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace clusterd {
namespace {

constexpr int settle_ms = 20;  // many routes often go at once

// New addresses and routes take none away, unless they replace one; where a routing daemon is at work there are many of them.
void ignore_what_is_new(int fd) {
    sock_filter code[] = {
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, offsetof(nlmsghdr, nlmsg_type)},
        {BPF_JMP | BPF_JEQ | BPF_K, 4, 0, htons(RTM_NEWADDR)},  // BPF reads big-endian, netlink writes as the machine does
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 2, htons(RTM_NEWROUTE)},
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, offsetof(nlmsghdr, nlmsg_flags)},
        {BPF_JMP | BPF_JSET | BPF_K, 0, 1, htons(NLM_F_REPLACE)},
        {BPF_RET | BPF_K, 0, 0, 0xffffffff},
        {BPF_RET | BPF_K, 0, 0, 0},
    };
    sock_fprog const program{7, code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

}  // namespace

Result<Done> RouteWatch::begin(bool v6, std::function<bool()> look) {
    end();
    netlink_fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sockaddr_nl at{};
    at.nl_family = AF_NETLINK;
    at.nl_groups = RTMGRP_LINK | (v6 ? RTMGRP_IPV6_ROUTE | RTMGRP_IPV6_IFADDR : RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_IFADDR);
    if (netlink_fd_ < 0 || wake_fd_ < 0 || bind(netlink_fd_, reinterpret_cast<sockaddr const*>(&at), sizeof at) != 0) {
        Error const e{fmt::format("can't listen to the kernel's netlink events: {}", std::strerror(errno))};
        end();
        return e;
    }
    ignore_what_is_new(netlink_fd_);
    thread_ = std::thread([this, look = std::move(look)] { run(look); });
    return Done{};
}

void RouteWatch::run(std::function<bool()> const& look) {
    while (look()) {
        pollfd fds[] = {{netlink_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
        poll(fds, 2, -1);
        if (poll(fds + 1, 1, settle_ms) > 0) return;
        char buffer[16 << 10];
        for (;;) {
            ssize_t const n = recv(netlink_fd_, buffer, sizeof buffer, 0);
            if (n < 0 && errno != EINTR && errno != ENOBUFS) break;
        }
    }
}

void RouteWatch::end() {
    if (thread_.joinable()) {
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(wake_fd_, &one, sizeof one);
        thread_.join();
    }
    for (int* fd : {&netlink_fd_, &wake_fd_}) {
        if (*fd >= 0) close(*fd);
        *fd = -1;
    }
}

}  // namespace clusterd
