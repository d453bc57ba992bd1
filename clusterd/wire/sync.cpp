// See sync.hpp. Layout: "CSYN" u8 version, u8 kind (the alternative's place in SyncMessage), then the fields of core/events.hpp.
#include "clusterd/wire/sync.hpp"

#include "clusterd/wire/bytes.hpp"
#include "clusterd/wire/config_hash.hpp"
#include "clusterd/wire/report.hpp"

#include <algorithm>

namespace clusterd {
namespace {

constexpr std::string_view magic = "CSYN";
constexpr std::uint8_t version = 1;
constexpr std::size_t max_nested = 8u << 20;
constexpr std::size_t max_phases = 4096;

using wire::clip;
using wire::max_message;
using wire::max_name;
using wire::Reader;
using wire::Writer;

void write_optional(Writer& w, DecisionPtr const& d) {
    w.string(d ? encode_decision(*d) : std::string{});
}

void write(Writer& w, sync::FollowerState const& m) {
    w.u64(m.term);
    w.decision_id(m.stored);
    w.u64(m.store);
    write_optional(w, m.decision);
}
void write(Writer& w, sync::StoreDecision const& m) {
    w.u64(m.term);
    write_optional(w, m.decision);
}
void write(Writer& w, sync::DecisionStored const& m) {
    w.u64(m.term);
    w.decision_id(m.id);
}
void write(Writer& w, Report const& m) {
    w.string(encode_report(m));
}
void write(Writer& w, sync::CommandForward const& m) {
    w.string(clip(m.command.id, max_name));
    w.enumeration(m.command.verb);
    w.string(clip(m.command.target, max_name));
    w.string(clip(m.command.to, max_name));
    w.boolean(m.command.drain);
    w.boolean(m.command.failback);
    w.string(clip(m.command.user, max_name));
    if (m.command.verb == Verb::maintenance) w.boolean(m.command.on), w.i64(m.command.for_ms);
    if (m.command.verb == Verb::apply) {
        w.bytes(m.command.base);
        w.string(m.command.config ? m.command.config->xml : std::string());
    }
    if (!m.command.reason.empty() || m.command.confirm_ms != 0) w.string(clip(m.command.reason, max_message)), w.i64(m.command.confirm_ms);  // left out where there is none: a clusterd that doesn't know it still reads the rest
}
void write(Writer& w, sync::CommandAnswer const& m) {
    w.string(clip(m.id, max_name));
    w.boolean(m.accepted);
    w.decision_id(m.under);
    w.string(clip(m.message, max_message));
}
void write(Writer& w, sync::History const& m) {
    FailoverRecord const& f = m.record;
    w.string(clip(f.id, max_name));
    w.string(clip(f.group, max_name));
    w.string(clip(f.from, max_name));
    w.string(clip(f.to, max_name));
    w.string(clip(f.cause, max_message));
    w.i64(f.start_wall_ms);
    std::size_t const phases = std::min(f.phases.size(), max_phases);
    w.count(phases);
    for (std::size_t i = 0; i < phases; ++i) w.string(clip(f.phases[i].name, max_message)), w.i64(f.phases[i].ms);
}

std::optional<DecodedDecision> read_optional(Reader& r) {
    std::string const bytes = r.string(max_nested);
    if (bytes.empty()) return std::nullopt;
    auto decoded = decode_decision(bytes);
    if (!decoded) {
        r.fail(decoded.error());
        return std::nullopt;
    }
    return std::move(*decoded);
}

void read(Reader& r, sync::FollowerState& m, DecodedSync& out) {
    m.term = r.u64();
    m.stored = r.decision_id();
    m.store = r.u64();
    out.decision = read_optional(r);
}
void read(Reader& r, sync::StoreDecision& m, DecodedSync& out) {
    m.term = r.u64();
    out.decision = read_optional(r);
    if (!out.decision) r.fail("an order to store a decision without the decision");
}
void read(Reader& r, sync::DecisionStored& m, DecodedSync&) {
    m.term = r.u64();
    m.id = r.decision_id();
}
void read(Reader& r, Report& m, DecodedSync&) {
    auto report = decode_report(r.string(max_nested));
    if (!report)
        r.fail(report.error());
    else
        m = std::move(*report);
}
void read(Reader& r, sync::CommandForward& m, DecodedSync&) {
    m.command.id = r.string(max_name);
    m.command.verb = r.enumeration(Verb::confirm);
    m.command.target = r.string(max_name);
    m.command.to = r.string(max_name);
    m.command.drain = r.boolean();
    m.command.failback = r.boolean();
    m.command.user = r.string(max_name);
    if (m.command.verb == Verb::maintenance) {
        m.command.on = r.boolean();
        m.command.for_ms = r.i64();
    }
    if (m.command.verb == Verb::apply) {
        m.command.base = r.bytes<32>();
        m.command.config = unread_config(r.string(max_nested));
    }
    if (r.left() == 0) return;
    m.command.reason = r.string(max_message);
    m.command.confirm_ms = r.i64();
}
void read(Reader& r, sync::CommandAnswer& m, DecodedSync&) {
    m.id = r.string(max_name);
    m.accepted = r.boolean();
    m.under = r.decision_id();
    m.message = r.string(max_message);
}
void read(Reader& r, sync::History& m, DecodedSync&) {
    FailoverRecord& f = m.record;
    f.id = r.string(max_name);
    f.group = r.string(max_name);
    f.from = r.string(max_name);
    f.to = r.string(max_name);
    f.cause = r.string(max_message);
    f.start_wall_ms = r.i64();
    for (std::size_t n = r.count(max_phases, 12); n > 0 && r.ok(); --n) {
        Phase p;
        p.name = r.string(max_message);
        p.ms = r.i64();
        f.phases.push_back(std::move(p));
    }
}

// Makes the alternative with that number and reads it; false: there is no such number.
template <std::size_t I = 0>
bool read_kind(std::uint8_t kind, Reader& r, DecodedSync& out) {
    if constexpr (I == std::variant_size_v<SyncMessage>) {
        return false;
    } else {
        if (kind != I) return read_kind<I + 1>(kind, r, out);
        read(r, out.message.emplace<I>(), out);
        return true;
    }
}

}  // namespace

std::string encode_sync(SyncMessage const& message) {
    Writer w;
    w.raw(magic);
    w.u8(version);
    w.u8(static_cast<std::uint8_t>(message.index()));
    std::visit([&w](auto const& m) { write(w, m); }, message);
    return w.take();
}

Result<DecodedSync> decode_sync(std::string_view bytes) {
    Reader r(bytes);
    if (r.raw(magic.size()) != magic) return Error{"a sync message can't be read: it doesn't begin as one"};
    if (std::uint8_t const v = r.u8(); r.ok() && v != version)
        return Error{"a sync message can't be read: it is of version " + std::to_string(v) + ", this program knows version " +
                     std::to_string(version) + "; install the same clusterd on both nodes"};
    DecodedSync out;
    if (std::uint8_t const kind = r.u8(); r.ok() && !read_kind(kind, r, out))
        r.fail("kind " + std::to_string(kind) + " is unknown");
    if (auto const end = r.finish("a sync message"); !end) return Error{end.error()};
    return out;
}

DecisionPtr decision_in(SyncMessage const& message) {
    if (auto const* m = std::get_if<sync::FollowerState>(&message)) return m->decision;
    if (auto const* m = std::get_if<sync::StoreDecision>(&message)) return m->decision;
    return nullptr;
}

void set_decision(SyncMessage& message, DecisionPtr decision) {
    if (auto* m = std::get_if<sync::FollowerState>(&message)) m->decision = std::move(decision);
    if (auto* m = std::get_if<sync::StoreDecision>(&message)) m->decision = std::move(decision);
}

}  // namespace clusterd
