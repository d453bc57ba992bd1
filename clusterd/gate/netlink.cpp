// See netlink.hpp. Message layouts: linux/netfilter/nf_tables.h.
#include "clusterd/gate/netlink.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

namespace clusterd::gate {
namespace {

constexpr std::size_t buffer_size = 64 * 1024;
constexpr std::size_t element_room = 512;  // more than the three messages of one change take

// libmnl takes int types; the kernel's are 16 bits.
constexpr std::uint16_t nft_type(int message) { return static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message); }

nlmsghdr* put_header(void* at, std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, std::uint8_t family, std::uint16_t resource) {
    nlmsghdr* header = mnl_nlmsg_put_header(at);
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = sequence;
    auto* generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    generic->nfgen_family = family;
    generic->version = NFNETLINK_V0;
    generic->res_id = htons(resource);
    return header;
}

void put_element(nlmsghdr* header, std::string const& table, ElementChange const& change, bool with_timeout) {
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table.c_str());
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, change.set.c_str());
    nlattr* list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
    nlattr* element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
    nlattr* key = mnl_attr_nest_start(header, NFTA_SET_ELEM_KEY);
    mnl_attr_put(header, NFTA_DATA_VALUE, change.address.v6 ? 16 : 4, change.address.bytes.data());
    mnl_attr_nest_end(header, key);
    if (with_timeout) mnl_attr_put_u64(header, NFTA_SET_ELEM_TIMEOUT, htobe64(change.timeout_ms));
    mnl_attr_nest_end(header, element);
    mnl_attr_nest_end(header, list);
}

// mnl_attr_for_each as a function: the macro is C.
template <class Each>
void for_each_attribute(void const* from, std::size_t size, Each each) {
    auto const* at = static_cast<char const*>(from);
    while (size >= sizeof(nlattr)) {
        auto const* attribute = reinterpret_cast<nlattr const*>(at);
        if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > size) return;
        each(attribute);
        std::size_t const step = std::min<std::size_t>(NLA_ALIGN(attribute->nla_len), size);
        at += step;
        size -= step;
    }
}
template <class Each>
void for_each_attribute(nlmsghdr const* header, Each each) {
    if (mnl_nlmsg_get_payload_len(header) < sizeof(nfgenmsg)) return;
    auto const* payload = static_cast<char const*>(mnl_nlmsg_get_payload(header));
    for_each_attribute(payload + NLMSG_ALIGN(sizeof(nfgenmsg)), mnl_nlmsg_get_payload_len(header) - sizeof(nfgenmsg), each);
}

std::string text_of(nlattr const* attribute) {
    return mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0 ? std::string() : std::string(mnl_attr_get_str(attribute));
}

}  // namespace

std::optional<Address> parse_address(std::string const& text) {
    std::string const bare = text.substr(0, text.find('/'));
    Address address;
    if (inet_pton(AF_INET, bare.c_str(), address.bytes.data()) == 1) return address;
    address.v6 = true;
    if (inet_pton(AF_INET6, bare.c_str(), address.bytes.data()) == 1) return address;
    return std::nullopt;
}

std::string to_text(Address const& address) {
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
    return text;
}

Netlink::Netlink() = default;
Netlink::~Netlink() {
    if (socket_) mnl_socket_close(socket_);
}

Result<Done> Netlink::open(bool notifications) {
    socket_ = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!socket_) return Error{std::string("can't open a netfilter netlink socket: ") + std::strerror(errno)};
    if (mnl_socket_bind(socket_, notifications ? 1U << (NFNLGRP_NFTABLES - 1) : 0, MNL_SOCKET_AUTOPID) < 0)
        return Error{std::string("can't bind a netfilter netlink socket: ") + std::strerror(errno)};
    if (notifications) {
        int const room = 1 << 20;
        if (setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
            setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);  // as much as is allowed: an overflow is noticed
    }
    return Done{};
}

int Netlink::fd() const { return mnl_socket_get_fd(socket_); }

// Sends, then reads all answers: they are there when sendmsg returns. Dumps end with NLMSG_DONE.
int Netlink::exchange(void* data, std::size_t size, std::function<void(void const*)> const& each) {
    if (mnl_socket_sendto(socket_, data, size) < 0) return errno;
    alignas(nlmsghdr) char buffer[buffer_size];
    int error = 0;
    while (true) {
        ssize_t const got = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
        if (got < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return error;
            return errno;
        }
        int left = static_cast<int>(got);
        for (auto const* header = reinterpret_cast<nlmsghdr const*>(buffer); mnl_nlmsg_ok(header, left);
             header = mnl_nlmsg_next(header, &left)) {
            if (header->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(header) >= sizeof(nlmsgerr)) {
                auto const* answer = static_cast<nlmsgerr const*>(mnl_nlmsg_get_payload(header));
                if (answer->error != 0 && error == 0) error = -answer->error;
            } else if (header->nlmsg_type == NLMSG_DONE) {
                if (mnl_nlmsg_get_payload_len(header) >= sizeof(int)) {
                    int const result = *static_cast<int const*>(mnl_nlmsg_get_payload(header));
                    if (result < 0 && error == 0) error = -result;
                }
            } else if (each) {
                each(header);
            }
        }
    }
}

int Netlink::change(std::string const& table, std::vector<ElementChange> const& changes) {
    if (changes.empty()) return 0;
    std::vector<char> room(1024 + changes.size() * element_room);
    char* at = room.data();
    auto const advance = [&](nlmsghdr const* header) { at += NLMSG_ALIGN(header->nlmsg_len); };
    advance(put_header(at, NFNL_MSG_BATCH_BEGIN, 0, sequence_++, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    for (auto const& change : changes) {
        auto const element = [&](int message, int flags, bool with_timeout) {
            nlmsghdr* header = put_header(at, nft_type(message), static_cast<std::uint16_t>(flags), sequence_++, change.family, 0);
            put_element(header, table, change, with_timeout);
            advance(header);
        };
        element(NFT_MSG_NEWSETELEM, NLM_F_CREATE, false);
        element(NFT_MSG_DELSETELEM, 0, false);
        if (change.present) element(NFT_MSG_NEWSETELEM, NLM_F_CREATE, change.timeout_ms > 0);
    }
    advance(put_header(at, NFNL_MSG_BATCH_END, 0, sequence_++, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    return exchange(room.data(), static_cast<std::size_t>(at - room.data()), nullptr);
}

int Netlink::rules(std::uint8_t family, std::string const& table) {
    alignas(nlmsghdr) char room[512];
    nlmsghdr* header = put_header(room, nft_type(NFT_MSG_GETTABLE), NLM_F_ACK, sequence_++, family, 0);
    mnl_attr_put_strz(header, NFTA_TABLE_NAME, table.c_str());
    if (exchange(room, header->nlmsg_len, nullptr) != 0) return -1;  // a dump of a missing table's rules is empty, not an error
    header = put_header(room, nft_type(NFT_MSG_GETRULE), NLM_F_DUMP, sequence_++, family, 0);
    mnl_attr_put_strz(header, NFTA_RULE_TABLE, table.c_str());
    int count = 0;
    int const error = exchange(room, header->nlmsg_len, [&](void const*) { ++count; });
    return error ? -1 : count;
}

int Netlink::elements(std::uint8_t family, std::string const& table, std::string const& set) {
    alignas(nlmsghdr) char room[512];
    nlmsghdr* header = put_header(room, nft_type(NFT_MSG_GETSETELEM), NLM_F_DUMP, sequence_++, family, 0);
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table.c_str());
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set.c_str());
    int count = 0;
    int const error = exchange(room, header->nlmsg_len, [&](void const* message) {
        for_each_attribute(static_cast<nlmsghdr const*>(message), [&](nlattr const* attribute) {
            if (mnl_attr_get_type(attribute) == NFTA_SET_ELEM_LIST_ELEMENTS)
                for_each_attribute(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute), [&](nlattr const*) { ++count; });
        });
    });
    return error ? -1 : count;
}

bool Netlink::notices(std::function<void(Notice const&)> const& each) {
    alignas(nlmsghdr) char buffer[buffer_size];
    bool complete = true;
    while (true) {
        ssize_t const got = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
        if (got < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return complete;
            complete = false;  // ENOBUFS: what was lost is unknown
            if (errno == ENOBUFS || errno == ENOSPC) continue;
            return false;
        }
        int left = static_cast<int>(got);
        for (auto const* header = reinterpret_cast<nlmsghdr const*>(buffer); mnl_nlmsg_ok(header, left);
             header = mnl_nlmsg_next(header, &left)) {
            if ((header->nlmsg_type >> 8) != NFNL_SUBSYS_NFTABLES || mnl_nlmsg_get_payload_len(header) < sizeof(nfgenmsg)) continue;
            Notice notice;
            notice.type = header->nlmsg_type & 0xff;
            notice.family = static_cast<nfgenmsg const*>(mnl_nlmsg_get_payload(header))->nfgen_family;
            if (notice.type == NFT_MSG_NEWGEN) continue;
            // The table's name is attribute 1 of every message of interest, a set's name attribute 2 of those about elements.
            for_each_attribute(header, [&](nlattr const* attribute) {
                if (mnl_attr_get_type(attribute) == NFTA_TABLE_NAME) notice.table = text_of(attribute);
                if (mnl_attr_get_type(attribute) == NFTA_SET_ELEM_LIST_SET &&
                    (notice.type == NFT_MSG_NEWSETELEM || notice.type == NFT_MSG_DELSETELEM))
                    notice.set = text_of(attribute);
            });
            each(notice);
        }
    }
}

}  // namespace clusterd::gate
