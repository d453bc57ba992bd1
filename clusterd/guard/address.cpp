// RTM_DELADDR by hand; see address.hpp.
#include "clusterd/guard/address.hpp"

#include "clusterd/guard/util.hpp"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <cerrno>

namespace clusterd::guard {

namespace {

struct Address {
    int family = 0;
    unsigned char bytes[16] = {};
    unsigned length = 0;
    unsigned prefix = 0;
};

bool parse(char const* text, Address& address) {
    char const* slash = std::strchr(text, '/');
    std::uint64_t prefix = 0;
    if (!slash || slash - text >= 64 || !parse_number(slash + 1, 128, prefix)) return false;
    char ip[64] = {};
    std::memcpy(ip, text, static_cast<std::size_t>(slash - text));
    if (inet_pton(AF_INET, ip, address.bytes) == 1) {
        address.family = AF_INET;
        address.length = 4;
    } else if (inet_pton(AF_INET6, ip, address.bytes) == 1) {
        address.family = AF_INET6;
        address.length = 16;
    } else
        return false;
    address.prefix = static_cast<unsigned>(prefix);
    return prefix <= address.length * 8u;
}

// Netlink answers a request within sendto(), so the acknowledgement is there to be read without waiting.
int acknowledgement(int fd) {
    alignas(nlmsghdr) char buffer[1024];
    ssize_t const n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return errno;
    auto const* header = reinterpret_cast<nlmsghdr const*>(buffer);
    if (n < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))) || header->nlmsg_type != NLMSG_ERROR) return EPROTO;
    return -reinterpret_cast<nlmsgerr const*>(NLMSG_DATA(header))->error;
}

}  // namespace

bool valid_address(char const* text) {
    Address address;
    return parse(text, address);
}

Removed remove_address(char const* text, char const* interface) {
    Address address;
    if (!parse(text, address)) {
        errno = EINVAL;
        return Removed::failed;
    }
    unsigned const index = if_nametoindex(interface);
    if (index == 0) return Removed::was_not_there;  // the interface is gone, and with it its addresses
    struct {
        nlmsghdr header;
        ifaddrmsg message;
        rtattr attribute;
        unsigned char bytes[16];
    } request{};
    request.header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof(ifaddrmsg)) + RTA_LENGTH(address.length));
    request.header.nlmsg_type = RTM_DELADDR;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.header.nlmsg_seq = 1;
    request.message.ifa_family = static_cast<unsigned char>(address.family);
    request.message.ifa_prefixlen = static_cast<unsigned char>(address.prefix);
    request.message.ifa_index = index;
    request.attribute.rta_type = IFA_LOCAL;
    request.attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(address.length));
    std::memcpy(request.bytes, address.bytes, address.length);

    int const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return Removed::failed;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    int error = 0;
    if (sendto(fd, &request, request.header.nlmsg_len, MSG_DONTWAIT, reinterpret_cast<sockaddr const*>(&kernel), sizeof kernel) < 0)
        error = errno;
    else
        error = acknowledgement(fd);
    close(fd);
    if (error == 0) return Removed::gone;
    if (error == EADDRNOTAVAIL || error == ENODEV) return Removed::was_not_there;
    errno = error;
    return Removed::failed;
}

}  // namespace clusterd::guard
