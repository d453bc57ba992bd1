// What is said to and asked of the machines beside this one: "does anyone have this address?" and "I have it now".
//
// Called by the ip-address driver; Listener by the worker's keeper.hpp. Announcements of IPv6 go out through the IP layer, from the
// address itself, so that the gate's rules hold for them; ARP goes out by AF_PACKET, past the gate: the caller looks at the permit first.
#pragma once

#include "clusterd/address/netlink.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace clusterd::net {

// Three probes (ARP probes of RFC 5227; for IPv6 neighbour solicitations as in duplicate address detection), answers awaited for
// `patience` in all. The MAC of another machine that answered; none: nobody did. On a link without neighbours: none, at once.
Result<std::optional<Mac>> who_else_has(IpAddress const& address, Link const& link, std::chrono::milliseconds patience);

// What came to a packet socket (ARP, or an IPv6 packet that the socket's filter let through), from `sender`: the MAC of another
// machine that has the address, or nothing. Another's own *probe* isn't word of that: in a failover both nodes may ask at once.
std::optional<Mac> holder_in(std::string_view packet, IpAddress const& address, Mac const& sender);

// One gratuitous ARP of each form (request and reply), or one unsolicited neighbour advertisement.
Result<Done> announce(IpAddress const& address, Link const& link);

// Hears who says, on one link, that he has one of some addresses: answers to questions, announcements, and for IPv4 also questions that
// are asked from it. What nobody wants to hear stays in the kernel. Never waits.
class Listener {
public:
    static Result<std::unique_ptr<Listener>> open(Link const& link, bool v6);
    ~Listener();
    Listener(Listener const&) = delete;
    Listener& operator=(Listener const&) = delete;

    // From now on only of these, and not what machines with these MACs say.
    void listen_for(std::vector<IpAddress> const& addresses, std::vector<Mac> const& but_from);
    bool ask(IpAddress const& address) const;  // one probe; false: the kernel refused
    struct Claim {
        IpAddress address;
        Mac mac{};
    };
    std::optional<Claim> next();  // none: nothing more has arrived
    int fd() const { return fd_; }
    Link const& link() const { return link_; }

private:
    Listener(int fd, Link link, bool v6) : fd_(fd), link_(std::move(link)), v6_(v6) {}
    int const fd_;
    Link const link_;
    bool const v6_;
    std::vector<IpAddress> addresses_;
    std::vector<Mac> but_from_;
};

}  // namespace clusterd::net
