// Writes and reads the status document, field by field.
#include "clusterd/wire/status.hpp"

#include "clusterd/wire/json_fields.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>

namespace clusterd {
namespace {

using namespace json_fields;

template <class E>
struct Spelling {
    E value;
    std::string_view text;
};
template <class E>
Spelling(E, char const*) -> Spelling<E>;  // clang 14, the fuzz targets' compiler, derives none for an aggregate

constexpr std::array resource_states{
    Spelling{ResourceState::offline, "offline"}, Spelling{ResourceState::online_pending, "online-pending"},
    Spelling{ResourceState::online, "online"},   Spelling{ResourceState::offline_pending, "offline-pending"},
    Spelling{ResourceState::failed, "failed"},   Spelling{ResourceState::unknown, "unknown"},
};
constexpr std::array group_states{
    Spelling{GroupState::offline, "offline"}, Spelling{GroupState::online_pending, "online-pending"},
    Spelling{GroupState::online, "online"},   Spelling{GroupState::offline_pending, "offline-pending"},
    Spelling{GroupState::failed, "failed"},   Spelling{GroupState::partial_online, "partial-online"},
    Spelling{GroupState::unknown, "unknown"},
};
constexpr std::array node_states{
    Spelling{NodeState::up, "up"},         Spelling{NodeState::seeking, "seeking"}, Spelling{NodeState::down, "down"},
    Spelling{NodeState::paused, "paused"}, Spelling{NodeState::unknown, "unknown"},
};
constexpr std::array quorum_states{
    Spelling{QuorumState::ok, "ok"},         Spelling{QuorumState::slow, "slow"},
    Spelling{QuorumState::failed, "failed"}, Spelling{QuorumState::uninitialised, "uninitialised"},
    Spelling{QuorumState::none, "none"},
};
constexpr std::array permit_sources{
    Spelling{PermitSource::none, "none"},
    Spelling{PermitSource::joined, "joined"},
    Spelling{PermitSource::alone, "alone"},
};
constexpr std::array healths{
    Spelling{Health::none, "none"},     Spelling{Health::ok, "ok"},           Spelling{Health::degraded, "degraded"},
    Spelling{Health::failed, "failed"}, Spelling{Health::unknown, "unknown"},
};
constexpr std::array roles{
    Spelling{Role::seeking, "seeking"},
    Spelling{Role::alone, "alone"},
    Spelling{Role::joined, "joined"},
};

template <class Table, class E>
std::string_view spelt(Table const& table, E value) {
    for (auto const& s : table) {
        if (s.value == value) return s.text;
    }
    return "unknown";  // no table lacks a value; a wrong cast shall not crash a status
}
// For Fields::choice.
template <class Table>
auto reader(Table const& table) {
    return [&table](std::string_view text) {
        std::optional<decltype(table[0].value)> found;
        for (auto const& s : table) {
            if (s.text == text) found = s.value;
        }
        return found;
    };
}

std::string hex(std::uint64_t number) {
    return fmt::format("{:016x}", number);
}

std::uint64_t unhex(Fields const& in, std::string_view name) {
    std::string const text = in.text(name);
    std::uint64_t number = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) {
        throw Bad(in.path(name) + ": a hexadecimal string is expected");
    }
    return number;
}

json::value never_negative(std::int64_t ms) {
    return ms < 0 ? json::value(nullptr) : json::value(ms);
}

json::value node_name(Status const& s, std::optional<NodeIndex> node) {
    return node ? json::value(s.nodes[at(*node)].name) : json::value(nullptr);
}

// ---- writing ----------------------------------------------------------------------------------------------------------------

json::object node_json(NodeStatus const& n) {
    json::array links;
    for (auto const& l : n.links) {
        links.push_back(json::object{
            {"address", l.address}, {"state", l.up ? "up" : "down"}, {"last_heard_ms", never_negative(l.last_heard_ms)}});
    }
    return {{"name", n.name},     {"state", spell(n.state)}, {"incarnation", hex(n.incarnation)},
            {"paused", n.paused}, {"leaving", n.leaving},    {"flapping", n.flapping}, {"links", std::move(links)}};
}

json::object quorum_json(Status const& s) {
    json::array slots;
    for (std::size_t i = 0; i < s.quorum.slots.size(); ++i) {
        auto const& slot = s.quorum.slots[i];
        if (!slot) continue;
        slots.push_back(json::object{{"node", s.nodes[i].name},
                                     {"incarnation", hex(slot->incarnation)},
                                     {"beat", slot->beat},
                                     {"state", spell(slot->state)},
                                     {"alone_term", slot->alone_term},
                                     {"stopped_term", slot->stopped_term},
                                     {"newest_term", slot->newest.term},
                                     {"newest_index", slot->newest.index},
                                     {"written", rfc3339(slot->wall_ms)}});
    }
    return {{"disk", text_or_null(s.quorum.disk)},
            {"state", spell(s.quorum.state)},
            {"latency_ms", never_negative(s.quorum.latency_ms)},
            {"message", s.quorum.message},
            {"slots", std::move(slots)}};
}

json::object group_json(Status const& s, GroupStatus const& g) {
    json::array resources;
    for (auto const& r : g.resources) {
        resources.push_back(json::object{
            {"name", r.name},
            {"type", r.type},
            {"state", spell(r.report.state)},
            {"since", rfc3339(r.report.since_wall_ms)},
            {"health", spell(r.report.health)},
            {"restarts_in_window", r.report.restarts_in_window},
            {"message", r.report.message},
            {"retry", r.report.retry_wall_ms == 0 ? json::value(nullptr) : json::value(rfc3339(r.report.retry_wall_ms))},
            {"stopped", r.report.stopped},
            {"stale_ms", r.stale_ms}});
    }
    return {{"name", g.name},
            {"state", spell(g.state)},
            {"owner", node_name(s, g.owner)},
            {"wanted", g.wanted_online ? "online" : "offline"},
            {"draining_to", node_name(s, g.draining_to)},
            {"cause", g.cause},
            {"failovers_in_window", g.failovers_in_window},
            {"failover_limit", g.failover_limit},
            {"maintenance", g.maintenance_until != 0},
            {"maintenance_until", g.maintenance_until == 0 || g.maintenance_until == maintenance_without_end ? json::value(nullptr) : json::value(rfc3339(g.maintenance_until))},
            {"resources", std::move(resources)}};
}

// ---- reading ----------------------------------------------------------------------------------------------------------------

std::int64_t instant_of(Fields const& in, std::string_view name) {
    auto const ms = parse_rfc3339(in.text(name));
    if (!ms) throw Bad(in.path(name) + ": a time such as 2026-11-22T19:57:01.042Z is expected");
    return *ms;
}

std::optional<NodeIndex> read_node_name(Status const& s, Fields const& in, std::string_view name) {
    if (!in.has(name)) return std::nullopt;
    std::string const text = in.text(name);
    for (auto const n : {NodeIndex::a, NodeIndex::b}) {
        if (s.nodes[at(n)].name == text) return n;
    }
    throw Bad(in.path(name) + ": '" + text + "' is none of the two nodes");
}

NodeStatus read_node(Fields const& in) {
    NodeStatus n;
    n.name = in.text("name");
    n.state = in.choice("state", reader(node_states));
    n.incarnation = unhex(in, "incarnation");
    n.paused = in.has("paused") && in.flag("paused");
    n.leaving = in.has("leaving") && in.flag("leaving");
    n.flapping = in.has("flapping") && in.flag("flapping");
    in.each("links", [&](Fields const& l) {
        std::string const state = l.text("state");
        if (state != "up" && state != "down") throw Bad(l.path("state") + ": up or down is expected");
        n.links.push_back({l.text("address"), state == "up", l.has("last_heard_ms") ? l.integer("last_heard_ms") : -1});
    });
    return n;
}

QuorumStatus read_quorum(Status const& s, Fields const& in) {
    QuorumStatus q;
    q.disk = in.text_or_null("disk");
    q.state = in.choice("state", reader(quorum_states));
    q.latency_ms = in.has("latency_ms") ? in.integer("latency_ms") : -1;
    q.message = in.text_or_null("message");
    if (!in.has("slots")) return q;
    in.each("slots", [&](Fields const& f) {
        auto const node = read_node_name(s, f, "node");
        if (!node) throw Bad(f.path("node") + ": is missing");
        Slot slot;
        slot.incarnation = unhex(f, "incarnation");
        slot.beat = f.count("beat");
        slot.state = f.choice("state", reader(roles));
        slot.alone_term = f.count("alone_term");
        slot.stopped_term = f.count("stopped_term");
        slot.newest = {f.count("newest_term"), f.count("newest_index")};
        slot.wall_ms = instant_of(f, "written");
        q.slots[at(*node)] = slot;
    });
    return q;
}

ResourceStatus read_resource(Fields const& in) {
    ResourceStatus r;
    r.name = in.text("name");
    r.type = in.text("type");
    r.report.state = in.choice("state", reader(resource_states));
    r.report.since_wall_ms = instant_of(in, "since");
    r.report.health = in.choice("health", reader(healths));
    r.report.restarts_in_window = in.small("restarts_in_window");
    r.report.message = in.text_or_null("message");
    if (in.has("retry")) r.report.retry_wall_ms = instant_of(in, "retry");
    r.report.stopped = in.has("stopped") && in.flag("stopped");
    if (in.has("stale_ms")) r.stale_ms = in.integer("stale_ms");
    return r;
}

GroupStatus read_group(Status const& s, Fields const& in) {
    GroupStatus g;
    g.name = in.text("name");
    g.state = in.choice("state", reader(group_states));
    g.owner = read_node_name(s, in, "owner");
    g.draining_to = read_node_name(s, in, "draining_to");
    std::string const wanted = in.text("wanted");
    if (wanted != "online" && wanted != "offline") throw Bad(in.path("wanted") + ": online or offline is expected");
    g.wanted_online = wanted == "online";
    g.cause = in.text_or_null("cause");
    if (in.has("failovers_in_window")) g.failovers_in_window = in.small("failovers_in_window");
    if (in.has("failover_limit")) g.failover_limit = in.small("failover_limit");
    if (in.has("maintenance") && in.flag("maintenance")) {
        std::string const until = in.text_or_null("maintenance_until");
        auto const ms = parse_rfc3339(until);
        if (!until.empty() && !ms) throw Bad(in.path("maintenance_until") + ": a time such as 2026-11-22T19:57:01.042Z is expected");
        g.maintenance_until = until.empty() ? maintenance_without_end : *ms;
    }
    in.each("resources", [&](Fields const& r) { g.resources.push_back(read_resource(r)); });
    return g;
}

Status read_status(Fields const& in) {
    Status s;
    std::size_t count = 0;
    in.each("nodes", [&](Fields const& n) {
        if (count >= 2) throw Bad("nodes: two are expected");
        s.nodes[count++] = read_node(n);
    });
    if (count != 2 || s.nodes[0].name == s.nodes[1].name) throw Bad("nodes: two of different names are expected");
    s.cluster = in.text("cluster");
    auto const self = read_node_name(s, in, "node");
    if (!self) throw Bad("node: is missing");
    s.self = *self;
    s.role = in.choice("role", reader(roles));
    s.term = in.count("term");
    s.decision.index = in.count("index");
    s.decision.term = in.has("decision_term") ? in.count("decision_term") : s.term;
    s.leader = read_node_name(s, in, "leader");
    if (in.has("revision")) s.origin.revision = in.count("revision");
    if (in.has("confirm_until")) {
        auto const until = parse_rfc3339(in.text("confirm_until"));
        if (!until) throw Bad("confirm_until: a time is expected");
        s.confirm_until = *until;
    }
    Fields const permit = in.object("permit");
    s.permit = permit.choice("source", reader(permit_sources));
    s.permit_remaining_ms = permit.integer("remaining_ms");
    if (permit.has("worst_margin_ms")) s.worst_margin_ms = permit.integer("worst_margin_ms");
    s.quorum = read_quorum(s, in.object("quorum"));
    in.each("groups", [&](Fields const& g) { s.groups.push_back(read_group(s, g)); });
    if (in.has("watchdog")) {
        Fields const watchdog = in.object("watchdog");
        s.watchdog_device = watchdog.text("device");
        s.watchdog_ms = watchdog.integer("timeout_ms");
    }
    if (in.has("warnings")) {
        for (auto const& w : in.array("warnings")) {
            if (!w.is_string()) throw Bad("warnings: strings are expected");
            s.warnings.emplace_back(w.get_string());
        }
    }
    return s;
}

}  // namespace

std::string_view spell(ResourceState v) {
    return spelt(resource_states, v);
}
std::string_view spell(GroupState v) {
    return spelt(group_states, v);
}
std::string_view spell(NodeState v) {
    return spelt(node_states, v);
}
std::string_view spell(QuorumState v) {
    return spelt(quorum_states, v);
}
std::string_view spell(PermitSource v) {
    return spelt(permit_sources, v);
}
std::string_view spell(Health v) {
    return spelt(healths, v);
}
std::string_view spell(Role v) {
    return spelt(roles, v);
}

std::string status_json(Status const& s) {
    bool const permitted = s.permit != PermitSource::none && s.permit_remaining_ms > 0;
    json::array nodes;
    for (auto const& n : s.nodes) nodes.push_back(node_json(n));
    json::array groups;
    for (auto const& g : s.groups) groups.push_back(group_json(s, g));
    json::array warnings;
    for (auto const& w : s.warnings) warnings.push_back(json::value(w));
    json::object document{
        {"cluster", s.cluster},
        {"node", s.nodes[at(s.self)].name},
        {"self", s.nodes[at(s.self)].name},
        {"role", spell(s.role)},
        {"term", s.term},
        {"index", s.decision.index},
        {"decision_term", s.decision.term},
        {"revision", s.origin.revision},
        {"confirm_until", s.confirm_until == 0 ? json::value(nullptr) : json::value(rfc3339(s.confirm_until))},
        {"leader", node_name(s, s.leader)},
        {"permit", json::object{{"source", spell(permitted ? s.permit : PermitSource::none)},
                                {"remaining_ms", permitted ? s.permit_remaining_ms : 0},
                                {"worst_margin_ms", never_negative(s.worst_margin_ms)}}},
        {"nodes", std::move(nodes)},
        {"quorum", quorum_json(s)},
        {"groups", std::move(groups)},
        {"warnings", std::move(warnings)},
    };
    if (!s.watchdog_device.empty()) document["watchdog"] = json::object{{"device", s.watchdog_device}, {"timeout_ms", s.watchdog_ms}};
    return write(std::move(document));
}

Result<Status> parse_status(std::string_view text) {
    return read<Status>(text, "the status", read_status);
}

std::string rfc3339(std::int64_t wall_ms) {
    using namespace std::chrono;
    sys_time<milliseconds> const time{milliseconds{wall_ms}};
    auto const day = floor<days>(time);
    year_month_day const date{day};
    hh_mm_ss const clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
    using namespace std::chrono;
    constexpr std::string_view shape = "0000-00-00T00:00:00.000Z";
    std::string whole(text);
    if (whole.size() == shape.size() - 4 && whole.back() == 'Z') whole.insert(whole.size() - 1, ".000");
    if (whole.size() != shape.size()) return std::nullopt;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        bool const digit = whole[i] >= '0' && whole[i] <= '9';
        if (shape[i] == '0' ? !digit : whole[i] != shape[i]) return std::nullopt;
    }
    auto const number = [&](std::size_t from, std::size_t length) { return std::stoi(whole.substr(from, length)); };
    year_month_day const date{year{number(0, 4)}, month{static_cast<unsigned>(number(5, 2))},
                              day{static_cast<unsigned>(number(8, 2))}};
    if (!date.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 60) return std::nullopt;
    auto const time =
        sys_days{date} + hours{number(11, 2)} + minutes{number(14, 2)} + seconds{number(17, 2)} + milliseconds{number(20, 3)};
    return duration_cast<milliseconds>(time.time_since_epoch()).count();
}

}  // namespace clusterd
