#include "clusterd/wire/slot.hpp"

#include "clusterd/wire/seal.hpp"

#include <algorithm>

namespace clusterd {

namespace {

// [fields, zeros | checksum 32 | MAC 32]
constexpr std::string_view magic = "clusslot";
constexpr std::uint32_t version = 1;
constexpr char newer_elsewhere[] = "; install the same clusterd on both nodes";
constexpr std::size_t checksum_at = slot_bytes - 64;
constexpr std::size_t mac_at = slot_bytes - 32;

std::string slot_of(NodeIndex node) { return std::string("the slot of node ") + (node == NodeIndex::a ? "1" : "2"); }

}  // namespace

bool all_zero(std::string_view bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

std::string encode_slot(Slot const& slot, DiskBinding const& on, NodeIndex node, Key const& key) {
    wire::Writer w;
    w.raw(magic);
    w.u32(version);
    w.enumeration(node);
    w.enumeration(slot.state);
    w.u8(slot.area);
    w.u64(slot.incarnation);
    w.u64(slot.beat);
    w.u64(slot.alone_term);
    w.u64(slot.stopped_term);
    w.decision_id(slot.newest);
    w.i64(slot.wall_ms);
    std::string out = w.take();
    out.resize(checksum_at, '\0');
    Hash const sum = wire::blake2b(out);
    out.append(reinterpret_cast<char const*>(sum.data()), sum.size());
    Hash const mac = wire::mac_of("slot", on, node, out, key);
    out.append(reinterpret_cast<char const*>(mac.data()), mac.size());
    return out;
}

Result<Slot> decode_slot(std::string_view bytes, DiskBinding const& on, NodeIndex node, Key const* key) {
    if (bytes.size() != slot_bytes)
        return Error{slot_of(node) + " has " + std::to_string(bytes.size()) + " bytes, not " + std::to_string(slot_bytes)};
    if (all_zero(bytes)) return Slot{};
    if (!wire::same(wire::blake2b(bytes.substr(0, checksum_at)), bytes.substr(checksum_at, 32)))
        return Error{slot_of(node) + " is damaged (bad checksum)"};
    if (key && !wire::same(wire::mac_of("slot", on, node, bytes.substr(0, mac_at), *key), bytes.substr(mac_at)))
        return Error{slot_of(node) + " has a bad MAC: it was written with another key, or copied from another place"};
    wire::Reader r(bytes.substr(0, checksum_at));
    if (r.raw(magic.size()) != magic) r.fail("it doesn't begin as a slot does");
    if (std::uint32_t const v = r.u32(); v != version)
        r.fail("its format is version " + std::to_string(v) + ", this program reads " + std::to_string(version) + newer_elsewhere);
    if (r.node() != node) r.fail("it is the other node's");
    Slot slot;
    slot.state = r.enumeration(Role::alone);  // there is no `joined` on disk
    slot.area = r.u8();
    if (slot.area > 1) r.fail("it names area " + std::to_string(slot.area) + ", there are 0 and 1");
    slot.incarnation = r.u64();
    slot.beat = r.u64();
    slot.alone_term = r.u64();
    slot.stopped_term = r.u64();
    slot.newest = r.decision_id();
    slot.wall_ms = r.i64();
    if (!all_zero(r.raw(r.left()))) r.fail("its unused bytes aren't zero");
    if (auto const end = r.finish(slot_of(node).c_str()); !end) return Error{end.error()};
    return slot;
}

}  // namespace clusterd
