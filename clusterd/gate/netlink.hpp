// The nftables netlink messages the gate needs, made with libmnl: change elements of sets in one atomic batch, count what stands,
// and read notifications. Called by gate.cpp only. Nothing here waits: the kernel works within sendmsg.
#pragma once

#include "clusterd/core/result.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

struct mnl_socket;

namespace clusterd::gate {

struct Address {
    bool v6 = false;
    std::array<std::uint8_t, 16> bytes{};  // network order; the first four for IPv4
    friend auto operator<=>(Address const&, Address const&) = default;
};
std::optional<Address> parse_address(std::string const& text);  // a prefix length is cut off
std::string to_text(Address const& address);

// One change of one element in one set.
struct ElementChange {
    std::uint8_t family = 0;  // NFPROTO_*
    std::string set;
    Address address;
    bool present = false;
    std::uint64_t timeout_ms = 0;  // present: 0 = lives for ever
};

// An nftables netlink socket. An error number is returned as errno's (0: done).
class Netlink {
public:
    Netlink();
    ~Netlink();
    Netlink(Netlink const&) = delete;
    Netlink& operator=(Netlink const&) = delete;

    Result<Done> open(bool notifications);
    int fd() const;
    // All or nothing, and no packet sees anything between: each element is added, deleted and, if present, added with its timeout,
    // since adding it again alone doesn't renew it and deleting alone fails where it has timed out.
    int change(std::string const& table, std::vector<ElementChange> const& changes);
    // How many rules the table has; -1 if there is no such table.
    int rules(std::uint8_t family, std::string const& table);
    // How many elements the set has; -1 if there is no such set.
    int elements(std::uint8_t family, std::string const& table, std::string const& set);

    struct Notice {
        std::uint16_t type = 0;   // NFT_MSG_*
        std::uint8_t family = 0;  // NFPROTO_*
        std::string table, set;
    };
    // Everything that has arrived. False: notices were lost (the buffer overflowed), so look for yourself.
    bool notices(std::function<void(Notice const&)> const& each);

private:
    int exchange(void* data, std::size_t size, std::function<void(void const* message)> const& each);
    mnl_socket* socket_ = nullptr;
    std::uint32_t sequence_ = 1;
};

}  // namespace clusterd::gate
