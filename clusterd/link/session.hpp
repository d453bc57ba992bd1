// One TCP connection of the sync channel: handshake, sealed frames, keepalive. Owned and decided about by sync_channel.cpp; nobody
// else uses it.
//
// Both ends send "CSY1" and 32 random bytes. From them and the cluster's key come two keys, one for each direction, so nothing that
// was ever recorded opens in another session or direction. Then each end sends a secretstream header (24 bytes) and frames: u32
// length, then that many sealed bytes; inside: u8 kind, payload. The first frame is the hello. Until it came, the other end is
// nobody: it may use 4 KiB and 2 s of ours.
#pragma once

#include "clusterd/link/address.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/heartbeat.hpp"
#include "clusterd/wire/key.hpp"

#include <sodium.h>
#include <memory>
#include <string>
#include <string_view>

namespace clusterd {

inline constexpr std::size_t max_sync_frame = 8u << 20;                // of payload
inline constexpr std::size_t max_sync_outgoing = 3u * max_sync_frame;  // waiting to be sent; above it the session is given up

struct SessionIdentity {
    ClusterTag cluster{};
    NodeIndex self = NodeIndex::a;
    Incarnation incarnation = 0;
    Key key;  // subkey(.., Purpose::sync)
};

class Session : public std::enable_shared_from_this<Session> {
public:
    struct Owner {
        virtual ~Owner() = default;
        virtual void session_open(Session& session) = 0;  // the peer's hello was authentic and fits
        virtual void session_frame(Session& session, std::string_view payload) = 0;
        virtual void session_closed(Session& session, std::string const& reason) = 0;  // once; not after close(silent)
    };

    // `dead`: sent data not acknowledged for so long ends it; so does hearing nothing for twice that. `connecting`: the fd's
    // connect is still under way.
    Session(Loop& loop, Fd fd, int link, bool connecting, SessionIdentity const& identity, Duration dead, Owner& owner);
    ~Session();
    void start();

    bool send(std::string_view payload);  // false: it is closed now
    void close(std::string const& reason);
    void abandon();  // closes without telling the owner

    bool open() const { return open_; }
    int link() const { return link_; }
    Incarnation peer() const { return peer_; }
    Instant opened() const { return opened_; }

private:
    enum class Phase { connecting, random, header, frames, closed };
    void connected();
    void readable();
    bool read_some();
    bool parse();
    bool parse_random();
    bool parse_header();
    bool parse_frame();
    bool take_frame(std::string_view plain);
    bool take_hello(std::string_view payload);
    void send_frame(std::uint8_t kind, std::string_view payload);
    void flush();
    void tick();
    Key direction_key(NodeIndex sender, std::string_view peer_random) const;
    void drop_watches();

    Loop& loop_;
    Fd fd_;
    int link_;
    SessionIdentity identity_;
    Duration dead_;
    Owner& owner_;
    Phase phase_;
    bool open_ = false;
    Incarnation peer_ = 0;
    Instant began_, opened_, last_received_, last_sent_, tick_due_;
    std::array<std::uint8_t, 32> random_{};
    crypto_secretstream_xchacha20poly1305_state push_{}, pull_{};
    std::string in_, out_;
    std::size_t in_at_ = 0, out_at_ = 0;
    Loop::HandlePtr read_watch_, write_watch_, timer_;
};

}  // namespace clusterd
