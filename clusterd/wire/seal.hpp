// Checksums and MACs of what stands on the quorum disk. Only for slot.cpp and disk.cpp.
//
// The checksum says "damaged" where no key is at hand; the MAC says "not written by this pair, at this place".
#pragma once

#include "clusterd/wire/bytes.hpp"
#include "clusterd/wire/slot.hpp"

#include <sodium.h>

namespace clusterd::wire {

inline unsigned char const* data_of(std::string_view v) { return reinterpret_cast<unsigned char const*>(v.data()); }

inline Hash blake2b(std::string_view content) {
    Hash h{};
    crypto_generichash(h.data(), h.size(), data_of(content), content.size(), nullptr, 0);
    return h;
}

// Keyed BLAKE2b over what it is, where it belongs and the content.
inline Hash mac_of(std::string_view kind, DiskBinding const& on, NodeIndex node, std::string_view content, Key const& key) {
    Writer place;
    place.string(kind);
    place.bytes(on.cluster);
    place.u64(on.disk);
    place.enumeration(node);
    Hash mac{};
    crypto_generichash_state state;
    crypto_generichash_init(&state, key.bytes.data(), key.bytes.size(), mac.size());
    crypto_generichash_update(&state, data_of(place.view()), place.size());
    crypto_generichash_update(&state, data_of(content), content.size());
    crypto_generichash_final(&state, mac.data(), mac.size());
    return mac;
}

inline bool same(Hash const& a, std::string_view b) { return b.size() == a.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace clusterd::wire
