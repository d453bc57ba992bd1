// The bytes of a host frame: "CH", version, type, u32 length of the body, body. See host_message.hpp.
#include "clusterd/wire/host_message.hpp"

#include "clusterd/wire/bytes.hpp"

namespace clusterd::host {
namespace {

using wire::Reader;
using wire::Writer;

constexpr std::uint8_t frame_version = 1;
constexpr std::size_t header_size = 8;
constexpr std::size_t max_name = wire::max_name;
constexpr std::size_t max_attributes = 1024;
constexpr std::size_t max_checks = 64;

void put(Writer& w, Duration d) {
    w.i64(d.count());
}
Duration duration(Reader& r) {
    return Duration{r.i64()};
}

void put(Writer& w, State const& s) {
    w.enumeration(s.state);
    w.boolean(s.restart_here);
    w.string(std::string_view(s.message).substr(0, max_text));
}
State state(Reader& r) {
    State s;
    s.state = r.enumeration(ResourceState::unknown);
    s.restart_here = r.boolean();
    s.message = r.string(max_text);
    return s;
}

void put(Writer& w, std::map<std::string, std::string> const& attributes) {
    w.count(attributes.size());
    for (auto const& [name, value] : attributes) w.string(name), w.string(value);
}
std::map<std::string, std::string> attributes(Reader& r) {
    std::map<std::string, std::string> out;
    std::size_t const n = r.count(max_attributes, 8);
    for (std::size_t i = 0; i < n && r.ok(); ++i) {
        std::string name = r.string(max_name);
        std::string value = r.string(max_frame);
        if (!out.emplace(std::move(name), std::move(value)).second) r.fail("an attribute stands there twice");
    }
    return out;
}

void body(Writer& w, Hello const& m) {
    w.u64(m.session);
}
void body(Writer& w, Configure const& m) {
    w.string(m.resource.name);
    w.string(m.resource.type);
    w.boolean(m.resource.isolate);
    put(w, m.resource.attributes);
    w.count(m.resource.health.size());
    for (HealthSpec const& h : m.resource.health) {
        w.string(h.type);
        put(w, h.every);
        put(w, h.timeout);
        put(w, h.attributes);
    }
}
void body(Writer& w, Forget const& m) {
    w.string(m.resource);
}
void body(Writer& w, Action const& m) {
    w.u64(m.ticket), w.enumeration(m.kind), w.string(m.resource), put(w, m.timeout);
}
void body(Writer& w, Checks const& m) {
    w.string(m.resource), w.boolean(m.run);
}
void body(Writer& w, Permit const& m) {
    w.instant(m.end);
}
void body(Writer& w, Ping const& m) {
    w.u64(m.id);
}
void body(Writer& w, Welcome const& m) {
    w.u64(m.session);
}
void body(Writer& w, Busy const& m) {
    w.u64(m.ticket), w.enumeration(m.kind), w.string(m.resource), put(w, m.left);
}
void body(Writer& w, ActionDone const& m) {
    w.u64(m.ticket), w.string(m.resource), put(w, m.outcome);
}
void body(Writer& w, Changed const& m) {
    w.string(m.resource), put(w, m.outcome);
}
void body(Writer& w, HealthSeen const& m) {
    w.string(m.resource), w.u32(m.check), w.enumeration(m.result), put(w, m.latency),
        w.string(std::string_view(m.message).substr(0, max_text));
}
void body(Writer& w, Pong const& m) {
    w.u64(m.id);
}
void body(Writer& w, Announce const& m) {
    w.string(m.resource), w.u32(m.times);
}
void body(Writer& w, Look const& m) {
    w.string(m.resource);
    w.count(m.elsewhere.size());
    for (auto const& mount : m.elsewhere) w.string(mount);
}
void body(Writer& w, Looked const& m) {
    w.string(m.resource);
    std::size_t const n = std::min(m.lacks.size(), max_lacks);
    w.count(n);
    for (std::size_t i = 0; i < n; ++i) w.string(std::string_view(m.lacks[i].what).substr(0, max_text)), w.string(std::string_view(m.lacks[i].todo).substr(0, max_text));
}

// Fields are read in the order they were written: hence one statement each.
void read(Reader& r, Hello& m) {
    m.session = r.u64();
}
void read(Reader& r, Configure& m) {
    m.resource.name = r.string(max_name);
    m.resource.type = r.string(max_name);
    m.resource.isolate = r.boolean();
    m.resource.attributes = attributes(r);
    std::size_t const n = r.count(max_checks, 24);
    for (std::size_t i = 0; i < n && r.ok(); ++i) {
        HealthSpec h;
        h.type = r.string(max_name);
        h.every = duration(r);
        h.timeout = duration(r);
        h.attributes = attributes(r);
        if (r.ok() && (h.every.count() <= 0 || h.timeout.count() <= 0)) r.fail("a check's pace or timeout isn't above zero");
        m.resource.health.push_back(std::move(h));
    }
}
void read(Reader& r, Forget& m) {
    m.resource = r.string(max_name);
}
void read(Reader& r, Action& m) {
    m.ticket = r.u64();
    m.kind = r.enumeration(ActionKind::prepare);
    m.resource = r.string(max_name);
    m.timeout = duration(r);
}
void read(Reader& r, Checks& m) {
    m.resource = r.string(max_name);
    m.run = r.boolean();
}
void read(Reader& r, Permit& m) {
    m.end = r.instant();
}
void read(Reader& r, Ping& m) {
    m.id = r.u64();
}
void read(Reader& r, Welcome& m) {
    m.session = r.u64();
}
void read(Reader& r, Busy& m) {
    m.ticket = r.u64();
    m.kind = r.enumeration(ActionKind::prepare);
    m.resource = r.string(max_name);
    m.left = duration(r);
}
void read(Reader& r, ActionDone& m) {
    m.ticket = r.u64();
    m.resource = r.string(max_name);
    m.outcome = state(r);
}
void read(Reader& r, Changed& m) {
    m.resource = r.string(max_name);
    m.outcome = state(r);
}
void read(Reader& r, HealthSeen& m) {
    m.resource = r.string(max_name);
    m.check = r.u32();
    m.result = r.enumeration(Health::unknown);
    m.latency = duration(r);
    m.message = r.string(max_text);
    if (m.check >= max_checks) r.fail("check " + std::to_string(m.check) + " is unknown");
}
void read(Reader& r, Pong& m) {
    m.id = r.u64();
}
void read(Reader& r, Announce& m) {
    m.resource = r.string(max_name);
    m.times = r.u32();
}
void read(Reader& r, Look& m) {
    m.resource = r.string(max_name);
    for (std::size_t n = r.count(wire::max_resources, 4); n > 0 && r.ok(); --n) m.elsewhere.push_back(r.string(max_text));
}
void read(Reader& r, Looked& m) {
    m.resource = r.string(max_name);
    for (std::size_t n = r.count(max_lacks, 8); n > 0 && r.ok(); --n) {
        Lack lack;
        lack.what = r.string(max_text);
        lack.todo = r.string(max_text);
        m.lacks.push_back(std::move(lack));
    }
}

template <std::size_t I = 0>
Result<Message> decode_as(std::size_t type, Reader& r) {
    if constexpr (I == std::variant_size_v<Message>) {
        return Error{"a host frame can't be read: type " + std::to_string(type) +
                     " is unknown (another version's worker or agent host?)"};
    } else {
        if (type != I) return decode_as<I + 1>(type, r);
        std::variant_alternative_t<I, Message> m;
        read(r, m);
        if (auto end = r.finish("a host frame"); !end) return Error{end.error()};
        return Message{std::move(m)};
    }
}

}  // namespace

Result<std::string> encode(Message const& message) {
    Writer w;
    std::visit([&](auto const& m) { body(w, m); }, message);
    if (w.size() + header_size > max_frame) {
        auto const* configure = std::get_if<Configure>(&message);
        return Error{(configure ? "resource " + configure->resource.name + ": its attributes" : "a host frame") +
                     " are too long: " + std::to_string(w.size()) + " bytes where " + std::to_string(max_frame) +
                     " are allowed; shorten the longest attribute"};
    }
    Writer frame;
    frame.raw("CH");
    frame.u8(frame_version);
    frame.u8(static_cast<std::uint8_t>(message.index()));
    frame.string(w.view());
    return frame.take();
}

Result<Message> decode(std::string_view frame) {
    if (frame.size() > max_frame)
        return Error{"a host frame can't be read: it is longer than " + std::to_string(max_frame) + " bytes"};
    Reader r(frame);
    if (r.raw(2) != "CH") return Error{"a host frame can't be read: it doesn't begin with CH"};
    if (std::uint8_t const v = r.u8(); v != frame_version) {
        return Error{"a host frame can't be read: version " + std::to_string(v) +
                     ", version 1 expected (worker and cluster-agent must be of one package)"};
    }
    std::uint8_t const type = r.u8();
    if (std::uint32_t const n = r.u32(); n != r.left()) {
        return Error{"a host frame can't be read: " + std::to_string(r.left()) + " bytes of body, " + std::to_string(n) +
                     " announced"};
    }
    return decode_as(type, r);
}

}  // namespace clusterd::host
