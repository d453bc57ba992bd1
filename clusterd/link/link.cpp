// See link.hpp.
#include "clusterd/link/link.hpp"

#include "clusterd/link/address.hpp"
#include "clusterd/link/replay.hpp"
#include "clusterd/wire/heartbeat.hpp"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
constexpr Duration bind_retry = 250ms;
constexpr Duration note_pause = 60s;  // between two notes of the same link on bad packets
constexpr Duration shown_for = 60s;   // what was dropped stands in status for so long
constexpr std::uint64_t odd_repeats = 20;  // in a minute: fewer copies of a packet are any network's doing
constexpr int packets_at_once = 64;   // then other work gets its turn

void set_option(int fd, int level, int name, int value) {
    (void)::setsockopt(fd, level, name, &value, sizeof value);
}

// Errors here cost priority or bound a queue less well; never the link.
void tune(int fd, int family) {
    if (family == AF_INET) {
        set_option(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6);
    } else {
        set_option(fd, IPPROTO_IPV6, IPV6_TCLASS, IPTOS_CLASS_CS6);
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    set_option(fd, SOL_SOCKET, SO_PRIORITY, 6);  // after IP_TOS, which sets it too
    // As small as the kernel lets it be, about 6 heartbeats: with the cable cut, packets wait for the neighbour's hardware address,
    // and a burst of old ones must not go out when it is plugged in again.
    set_option(fd, SOL_SOCKET, SO_SNDBUF, 1);
}

// A socket bound to `own`, or the errno why not.
int open_bound(SocketAddress const& own, Fd& out) {
    Fd fd(::socket(own.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return errno;
    tune(fd.get(), own.family());
    if (::bind(fd.get(), own.get(), own.length) != 0) return errno;
    out = std::move(fd);
    return 0;
}

// What a link drops says something about the network, the other node or somebody else's machine.
enum class Drop : std::uint8_t { bad_from_peer, stranger, foreign, own_name, replay };
struct Drops {
    std::uint64_t count = 0;
    Instant last = long_ago;
    std::uint64_t lately = 0, before = 0;  // within the minute under way, and the one before it
    Instant minute = long_ago;
    std::string why;  // of the last one: from where, what it was, what to do
};

struct Link {
    SocketAddress own, peer;
    Fd fd;
    Loop::HandlePtr watch, retry;
    int told_errno = 0;
    Instant noted = long_ago;
    ReplayGuard replay;
    LinkInfo info;
    std::array<Drops, 5> drops;  // by Drop
};

void count_drop(Drops& drops, Instant now, std::string why) {
    if (now - drops.minute > shown_for) {
        drops.before = now - drops.minute > 2 * shown_for ? 0 : drops.lately;
        drops.lately = 0;
        drops.minute = now;
    }
    ++drops.count;
    ++drops.lately;
    drops.last = now;
    drops.why = std::move(why);
}

std::string packets(std::uint64_t n) {
    return std::to_string(n) + (n == 1 ? " packet was" : " packets were");
}

}  // namespace

struct Links::Impl {
    Loop& loop;
    NodeIndex self;
    Key key;
    ClusterTag cluster;
    Duration silence;
    Callbacks callbacks;
    std::uint64_t counter = 0;
    Incarnation peer_incarnation = 0;  // that the core counts as its peer
    std::vector<std::unique_ptr<Link>> links;

    Impl(Loop& l, Spec const& spec, NodeIndex me, Key const& cluster_key, Callbacks c)
        : loop(l),
          self(me),
          key(subkey(cluster_key, Purpose::heartbeat)),
          cluster(cluster_tag(spec.cluster)),
          silence(std::max(spec.timing.suspect, 3 * spec.timing.heartbeat)),
          callbacks(std::move(c)) {
        // Higher than anything an earlier worker of the same incarnation sent: it can't have sent a packet a nanosecond since boot.
        counter = static_cast<std::uint64_t>(std::max<std::int64_t>(loop.now().mono.ns, 0));
        auto const& mine = spec.nodes[at(self)].links;
        auto const& theirs = spec.nodes[at(other(self))].links;
        for (std::size_t i = 0; i < std::min(mine.size(), theirs.size()); ++i) add(static_cast<int>(i), mine[i], theirs[i]);
    }

    void note(Severity severity, std::string text) {
        if (callbacks.note) callbacks.note(severity, std::move(text));
    }

    void add(int index, LinkSpec const& mine, LinkSpec const& theirs) {
        auto const own = socket_address(mine.address, mine.port);
        auto const peer = socket_address(theirs.address, theirs.port);
        auto& link = *links.emplace_back(std::make_unique<Link>());
        link.info.address = mine.address;
        link.info.peer_address = theirs.address;
        link.info.port = mine.port;
        if (!own || !peer || own->family() != peer->family()) {
            note(Severity::error,
                 "link " + mine.address + " - " + theirs.address + " can't be used: both ends must be IPv4 or both IPv6");
            return;
        }
        link.own = *own;
        link.peer = *peer;
        bind(index);
    }

    void bind(int index) {
        Link& link = *links[static_cast<std::size_t>(index)];
        link.retry.reset();
        int const error = open_bound(link.own, link.fd);
        if (error != 0) {
            if (link.told_errno != error) note(Severity::warning, why_not_bound(link, error));
            link.told_errno = error;
            link.retry = loop.at(loop.now().mono + bind_retry, [this, index] { bind(index); });
            return;
        }
        if (link.told_errno != 0) note(Severity::info, "link " + to_text(link.own) + " is there now");
        link.told_errno = 0;
        link.info.bound = true;
        link.watch = loop.on_readable(link.fd.get(), [this, index] { receive(index); });
    }

    static std::string why_not_bound(Link const& link, int error) {
        std::string const name = "link " + to_text(link.own);
        if (error == EADDRNOTAVAIL)
            return name +
                   " can't be used yet: this node doesn't have the address; it will be used as soon as it is there (see: ip "
                   "address)";
        if (error == EADDRINUSE)
            return name +
                   " can't be used: another program has the UDP port; end it, or give the <link> another port= on both nodes";
        return name + " can't be used: " + std::strerror(error) + "; trying again";
    }

    void rebind_later(int index) {
        Link& link = *links[static_cast<std::size_t>(index)];
        link.watch.reset();
        link.fd.reset();
        link.info.bound = false;
        link.retry = loop.at(loop.now().mono + bind_retry, [this, index] { bind(index); });
    }

    void send(Heartbeat const& heartbeat) {
        if (heartbeat.echo.incarnation != 0) peer_incarnation = heartbeat.echo.incarnation;
        for (std::size_t i = 0; i < links.size(); ++i) {
            Link& link = *links[i];
            if (!link.fd) {
                ++link.info.counters.send_errors;
                continue;
            }
            std::string const packet = seal_heartbeat(heartbeat, cluster, static_cast<int>(i), ++counter, key);
            ssize_t const n = ::sendto(link.fd.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL, link.peer.get(),
                                       link.peer.length);
            ++(n == static_cast<ssize_t>(packet.size()) ? link.info.counters.sent : link.info.counters.send_errors);
        }
    }

    void receive(int index) {
        Link& link = *links[static_cast<std::size_t>(index)];
        for (int i = 0; i < packets_at_once && link.fd; ++i) {
            char buffer[512];
            SocketAddress source;
            source.length = sizeof source.storage;
            ssize_t const n =
                ::recvfrom(link.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC, source.get(), &source.length);
            if (n < 0) {
                if (errno == EAGAIN || errno == EWOULDBLOCK) return;
                if (errno != EINTR && errno != ECONNREFUSED) return rebind_later(index);  // or it would be called again for ever
                continue;
            }
            std::size_t const size = static_cast<std::size_t>(n);
            if (size > sizeof buffer)
                drop_bad(link, source, "a packet that is too long for a heartbeat");
            else
                take(link, index, {buffer, size}, source);
        }
    }

    void take(Link& link, int index, std::string_view packet, SocketAddress const& source) {
        LinkCounters& count = link.info.counters;
        auto const header = read_heartbeat_header(packet);
        if (!header) return drop_bad(link, source, header.error());
        if (header->cluster != cluster) {
            ++count.dropped_foreign;
            return drop(link, Drop::foreign,
                        to_text(source) + " sends heartbeats of another cluster to link " + to_text(link.own) +
                            "; clusters on one network need addresses or ports of their own");
        }
        if (header->from == self) {
            ++count.dropped_own;
            return drop(link, Drop::own_name,
                        to_text(source) + " sends heartbeats in this node's own name to link " + to_text(link.own) +
                            "; is clusterd running with the same --node on both nodes?");
        }
        if (!same_host(source, link.peer) || header->link != index)
            return drop_bad(link, source, "a heartbeat that belongs to another link");
        auto const heartbeat = open_heartbeat(packet, key);
        if (!heartbeat) return drop_bad(link, source, heartbeat.error());
        if (!link.replay.accept(header->incarnation, header->counter, peer_incarnation)) {
            ++count.dropped_replay;
            Drops& drops = link.drops[static_cast<std::size_t>(Drop::replay)];
            return count_drop(drops, loop.now().mono,
                              to_text(source) + " sends heartbeats to link " + to_text(link.own) +
                                  " that came before; does something on the network repeat packets, or play recorded ones?");
        }
        ++count.received;
        link.info.last_heard = loop.now().mono;
        callbacks.heartbeat(*heartbeat, index);
    }

    void drop_bad(Link& link, SocketAddress const& source, std::string const& why) {
        ++link.info.counters.dropped_bad;
        if (same_host(source, link.peer))
            return drop(link, Drop::bad_from_peer, to_text(source) + " sent to link " + to_text(link.own) + ": " + why);
        Drops& drops = link.drops[static_cast<std::size_t>(Drop::stranger)];
        count_drop(drops, loop.now().mono,
                   to_text(source) + " sends to link " + to_text(link.own) + ", which expects only its peer " + to_text(link.peer) +
                       "; let the firewall keep others from port " + std::to_string(link.info.port));
    }

    void drop(Link& link, Drop kind, std::string text) {
        count_drop(link.drops[static_cast<std::size_t>(kind)], loop.now().mono, text);
        rarely(link, std::move(text));
    }

    std::vector<std::string> warnings() const {
        std::vector<std::string> all;
        Instant const now = loop.now().mono;
        for (auto const& link : links)
            for (std::size_t kind = 0; kind < link->drops.size(); ++kind) {
                Drops const& d = link->drops[kind];
                if (d.count == 0 || now - d.last > shown_for) continue;
                if (kind == static_cast<std::size_t>(Drop::replay) && std::max(d.lately, d.before) < odd_repeats) continue;
                all.push_back(packets(d.count) + " dropped: " + d.why);
            }
        return all;
    }

    void rarely(Link& link, std::string text) {
        Instant const now = loop.now().mono;
        if (now - link.noted < note_pause) return;
        link.noted = now;
        note(Severity::warning, std::move(text));
    }

    bool up(Link const& link) const {
        return link.info.last_heard != long_ago && loop.now().mono - link.info.last_heard <= silence;
    }
};

Links::Links(Loop& loop, Spec const& spec, NodeIndex self, Key const& cluster_key, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(loop, spec, self, cluster_key, std::move(callbacks))) {}
Links::~Links() = default;
Links::Links(Links&&) noexcept = default;
Links& Links::operator=(Links&&) noexcept = default;

void Links::send(Heartbeat const& heartbeat) {
    impl_->send(heartbeat);
}

bool Links::up(int link) const {
    auto const i = static_cast<std::size_t>(link);
    return i < impl_->links.size() && impl_->up(*impl_->links[i]);
}

std::vector<std::string> Links::warnings() const {
    return impl_->warnings();
}

std::vector<LinkInfo> Links::info() const {
    std::vector<LinkInfo> all;
    for (auto const& link : impl_->links) {
        all.push_back(link->info);
        all.back().up = impl_->up(*link);
    }
    return all;
}

}  // namespace clusterd
