// See session.hpp. Every entry from the loop holds the session by a shared_ptr, since the owner may let go of it in a callback.
#include "clusterd/link/session.hpp"

#include "clusterd/wire/bytes.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
constexpr std::string_view magic = "CSY1";
constexpr std::string_view hello_magic = "CHEL";
constexpr std::uint8_t hello_version = 1;
constexpr std::size_t random_size = 32;
constexpr std::size_t header_size = crypto_secretstream_xchacha20poly1305_HEADERBYTES;
constexpr std::size_t seal_size = crypto_secretstream_xchacha20poly1305_ABYTES;
constexpr std::size_t max_before_hello = 4096;
constexpr Duration handshake_limit = 2s;
constexpr int reads_at_once = 4;  // of 64 KiB; then other work gets its turn

enum Kind : std::uint8_t { hello = 1, ping = 2, data = 3 };

unsigned char const* octets(std::string_view s) {
    return reinterpret_cast<unsigned char const*>(s.data());
}
void set_option(int fd, int level, int name, int value) {
    (void)::setsockopt(fd, level, name, &value, sizeof value);
}

// Drops what was consumed, once that is worth a move.
void compact(std::string& buffer, std::size_t& at) {
    if (at == buffer.size()) {
        buffer.clear();
        if (buffer.capacity() > (256u << 10)) buffer.shrink_to_fit();
        at = 0;
    } else if (at > (64u << 10) && at * 2 > buffer.size()) {
        buffer.erase(0, at);
        at = 0;
    }
}

}  // namespace

Session::Session(Loop& loop, Fd fd, int link, bool connecting, SessionIdentity const& identity, Duration dead, Owner& owner)
    : loop_(loop),
      fd_(std::move(fd)),
      link_(link),
      identity_(identity),
      dead_(dead),
      owner_(owner),
      phase_(connecting ? Phase::connecting : Phase::random),
      began_(loop.now().mono),
      last_received_(began_),
      last_sent_(began_) {
    randombytes_buf(random_.data(), random_.size());
}

Session::~Session() {
    drop_watches();
}

void Session::start() {
    set_option(fd_.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd_.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(to_ms(dead_)));
    std::weak_ptr<Session> const weak = weak_from_this();
    tick_due_ = loop_.now().mono + dead_ / 4;
    timer_ = loop_.at(tick_due_, [weak] {
        if (auto const s = weak.lock()) s->tick();
    });
    if (phase_ != Phase::connecting) return connected();
    write_watch_ = loop_.on_writable(fd_.get(), [weak] {
        auto const s = weak.lock();
        if (!s) return;
        int error = 0;
        socklen_t size = sizeof error;
        if (::getsockopt(s->fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        if (error != 0) return s->close(std::strerror(error));
        s->write_watch_.reset();
        s->phase_ = Phase::random;
        s->connected();
    });
}

void Session::connected() {
    out_.append(magic);
    out_.append(reinterpret_cast<char const*>(random_.data()), random_.size());
    std::weak_ptr<Session> const weak = weak_from_this();
    read_watch_ = loop_.on_readable(fd_.get(), [weak] {
        if (auto const s = weak.lock()) s->readable();
    });
    flush();
}

void Session::readable() {
    auto const self = shared_from_this();
    for (int i = 0; i < reads_at_once && phase_ != Phase::closed; ++i) {
        bool const more = read_some();
        while (phase_ != Phase::closed && parse()) {
        }
        compact(in_, in_at_);
        if (!more) return;
    }
}

// True: there may be more to read.
bool Session::read_some() {
    char buffer[64 << 10];
    // Of a stranger no more is taken than a hello can need.
    std::size_t const room =
        open_ ? sizeof buffer : std::min(sizeof buffer, max_before_hello - std::min(max_before_hello, in_.size() - in_at_));
    if (room == 0) {
        close("it sent too much before it said who it is");
        return false;
    }
    ssize_t const n = ::recv(fd_.get(), buffer, room, MSG_DONTWAIT);
    if (n > 0) {
        in_.append(buffer, static_cast<std::size_t>(n));
        last_received_ = loop_.now().mono;
        return static_cast<std::size_t>(n) == room;
    }
    if (n == 0)
        close(open_ ? "the peer closed it" : "the peer closed it before it said who it is; does it have the same key file?");
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        close(std::strerror(errno));
    return false;
}

// One element of what has been read; false: not enough of it is there.
bool Session::parse() {
    switch (phase_) {
        case Phase::random:
            return parse_random();
        case Phase::header:
            return parse_header();
        case Phase::frames:
            return parse_frame();
        case Phase::connecting:
        case Phase::closed:
            return false;
    }
    return false;
}

Key Session::direction_key(NodeIndex sender, std::string_view peer_random) const {
    std::string_view const mine(reinterpret_cast<char const*>(random_.data()), random_.size());
    bool const first = identity_.self == NodeIndex::a;
    wire::Writer w;
    w.raw("clusterd sync 1");
    w.enumeration(sender);
    w.raw(first ? mine : peer_random);
    w.raw(first ? peer_random : mine);
    Key key;
    crypto_generichash(key.bytes.data(), key.bytes.size(), octets(w.view()), w.size(), identity_.key.bytes.data(),
                       identity_.key.bytes.size());
    return key;
}

bool Session::parse_random() {
    std::string_view const have = std::string_view(in_).substr(in_at_);
    if (have.substr(0, magic.size()) != magic.substr(0, std::min(have.size(), magic.size()))) {
        close("what is there doesn't speak clusterd's sync protocol of version 1");
        return false;
    }
    if (have.size() < magic.size() + random_size) return false;
    std::string_view const theirs = have.substr(magic.size(), random_size);
    Key const push_key = direction_key(identity_.self, theirs);
    Key const pull_key = direction_key(other(identity_.self), theirs);
    in_at_ += magic.size() + random_size;
    std::array<unsigned char, header_size> header{};
    crypto_secretstream_xchacha20poly1305_init_push(&push_, header.data(), push_key.bytes.data());
    random_ = pull_key.bytes;  // kept until the header is there
    out_.append(reinterpret_cast<char const*>(header.data()), header.size());
    phase_ = Phase::header;
    wire::Writer w;
    w.raw(hello_magic);
    w.u8(hello_version);
    w.bytes(identity_.cluster);
    w.enumeration(identity_.self);
    w.u64(identity_.incarnation);
    send_frame(Kind::hello, w.view());
    return phase_ != Phase::closed;
}

bool Session::parse_header() {
    if (in_.size() - in_at_ < header_size) return false;
    int const bad = crypto_secretstream_xchacha20poly1305_init_pull(&pull_, octets(in_) + in_at_, random_.data());
    sodium_memzero(random_.data(), random_.size());
    in_at_ += header_size;
    if (bad != 0) {
        close("its stream can't be opened");
        return false;
    }
    phase_ = Phase::frames;
    return true;
}

bool Session::parse_frame() {
    std::string_view const have = std::string_view(in_).substr(in_at_);
    if (have.size() < 4) return false;
    wire::Reader r(have);
    std::size_t const size = r.u32();
    std::size_t const limit = open_ ? max_sync_frame + 1 + seal_size : max_before_hello / 2;
    if (size < 1 + seal_size || size > limit) {
        close("a frame of " + std::to_string(size) + " bytes, at most " + std::to_string(limit) + " are allowed");
        return false;
    }
    if (have.size() < 4 + size) return false;
    std::string plain(size - seal_size, '\0');
    unsigned char tag = 0;
    int const bad = crypto_secretstream_xchacha20poly1305_pull(&pull_, reinterpret_cast<unsigned char*>(plain.data()), nullptr,
                                                               &tag, octets(have) + 4, size, nullptr, 0);
    in_at_ += 4 + size;
    if (bad != 0 || tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE) {
        close(open_ ? "a frame was changed on its way" : "it doesn't have this cluster's key; both nodes need the same key file");
        return false;
    }
    return take_frame(plain);
}

// False: it is closed now.
bool Session::take_frame(std::string_view plain) {
    auto const kind = static_cast<std::uint8_t>(plain[0]);
    if (!open_) {
        if (kind != Kind::hello) return close("it didn't begin with its name"), false;
        return take_hello(plain.substr(1));
    }
    if (kind == Kind::data)
        owner_.session_frame(*this, plain.substr(1));
    else if (kind != Kind::ping)
        close("a frame of unknown kind " + std::to_string(kind));
    return phase_ != Phase::closed;
}

bool Session::take_hello(std::string_view payload) {
    wire::Reader r(payload);
    if (r.raw(hello_magic.size()) != hello_magic || r.u8() != hello_version)
        return close("its clusterd is of another version; install the same on both nodes"), false;
    ClusterTag const cluster = r.bytes<16>();
    NodeIndex const node = r.node();
    Incarnation const incarnation = r.u64();
    if (!r.finish("hello")) return close("its hello can't be read; install the same clusterd on both nodes"), false;
    if (cluster != identity_.cluster)
        return close("it is of another cluster that has the same key; give each cluster a key of its own"), false;
    if (node == identity_.self)
        return close("it says that it is this node; is clusterd running with the same --node on both nodes?"), false;
    peer_ = incarnation;
    open_ = true;
    opened_ = loop_.now().mono;
    owner_.session_open(*this);
    return phase_ != Phase::closed;
}

bool Session::send(std::string_view payload) {
    auto const self = shared_from_this();
    if (!open_ || phase_ == Phase::closed) return false;
    if (payload.size() > max_sync_frame || out_.size() - out_at_ + payload.size() > max_sync_outgoing) {
        close(payload.size() > max_sync_frame ? "a message of " + std::to_string(payload.size()) +
                                                    " bytes was to be sent; the limit is " + std::to_string(max_sync_frame)
                                              : "the peer reads too slowly: too much waits to be sent");
        return false;
    }
    send_frame(Kind::data, payload);
    return phase_ != Phase::closed;
}

void Session::send_frame(std::uint8_t kind, std::string_view payload) {
    std::string plain;
    plain.reserve(1 + payload.size());
    plain.push_back(static_cast<char>(kind));
    plain.append(payload);
    wire::Writer w;
    w.u32(static_cast<std::uint32_t>(plain.size() + seal_size));
    out_.append(w.view());
    std::size_t const start = out_.size();
    out_.resize(start + plain.size() + seal_size);
    crypto_secretstream_xchacha20poly1305_push(&push_, reinterpret_cast<unsigned char*>(out_.data()) + start, nullptr,
                                               octets(plain), plain.size(), nullptr, 0,
                                               crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
    last_sent_ = loop_.now().mono;
    flush();
}

void Session::flush() {
    while (out_at_ < out_.size()) {
        ssize_t const n = ::send(fd_.get(), out_.data() + out_at_, out_.size() - out_at_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            out_at_ += static_cast<std::size_t>(n);
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return close(std::strerror(errno));
        compact(out_, out_at_);
        if (write_watch_) return;
        std::weak_ptr<Session> const weak = weak_from_this();
        write_watch_ = loop_.on_writable(fd_.get(), [weak] {
            if (auto const s = weak.lock()) s->flush();
        });
        return;
    }
    compact(out_, out_at_);
    write_watch_.reset();
}

void Session::tick() {
    auto const self = shared_from_this();
    Instant const now = loop_.now().mono;
    // This process slept (frozen, or the machine busy): what has come meanwhile lies in the socket and is read first.
    if (now - tick_due_ > dead_ / 4) last_received_ = now;
    if (!open_ && now - began_ > handshake_limit)
        return close(phase_ == Phase::connecting ? "no answer within 2 s"
                                                 : "it didn't say who it is within 2 s; does it have the same key file?");
    if (open_ && now - last_received_ > 2 * dead_)
        return close("nothing was heard for " + std::to_string(to_ms(now - last_received_)) + " ms");
    if (open_ && now - last_sent_ >= dead_ / 4) send_frame(Kind::ping, {});
    if (phase_ == Phase::closed) return;
    tick_due_ = now + dead_ / 4;
    std::weak_ptr<Session> const weak = weak_from_this();
    timer_ = loop_.at(tick_due_, [weak] {
        if (auto const s = weak.lock()) s->tick();
    });
}

void Session::drop_watches() {
    read_watch_.reset();
    write_watch_.reset();
    timer_.reset();
}

void Session::abandon() {
    phase_ = Phase::closed;
    open_ = false;
    drop_watches();
    fd_.reset();
}

void Session::close(std::string const& reason) {
    if (phase_ == Phase::closed) return;
    auto const self = shared_from_this();
    abandon();
    owner_.session_closed(*this, reason);
}

}  // namespace clusterd
