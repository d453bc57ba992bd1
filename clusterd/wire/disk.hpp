// How the quorum disk is laid out, and its header and areas as bytes. Used by quorum/.
//
//   0      header: one 4096-byte block
//   4096   the first node's slot, 8192 the second's (slot.hpp)
//   12288  per node: two decision areas, two configuration areas; their sizes stand in the header
//
// An area is written before the slot that names it, alternating, so a torn one is never named. A configuration stands in the
// node's own configuration areas under its hash; the decision names the hash.
#pragma once

#include "clusterd/wire/slot.hpp"

#include <cstdint>

namespace clusterd {

inline constexpr std::size_t disk_block = 4096;
inline constexpr std::size_t disk_front_bytes = 3 * disk_block;  // header and both slots: one read
inline constexpr std::uint64_t min_disk_bytes = 8u << 20;
inline constexpr std::size_t max_cluster_name = 200;

struct DiskGeometry {
    std::uint64_t decision_area = 512u << 10;
    std::uint64_t config_area = 1u << 20;

    std::uint64_t slot(NodeIndex n) const { return disk_block * (1 + at(n)); }
    std::uint64_t decision(NodeIndex n, std::uint8_t area) const { return disk_front_bytes + at(n) * per_node() + area * decision_area; }
    std::uint64_t config(NodeIndex n, std::uint8_t area) const {
        return disk_front_bytes + at(n) * per_node() + 2 * decision_area + area * config_area;
    }
    std::uint64_t total() const { return disk_front_bytes + 2 * per_node(); }
    bool operator==(DiskGeometry const&) const = default;

private:
    std::uint64_t per_node() const { return 2 * decision_area + 2 * config_area; }
};
// The areas for a disk of so many bytes (at least min_disk_bytes).
DiskGeometry geometry_for(std::uint64_t disk_bytes);

struct DiskHeader {
    std::string cluster;
    Uuid uuid{};       // the cluster's
    StoreId disk = 0;  // this disk's own, drawn by `quorum init`
    DiskGeometry geometry;
    std::int64_t created_wall_ms = 0;
    DiskBinding binding() const { return {uuid, disk}; }
    bool operator==(DiskHeader const&) const = default;
};

std::string encode_disk_header(DiskHeader const& header);  // one block
Result<DiskHeader> decode_disk_header(std::string_view block);
// Whether it begins as a header of ours does, right or damaged. If not, the disk is uninitialised.
bool looks_like_disk_header(std::string_view block);

enum class AreaKind : std::uint8_t { decision = 1, config = 2 };

// The first block of an area holds this, and the content's beginning.
struct AreaHeader {
    AreaKind kind = AreaKind::decision;
    std::uint8_t area = 0;
    DecisionId id;        // of a decision; {0,0} of a configuration
    Hash config{};        // a decision: the configuration it names; a configuration: its own name
    std::uint64_t length = 0;  // of the content
    Hash checksum{};           // of the content, filled in by encode_area
    bool operator==(AreaHeader const&) const = default;
};
inline constexpr std::size_t area_header_bytes = 256;

// Header and content, padded to whole blocks; the header's length and checksum come from the content.
std::string encode_area(AreaHeader header, std::string_view content, DiskBinding const& on, NodeIndex node, Key const& key);
// `bytes`: the area's first area_header_bytes at least. The length is checked against `area_size`.
Result<AreaHeader> decode_area_header(std::string_view bytes, std::uint64_t area_size, DiskBinding const& on, NodeIndex node, Key const* key);
// `bytes`: at least header and content.
Result<std::string_view> decode_area_content(std::string_view bytes, AreaHeader const& header);
// How many bytes to read for it, in whole blocks.
std::size_t area_read_bytes(AreaHeader const& header);

std::string uuid_text(Uuid const& uuid);  // 8-4-4-4-12 hex

}  // namespace clusterd
