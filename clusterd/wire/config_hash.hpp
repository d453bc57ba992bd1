// The name of a configuration: BLAKE2b-256 of its XML, byte for byte. Decisions on the wire and on disk carry only this.
#pragma once

#include "clusterd/core/spec.hpp"
#include "clusterd/core/result.hpp"

#include <string>
#include <string_view>

namespace clusterd {

Hash hash_config(std::string_view xml);

// By its text and hash alone: config/ has yet to read it.
ConfigPtr unread_config(std::string xml);

// 64 lower-case hex characters, and back: the name of a configuration's file in the state store.
std::string to_hex(Hash const& hash);
Result<Hash> hash_from_hex(std::string_view text);

}  // namespace clusterd
