// See decision.hpp. Layout: "CDEC" u8 version, then the fields in the order of core/decision.hpp; lists with a u32 count.
// Version 2 has the resources that make way and the groups in maintenance behind it all, version 3 the configuration's origin and what
// comes back unless it is confirmed behind these; without any of it, the lower version is written, which an older clusterd reads.
#include "clusterd/wire/decision.hpp"

#include "clusterd/wire/bytes.hpp"

#include <algorithm>

namespace clusterd {
namespace {

constexpr std::string_view magic = "CDEC";
constexpr std::uint8_t version = 1, version_more = 2, version_origin = 3;

constexpr std::size_t least_group = 28;  // bytes: an empty name, four of one byte each, and five empty lists or texts

enum : std::uint8_t { wanted_online = 1, away_by_failure = 2, has_draining_to = 4, has_drained_from = 8, all_flags = 15 };

void write_orders(wire::Writer& w, std::map<std::string, std::uint64_t> const& orders) {
    w.count(orders.size());
    for (auto const& [resource, counter] : orders) w.string(resource), w.u64(counter);
}

void write_group(wire::Writer& w, GroupDecision const& g) {
    // A new field doesn't compile.
    auto const& [owner, wanted, held, draining_to, cause, away, drained_from, failovers, maintenance_until, fail_orders, reset_orders] = g;
    (void)maintenance_until;  // behind all groups
    w.enumeration(owner);
    w.u8(static_cast<std::uint8_t>((wanted ? wanted_online : 0) | (away ? away_by_failure : 0) |
                                   (draining_to ? has_draining_to : 0) | (drained_from ? has_drained_from : 0)));
    w.enumeration(draining_to.value_or(NodeIndex::a));
    w.enumeration(drained_from.value_or(NodeIndex::a));
    w.count(held.size());
    for (auto const& resource : held) w.string(resource);
    w.string(wire::clip(cause, wire::max_message));
    // The ledger is bounded by the failover limit in practice; were it not, its newest entries are the ones that count.
    std::size_t const skip = failovers.size() > wire::max_ledger ? failovers.size() - wire::max_ledger : 0;
    w.count(failovers.size() - skip);
    for (std::size_t i = skip; i < failovers.size(); ++i) {
        w.i64(failovers[i].wall_ms);
        w.enumeration(failovers[i].from);
        w.string(failovers[i].resource);
    }
    write_orders(w, fail_orders);
    write_orders(w, reset_orders);
}

std::map<std::string, std::uint64_t> read_orders(wire::Reader& r) {
    std::map<std::string, std::uint64_t> orders;
    for (std::size_t n = r.count(wire::max_resources, 12); n > 0 && r.ok(); --n) {
        std::string name = r.string(wire::max_name);
        orders[std::move(name)] = r.u64();
    }
    return orders;
}

GroupDecision read_group(wire::Reader& r) {
    GroupDecision g;
    g.owner = r.node();
    std::uint8_t const flags = r.u8();
    if (flags > all_flags) r.fail("unknown flags of a group");
    g.wanted_online = flags & wanted_online;
    g.away_by_failure = flags & away_by_failure;
    NodeIndex const draining_to = r.node();
    NodeIndex const drained_from = r.node();
    if (flags & has_draining_to) g.draining_to = draining_to;
    if (flags & has_drained_from) g.drained_from = drained_from;
    for (std::size_t n = r.count(wire::max_resources, 4); n > 0 && r.ok(); --n) g.held_offline.insert(r.string(wire::max_name));
    g.cause = r.string(wire::max_message);
    for (std::size_t n = r.count(wire::max_ledger, 13); n > 0 && r.ok(); --n) {
        LedgerEntry e;
        e.wall_ms = r.i64();
        e.from = r.node();
        e.resource = r.string(wire::max_name);
        g.failovers.push_back(std::move(e));
    }
    g.fail_orders = read_orders(r);
    g.reset_orders = read_orders(r);
    return g;
}

}  // namespace

std::string encode_decision(Decision const& d) {
    wire::Writer w;
    w.raw(magic);
    auto const& [id, cluster, stores, groups, making_way, paused, losses, origin, unconfirmed, config] = d;
    auto const maintained = static_cast<std::size_t>(std::count_if(groups.begin(), groups.end(), [](auto const& g) { return g.second.maintenance_until != 0; }));
    bool const has_origin = origin != ConfigOrigin{} || unconfirmed != Unconfirmed{};
    bool const more = has_origin || !making_way.empty() || maintained != 0;
    w.u8(has_origin ? version_origin : more ? version_more : version);
    w.decision_id(id);
    w.bytes(cluster);
    for (StoreId const store : stores) w.u64(store);
    for (bool const p : paused) w.boolean(p);
    for (auto const& times : losses) {
        std::size_t const skip = times.size() > wire::max_ledger ? times.size() - wire::max_ledger : 0;
        w.count(times.size() - skip);
        for (std::size_t i = skip; i < times.size(); ++i) w.i64(times[i]);
    }
    w.bytes(config ? config->hash : Hash{});
    w.count(groups.size());
    for (auto const& [name, group] : groups) w.string(name), write_group(w, group);
    if (!more) return w.take();
    w.count(making_way.size());
    for (auto const& resource : making_way) w.string(resource);
    w.count(maintained);
    for (auto const& [name, group] : groups)
        if (group.maintenance_until != 0) w.string(name), w.i64(group.maintenance_until);
    if (!has_origin) return w.take();
    w.u64(origin.revision);
    w.i64(origin.wall_ms);
    w.string(wire::clip(origin.user, wire::max_name));
    w.string(wire::clip(origin.reason, wire::max_message));
    w.i64(unconfirmed.until_wall_ms);
    w.i64(unconfirmed.for_ms);
    w.string(unconfirmed.previous_xml);
    return w.take();
}

Result<DecodedDecision> decode_decision(std::string_view bytes) {
    wire::Reader r(bytes);
    if (r.raw(magic.size()) != magic) return Error{"a decision can't be read: it doesn't begin as one"};
    std::uint8_t const v = r.u8();
    if (r.ok() && (v < version || v > version_origin))
        return Error{"a decision can't be read: it is of version " + std::to_string(v) + ", this program knows versions up to " +
                     std::to_string(version_origin) + "; install the same clusterd on both nodes"};
    DecodedDecision out;
    Decision& d = out.decision;
    d.id = r.decision_id();
    d.cluster = r.bytes<16>();
    for (StoreId& store : d.stores) store = r.u64();
    for (bool& paused : d.paused) paused = r.boolean();
    for (auto& times : d.losses)
        for (std::size_t n = r.count(wire::max_ledger, 8); n > 0 && r.ok(); --n) times.push_back(r.i64());
    out.config = r.bytes<32>();
    for (std::size_t n = r.count(wire::max_groups, least_group); n > 0 && r.ok(); --n) {
        std::string name = r.string(wire::max_name);
        d.groups[std::move(name)] = read_group(r);
    }
    if (v >= version_more) {
        for (std::size_t n = r.count(wire::max_resources, 4); n > 0 && r.ok(); --n) d.making_way.insert(r.string(wire::max_name));
        for (std::size_t n = r.count(wire::max_groups, 12); n > 0 && r.ok(); --n) {
            auto const group = d.groups.find(r.string(wire::max_name));
            std::int64_t const until = r.i64();
            if (r.ok() && (group == d.groups.end() || until == 0)) r.fail("a group in maintenance that there isn't");
            else if (r.ok()) group->second.maintenance_until = until;
        }
    }
    if (v >= version_origin) {
        d.origin.revision = r.u64();
        d.origin.wall_ms = r.i64();
        d.origin.user = r.string(wire::max_name);
        d.origin.reason = r.string(wire::max_message);
        d.unconfirmed.until_wall_ms = r.i64();
        d.unconfirmed.for_ms = r.i64();
        d.unconfirmed.previous_xml = r.string(longest_unconfirmed_xml);
        if (r.ok() && (d.unconfirmed.until_wall_ms < 0 || d.unconfirmed.for_ms < 0 || (d.unconfirmed.until_wall_ms == 0) != d.unconfirmed.previous_xml.empty()))
            r.fail("a configuration that waits for a word, and none that would come back, or the other way round");
    }
    if (auto const end = r.finish("a decision"); !end) return Error{end.error()};
    return out;
}

}  // namespace clusterd
