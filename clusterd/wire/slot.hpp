// A node's slot on the quorum disk as bytes: 512 of them, authenticated, so that a torn, foreign, copied or forged slot is never
// taken for a free one. Used by quorum/ (the daemon's thread, `quorum show`).
#pragma once

#include "clusterd/core/heartbeat.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/wire/key.hpp"

#include <string>
#include <string_view>

namespace clusterd {

inline constexpr std::size_t slot_bytes = 512;  // one sector of any disk: its write is atomic

// What every slot and area is bound to: bytes copied from another cluster's disk, or from an earlier disk of this one, are bad.
struct DiskBinding {
    Uuid cluster{};
    StoreId disk = 0;
};

// `key` is subkey(cluster key, Purpose::quorum_disk).
std::string encode_slot(Slot const& slot, DiskBinding const& on, NodeIndex node, Key const& key);

// All zeros: a slot never written, a default Slot. Anything else must be right in every byte. Without a key (null) only the
// checksum is looked at: for people who look at a disk, never for the daemon.
Result<Slot> decode_slot(std::string_view bytes, DiskBinding const& on, NodeIndex node, Key const* key);

bool all_zero(std::string_view bytes);

}  // namespace clusterd
