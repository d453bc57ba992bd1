// The files of the state store as bytes. Used by store.cpp only.
//
// The commit record says what counts: the terms, and which copy of the decision, by its hash. It fills a 512-byte sector and stands
// in a block eight times, in each of two files written in turn. Sectors are written whole or not at all, so of a torn block every
// sector is still right, old or new; a block without one right sector was damaged, not torn.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace clusterd::store {

inline constexpr std::size_t sector = 512;
inline constexpr std::size_t block = 4096;

struct Commit {
    std::uint64_t sequence = 0;
    Terms terms;
    std::uint8_t copy = 0;      // decision.N
    std::uint64_t length = 0;   // of the decision; 0 = none was ever stored
    Hash decision{};            // BLAKE2b-256 of its bytes
    bool operator==(Commit const&) const = default;
};
std::string encode_commit(Commit const& commit);  // one block
struct CommitBlock {
    std::optional<Commit> newest;  // of the right sectors
    int right = 0;                 // of eight
    bool mixed = false;            // right ones of two writes: torn
    std::uint32_t newer = 0;       // a whole sector is of this format, which is another than ours; 0: none is
};
CommitBlock decode_commit(std::string_view bytes);

// `store`: who this store is.
std::string encode_identity(StoreId id);  // one block
Result<StoreId> decode_identity(std::string_view bytes);

// `decision.N`: [magic, version, length, BLAKE2b-256] and the encoded decision.
inline constexpr std::size_t decision_header_bytes = 64;
inline constexpr std::size_t max_decision = 64u << 20;
std::string encode_decision_file(std::string_view decision);
Result<std::string_view> decode_decision_file(std::string_view bytes, Commit const& named);

Hash hash_of(std::string_view bytes);

std::string another_version(std::uint32_t found);  // why a record of that format isn't read, and what to do

}  // namespace clusterd::store
