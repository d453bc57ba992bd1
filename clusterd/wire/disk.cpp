#include "clusterd/wire/disk.hpp"

#include "clusterd/wire/seal.hpp"

namespace clusterd {

namespace {

constexpr std::string_view header_magic = "clusterd";
constexpr std::string_view area_magic = "clusarea";
constexpr std::uint32_t version = 1;
constexpr char newer_elsewhere[] = "; install the same clusterd on both nodes";
constexpr std::size_t header_checksum_at = disk_block - 32;
constexpr std::size_t area_mac_at = area_header_bytes - 32;
constexpr std::uint64_t max_area = 1u << 30;

constexpr std::uint64_t whole_blocks(std::uint64_t n) { return (n + disk_block - 1) / disk_block * disk_block; }

std::string name_of(AreaKind kind, NodeIndex node) {
    return std::string("a ") + (kind == AreaKind::decision ? "decision" : "configuration") + " area of node " + (node == NodeIndex::a ? "1" : "2");
}

}  // namespace

DiskGeometry geometry_for(std::uint64_t disk_bytes) {
    DiskGeometry large;
    large.decision_area = 4u << 20;
    large.config_area = 8u << 20;
    return disk_bytes < (64u << 20) ? DiskGeometry{} : large;
}

std::string encode_disk_header(DiskHeader const& header) {
    wire::Writer w;
    w.raw(header_magic);
    w.u32(version);
    w.bytes(header.uuid);
    w.u64(header.disk);
    w.u64(header.geometry.decision_area);
    w.u64(header.geometry.config_area);
    w.i64(header.created_wall_ms);
    w.string(std::string_view(header.cluster).substr(0, max_cluster_name));
    std::string out = w.take();
    out.resize(header_checksum_at, '\0');
    Hash const sum = wire::blake2b(out);
    out.append(reinterpret_cast<char const*>(sum.data()), sum.size());
    return out;
}

bool looks_like_disk_header(std::string_view block) { return block.substr(0, header_magic.size()) == header_magic; }

Result<DiskHeader> decode_disk_header(std::string_view block) {
    if (block.size() < disk_block) return Error{"the header has " + std::to_string(block.size()) + " bytes, not " + std::to_string(disk_block)};
    block = block.substr(0, disk_block);
    if (!looks_like_disk_header(block)) return Error{"no header of a quorum disk is there"};
    if (!wire::same(wire::blake2b(block.substr(0, header_checksum_at)), block.substr(header_checksum_at)))
        return Error{"the header is damaged (bad checksum)"};
    wire::Reader r(block.substr(0, header_checksum_at));
    r.raw(header_magic.size());
    if (std::uint32_t const v = r.u32(); v != version)
        r.fail("its format is version " + std::to_string(v) + ", this program reads " + std::to_string(version) + newer_elsewhere);
    DiskHeader h;
    h.uuid = r.bytes<16>();
    h.disk = r.u64();
    h.geometry.decision_area = r.u64();
    h.geometry.config_area = r.u64();
    h.created_wall_ms = r.i64();
    h.cluster = r.string(max_cluster_name);
    if (r.ok() && h.disk == 0) r.fail("the disk has no id");
    for (auto const size : {h.geometry.decision_area, h.geometry.config_area})
        if (r.ok() && (size % disk_block != 0 || size < disk_block || size > max_area)) r.fail("an area of " + std::to_string(size) + " bytes is impossible");
    if (!all_zero(r.raw(r.left()))) r.fail("its unused bytes aren't zero");
    if (auto const end = r.finish("the quorum disk's header"); !end) return Error{end.error()};
    return h;
}

std::string encode_area(AreaHeader header, std::string_view content, DiskBinding const& on, NodeIndex node, Key const& key) {
    header.length = content.size();
    header.checksum = wire::blake2b(content);
    wire::Writer w;
    w.raw(area_magic);
    w.u32(version);
    w.enumeration(header.kind);
    w.enumeration(node);
    w.u8(header.area);
    w.decision_id(header.id);
    w.bytes(header.config);
    w.u64(header.length);
    w.bytes(header.checksum);
    std::string out = w.take();
    out.resize(area_mac_at, '\0');
    Hash const mac = wire::mac_of("area", on, node, out, key);  // over the checksum, so over the content
    out.append(reinterpret_cast<char const*>(mac.data()), mac.size());
    out.append(content);
    out.resize(whole_blocks(out.size()), '\0');
    return out;
}

Result<AreaHeader> decode_area_header(std::string_view bytes, std::uint64_t area_size, DiskBinding const& on, NodeIndex node, Key const* key) {
    if (bytes.size() < area_header_bytes) return Error{"an area's header has " + std::to_string(bytes.size()) + " bytes, not " + std::to_string(area_header_bytes)};
    bytes = bytes.substr(0, area_header_bytes);
    if (bytes.substr(0, area_magic.size()) != area_magic) return Error{"nothing was written there"};
    if (key && !wire::same(wire::mac_of("area", on, node, bytes.substr(0, area_mac_at), *key), bytes.substr(area_mac_at)))
        return Error{"it has a bad MAC: damaged, written with another key, or copied from another place"};
    wire::Reader r(bytes.substr(0, area_mac_at));
    r.raw(area_magic.size());
    if (std::uint32_t const v = r.u32(); v != version)
        r.fail("its format is version " + std::to_string(v) + ", this program reads " + std::to_string(version) + newer_elsewhere);
    AreaHeader h;
    h.kind = r.enumeration(AreaKind::config);
    if (r.ok() && h.kind != AreaKind::decision && h.kind != AreaKind::config) r.fail("an area of kind 0");
    if (r.node() != node) r.fail("it is the other node's");
    h.area = r.u8();
    if (h.area > 1) r.fail("area " + std::to_string(h.area) + " where there are 0 and 1");
    h.id = r.decision_id();
    h.config = r.bytes<32>();
    h.length = r.u64();
    h.checksum = r.bytes<32>();
    if (area_size < area_header_bytes || h.length > area_size - area_header_bytes)
        r.fail(std::to_string(h.length) + " bytes can't be in an area of " + std::to_string(area_size));
    if (!all_zero(r.raw(r.left()))) r.fail("its unused bytes aren't zero");
    if (auto const end = r.finish(name_of(h.kind, node).c_str()); !end) return Error{end.error()};
    return h;
}

std::size_t area_read_bytes(AreaHeader const& header) { return whole_blocks(area_header_bytes + header.length); }

Result<std::string_view> decode_area_content(std::string_view bytes, AreaHeader const& header) {
    if (bytes.size() < area_header_bytes || bytes.size() - area_header_bytes < header.length) return Error{"the area's content ends early"};
    std::string_view const content = bytes.substr(area_header_bytes, header.length);
    if (wire::blake2b(content) != header.checksum) return Error{"the area's content is damaged (bad checksum)"};
    return content;
}

std::string uuid_text(Uuid const& uuid) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
        out += digits[uuid[i] >> 4];
        out += digits[uuid[i] & 15];
    }
    return out;
}

}  // namespace clusterd
