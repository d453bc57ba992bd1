// A heartbeat as a sealed packet: XChaCha20-Poly1305 under a key derived from the cluster's.
//
// Layout, little-endian: header {"CHB" u8 version, cluster tag 16, sender u8, link u8, incarnation u64, counter u64}, nonce 24,
// the encrypted fields (fixed size), tag 16. The header is the associated data: it can be read before the packet is opened, and
// nothing of it can be changed. Used by link/ only.
#pragma once

#include "clusterd/core/heartbeat.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/wire/key.hpp"

#include <string>
#include <string_view>

namespace clusterd {

// Names the cluster in the open, before its UUID is known: the start of BLAKE2b of its name.
using ClusterTag = std::array<std::uint8_t, 16>;
ClusterTag cluster_tag(std::string_view cluster_name);

struct HeartbeatHeader {
    ClusterTag cluster{};
    NodeIndex from = NodeIndex::a;
    std::uint8_t link = 0;  // on which it was sent: one recorded on a link doesn't count on another
    Incarnation incarnation = 0;
    std::uint64_t counter = 0;  // of the incarnation; rises with every packet sent
    bool operator==(HeartbeatHeader const&) const = default;
};

inline constexpr std::size_t max_heartbeat_packet = 300;

// `from` and `incarnation` are the heartbeat's own. `key`: subkey(.., Purpose::heartbeat).
std::string seal_heartbeat(Heartbeat const& heartbeat, ClusterTag const& cluster, int link, std::uint64_t counter, Key const& key);

// What the packet says of itself: not proved by anything yet.
Result<HeartbeatHeader> read_heartbeat_header(std::string_view packet);
// The heartbeat, if the packet was sealed under `key` and not a bit of it was changed.
Result<Heartbeat> open_heartbeat(std::string_view packet, Key const& key);

}  // namespace clusterd
