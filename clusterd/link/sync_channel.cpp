// See sync_channel.hpp.
#include "clusterd/link/sync_channel.hpp"

#include "clusterd/link/session.hpp"

#include <netinet/in.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
constexpr Duration listen_retry = 250ms;
constexpr Duration first_pause = 100ms, longest_pause = 1s;  // between attempts to connect
constexpr std::size_t max_pending = 8;                       // connections that haven't said who they are
constexpr int accepts_at_once = 16;

struct End {  // a link, as the channel sees it
    SocketAddress own, peer;
    Fd listener;
    Loop::HandlePtr watch, retry;
    int told_errno = 0;
};

Fd tcp_socket(int family) {
    Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int const one = 1;
    if (fd) (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd && family == AF_INET6) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    return fd;
}

}  // namespace

struct SyncChannel::Impl : Session::Owner {
    Loop& loop;
    Callbacks callbacks;
    SessionIdentity identity;
    Duration dead;
    std::vector<End> ends;
    std::shared_ptr<Session> current;
    std::vector<std::shared_ptr<Session>> pending;
    Loop::HandlePtr connect_timer;
    Duration pause = first_pause;
    std::size_t next_link = 0;
    unsigned attempts = 0;
    std::set<std::string> told;  // since the last session: each reason once
    SyncInfo info;

    Impl(Loop& l, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& cluster_key, Callbacks c)
        : loop(l),
          callbacks(std::move(c)),
          identity{cluster_tag(spec.cluster), self, incarnation, subkey(cluster_key, Purpose::sync)},
          dead(std::max<Duration>(2 * spec.timing.suspect, 1s)) {
        auto const& mine = spec.nodes[at(self)].links;
        auto const& theirs = spec.nodes[at(other(self))].links;
        for (std::size_t i = 0; i < std::min(mine.size(), theirs.size()); ++i) {
            auto const own = socket_address(mine[i].address, mine[i].port);
            auto const peer = socket_address(theirs[i].address, theirs[i].port);
            End end;
            if (own && peer && own->family() == peer->family()) end.own = *own, end.peer = *peer;
            ends.push_back(std::move(end));
        }
        if (self == NodeIndex::a)
            for (std::size_t i = 0; i < ends.size(); ++i) listen(i);
        else
            connect_timer = loop.at(loop.now().mono, [this] { connect(); });
    }

    ~Impl() override {
        if (current) current->abandon();
        for (auto const& s : pending) s->abandon();
    }

    void note(Severity severity, std::string text) {
        if (callbacks.note) callbacks.note(severity, std::move(text));
    }
    void note_once(std::string const& text) {
        if (told.size() < 64 && told.insert(text).second) note(Severity::warning, text);
    }
    bool listens() const { return identity.self == NodeIndex::a; }

    // ---- the first node: listen and accept

    void listen(std::size_t i) {
        End& end = ends[i];
        end.retry.reset();
        if (end.own.length == 0) return;  // Links has said why
        Fd fd = tcp_socket(end.own.family());
        bool const good = fd && ::bind(fd.get(), end.own.get(), end.own.length) == 0 && ::listen(fd.get(), 8) == 0;
        if (!good) {
            if (end.told_errno != errno && errno != EADDRNOTAVAIL)
                note(Severity::warning,
                     "the sync channel can't listen on " + to_text(end.own) + ": " + std::strerror(errno) + "; trying again");
            end.told_errno = errno;
            end.retry = loop.at(loop.now().mono + listen_retry, [this, i] { listen(i); });
            return;
        }
        end.told_errno = 0;
        end.listener = std::move(fd);
        watch(i);
    }

    void watch(std::size_t i) {
        ends[i].retry.reset();
        ends[i].watch = loop.on_readable(ends[i].listener.get(), [this, i] { accept(i); });
    }

    void accept(std::size_t i) {
        End& end = ends[i];
        for (int n = 0; n < accepts_at_once; ++n) {
            SocketAddress source;
            source.length = sizeof source.storage;
            Fd fd(::accept4(end.listener.get(), source.get(), &source.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd) {
                if (errno == EAGAIN || errno == EWOULDBLOCK) return;
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                    // It stays readable: look again in a while instead of at once and for ever.
                    end.watch.reset();
                    end.retry = loop.at(loop.now().mono + listen_retry, [this, i] { watch(i); });
                    return;
                }
                continue;  // a connection that was gone again
            }
            if (!same_host(source, end.peer)) {
                ++info.refused;
                note_once("a connection to the sync channel from " + to_text(source) + " was refused: the peer is " +
                          to_text(end.peer));
                continue;
            }
            begin(std::move(fd), static_cast<int>(i), false);
        }
    }

    void begin(Fd fd, int link, bool connecting) {
        // The newest is the likeliest: a peer that starts anew leaves its old attempts behind.
        if (pending.size() >= max_pending) {
            ++info.refused;
            auto const oldest = pending.front();
            pending.erase(pending.begin());
            oldest->abandon();
        }
        auto const session = std::make_shared<Session>(loop, std::move(fd), link, connecting, identity, dead, *this);
        pending.push_back(session);
        session->start();
    }

    // ---- the second node: connect

    void connect_later() {
        if (listens() || connect_timer || !pending.empty()) return;
        connect_timer = loop.at(loop.now().mono + pause, [this] { connect(); });
        pause = std::min(2 * pause, longest_pause);
    }

    // The next link that works by its heartbeats; every fourth time, or where none does, simply the next.
    std::size_t choose_link() {
        bool const by_turn = ++attempts % 4 == 0 || !callbacks.link_up;
        for (std::size_t n = 0; n < ends.size() && !by_turn; ++n) {
            std::size_t const i = (next_link + n) % ends.size();
            if (callbacks.link_up(static_cast<int>(i))) return i;
        }
        return next_link;
    }

    void connect() {
        connect_timer.reset();
        if (current || !pending.empty() || ends.empty()) return;
        std::size_t const i = choose_link();
        next_link = (i + 1) % ends.size();
        End const& end = ends[i];
        if (end.own.length == 0) return connect_later();
        Fd fd = tcp_socket(end.own.family());
        SocketAddress from = end.own;  // any port of the link's own address: the peer knows the link by it
        reinterpret_cast<sockaddr_in&>(from.storage).sin_port = 0;
        bool const bound = fd && ::bind(fd.get(), from.get(), from.length) == 0;
        if (!bound || (::connect(fd.get(), end.peer.get(), end.peer.length) != 0 && errno != EINPROGRESS)) {
            note_once("sync channel to " + to_text(end.peer) + ": " + std::strerror(errno));
            return connect_later();
        }
        begin(std::move(fd), static_cast<int>(i), true);
    }

    // ---- sessions

    std::shared_ptr<Session> take_pending(Session& session) {
        auto const found = std::find_if(pending.begin(), pending.end(), [&](auto const& s) { return s.get() == &session; });
        if (found == pending.end()) return nullptr;
        auto const taken = *found;
        pending.erase(found);
        return taken;
    }

    void session_open(Session& session) override {
        auto const taken = take_pending(session);
        if (!taken) return;
        if (current) {
            auto const old = std::move(current);
            current.reset();
            old->abandon();
            callbacks.down("the peer began a new session");
        }
        current = taken;
        told.clear();
        info.problem.clear();
        ++info.sessions;
        callbacks.up(session.peer());
    }

    void session_frame(Session& session, std::string_view payload) override {
        if (current.get() != &session) return;
        ++info.frames_received;
        callbacks.message(payload);
    }

    void session_closed(Session& session, std::string const& reason) override {
        std::string const where = to_text(ends[static_cast<std::size_t>(session.link())].peer);
        if (current.get() == &session) {
            // One that broke at once must not be tried at full speed again.
            if (loop.now().mono - session.opened() > longest_pause) pause = first_pause;
            current.reset();
            connect_later();
            info.problem = "sync channel with " + where + " ended: " + reason;
            callbacks.down(info.problem);
            return;
        }
        if (!take_pending(session)) return;
        ++info.refused;
        info.problem = "sync channel with " + where + ": " + reason;
        note_once(info.problem);
        connect_later();
    }
};

SyncChannel::SyncChannel(Loop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& cluster_key,
                         Callbacks callbacks)
    : impl_(std::make_unique<Impl>(loop, spec, self, incarnation, cluster_key, std::move(callbacks))) {}
SyncChannel::~SyncChannel() = default;
SyncChannel::SyncChannel(SyncChannel&&) noexcept = default;
SyncChannel& SyncChannel::operator=(SyncChannel&&) noexcept = default;

bool SyncChannel::send(std::string_view frame) {
    auto const session = impl_->current;
    if (!session || !session->send(frame)) return false;
    ++impl_->info.frames_sent;
    return true;
}

bool SyncChannel::up() const {
    return impl_->current != nullptr;
}

SyncInfo SyncChannel::info() const {
    SyncInfo info = impl_->info;
    info.up = up();
    if (!info.up) return info;
    info.link = impl_->current->link();
    info.peer = impl_->current->peer();
    info.since = impl_->current->opened();
    return info;
}

}  // namespace clusterd
