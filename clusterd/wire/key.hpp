// The key that the pair shares, and what is derived from it. Whoever has it is a node of the cluster; so the file that holds it is
// 0600, and anything else is refused before the daemon does anything.
#pragma once

#include "clusterd/core/result.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace clusterd {

struct Key {
    std::array<std::uint8_t, 32> bytes{};
    bool operator==(Key const&) const = default;
};

// No key is used for two things: each purpose has one derived from the cluster's.
enum class Purpose : std::uint8_t { heartbeat = 1, sync = 2, quorum_disk = 3 };
Key subkey(Key const& cluster_key, Purpose purpose);

// The file holds 64 hex characters and a newline. Refused: missing, anything else in it, readable or writable for group or others,
// owned by neither root nor this user. The message says what to do.
Result<Key> load_key(std::string const& path);

Key random_key();
std::string new_key_text();                       // what a new key file holds
Result<Done> write_key(std::string const& path);  // a new random key; 0600; never overwrites

}  // namespace clusterd
