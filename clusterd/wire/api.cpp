// Writes and reads the small documents of the local API.
#include "clusterd/wire/api.hpp"

#include "clusterd/wire/config_hash.hpp"
#include "clusterd/wire/json_fields.hpp"
#include "clusterd/wire/status.hpp"

#include <algorithm>
#include <array>

namespace clusterd {
namespace {

using namespace json_fields;

constexpr std::array<std::string_view, 10> verbs{"online", "offline", "move", "fail", "reset", "pause", "resume", "apply", "maintenance", "confirm"};
constexpr std::array<std::string_view, 4> outcomes{"running", "done", "failed", "refused"};
constexpr std::array<std::string_view, 4> severities{"info", "warning", "error", "critical"};
constexpr std::size_t longest_name = 256;
constexpr std::int64_t longest_maintenance_ms = 366LL * 86'400'000;
constexpr std::int64_t longest_confirm_ms = 86'400'000;

template <class E, std::size_t N>
std::optional<E> parse_word(std::array<std::string_view, N> const& words, std::string_view text) {
    for (std::size_t i = 0; i < N; ++i) {
        if (words[i] == text) return static_cast<E>(i);
    }
    return std::nullopt;
}

Outcome read_outcome(Fields const& in) {
    return in.choice("outcome", [](std::string_view text) { return parse_word<Outcome>(outcomes, text); });
}

std::string name_of(Fields const& in, std::string_view field) {
    std::string text = in.text(field);
    if (text.size() > longest_name) throw Bad(in.path(field) + ": is longer than 256 characters");
    for (char const c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) throw Bad(in.path(field) + ": has a control character");
    }
    return text;
}

Command read_command(Fields const& in) {
    for (auto const& [key, value] : in.raw()) {
        constexpr std::array known{"verb", "target", "to", "drain", "failback", "user", "reason", "config", "base", "confirm_ms", "on", "for_ms"};
        if (std::find(known.begin(), known.end(), std::string_view(key)) == known.end()) {
            throw Bad("'" + std::string(key) + "' is not a field of a command (verb, target, to, drain, failback, user, reason, config, base, confirm_ms, on, for_ms)");
        }
    }
    Command c;
    std::string const verb = in.text("verb");
    auto const found = parse_verb(verb);
    if (!found) throw Bad("verb: '" + verb + "' is none of online, offline, move, fail, reset, pause, resume, apply, maintenance, confirm");
    c.verb = *found;
    bool const may_have_none = c.verb == Verb::apply || c.verb == Verb::maintenance || c.verb == Verb::confirm;
    if (!may_have_none || in.has("target")) c.target = name_of(in, "target");
    if (c.target.empty() && !may_have_none) throw Bad("target: the name of a group, resource or node is expected");
    if (in.has("to")) c.to = name_of(in, "to");
    if (in.has("user")) c.user = name_of(in, "user");
    if (in.has("reason")) c.reason = name_of(in, "reason");
    if (in.has("drain")) c.drain = in.flag("drain");
    if (in.has("failback")) c.failback = in.flag("failback");
    if (!c.to.empty() && c.verb != Verb::move) throw Bad("to: only `move` takes it");
    if (c.drain && c.verb != Verb::pause) throw Bad("drain: only `pause` takes it");
    if (c.failback && c.verb != Verb::resume) throw Bad("failback: only `resume` takes it");
    if ((in.has("on") || in.has("for_ms")) && c.verb != Verb::maintenance) throw Bad("on, for_ms: only `maintenance` takes them");
    if (in.has("on")) c.on = in.flag("on");
    if (in.has("for_ms")) c.for_ms = in.integer("for_ms");
    if (c.for_ms < 0 || c.for_ms > longest_maintenance_ms || (c.for_ms > 0 && !c.on)) throw Bad("for_ms: 0, or up to a year, and only where it begins");
    if (in.has("confirm_ms")) c.confirm_ms = in.integer("confirm_ms");
    if (c.confirm_ms < 0 || c.confirm_ms > longest_confirm_ms || (c.confirm_ms > 0 && c.verb != Verb::apply)) throw Bad("confirm_ms: 0, or up to a day; only `apply` takes it");
    if (in.has("config") != (c.verb == Verb::apply)) throw Bad("config: `apply` takes the XML text, nothing else does");
    if (c.verb != Verb::apply) return c;
    c.config = unread_config(in.text("config"));
    if (in.has("base")) {
        auto const base = hash_from_hex(in.text("base"));
        if (!base) throw Bad("base: " + base.error());
        c.base = *base;
    }
    return c;
}

json::object event_object(EventRecord const& e) {
    return {{"id", e.id},
            {"time", rfc3339(e.time_ms)},
            {"node", e.node},
            {"severity", e.severity},
            {"group", text_or_null(e.group)},
            {"resource", text_or_null(e.resource)},
            {"message", e.message},
            {"kind", e.kind},
            {"evidence", text_or_null(e.evidence)}};
}

std::int64_t read_time(Fields const& in, std::string_view name) {
    auto const ms = parse_rfc3339(in.text(name));
    if (!ms) throw Bad(in.path(name) + ": a time such as 2026-11-22T19:57:01.042Z is expected");
    return *ms;
}

json::object failover_object(FailoverRecord const& f) {
    json::array phases;
    for (auto const& p : f.phases) phases.push_back(json::object{{"name", p.name}, {"ms", p.ms}});
    return {{"id", f.id},
            {"group", f.group},
            {"from", text_or_null(f.from)},
            {"to", text_or_null(f.to)},
            {"cause", f.cause},
            {"start", rfc3339(f.start_wall_ms)},
            {"phases", std::move(phases)}};
}

FailoverRecord read_failover(Fields const& in) {
    FailoverRecord f;
    f.id = in.text("id");
    f.group = in.text("group");
    f.from = in.text_or_null("from");
    f.to = in.text_or_null("to");
    f.cause = in.text("cause");
    f.start_wall_ms = read_time(in, "start");
    in.each("phases", [&](Fields const& p) { f.phases.push_back({p.text("name"), p.integer("ms")}); });
    return f;
}

// Timing is told in microseconds: the durations are of the order of milliseconds and the margins smaller.
std::int64_t us(Duration d) {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}
json::value us_or_null(Duration d) {
    return d.count() < 0 ? json::value(nullptr) : json::value(us(d));
}
Duration read_us(Fields const& in, std::string_view name) {
    std::int64_t const n = in.integer(name);
    if (n < 0 || n > INT64_MAX / 1'000'000) throw Bad(in.path(name) + ": is out of range");
    return std::chrono::microseconds(n);
}
Duration read_us_or_null(Fields const& in, std::string_view name) {
    return in.has(name) ? read_us(in, name) : Duration{-1};
}

}  // namespace

std::string_view spell(Verb v) {
    return verbs[static_cast<std::size_t>(v)];
}
std::string_view spell(Outcome v) {
    return outcomes[static_cast<std::size_t>(v)];
}
std::string_view spell(Severity v) {
    return severities[static_cast<std::size_t>(v)];
}
std::optional<Verb> parse_verb(std::string_view text) {
    return parse_word<Verb>(verbs, text);
}

// ---- commands ---------------------------------------------------------------------------------------------------------------

std::string command_json(Command const& c) {
    json::object out{{"verb", spell(c.verb)}, {"target", c.target}};
    if (!c.to.empty()) out["to"] = c.to;
    if (c.drain) out["drain"] = true;
    if (c.failback) out["failback"] = true;
    if (!c.user.empty()) out["user"] = c.user;
    if (!c.reason.empty()) out["reason"] = c.reason;
    if (c.verb == Verb::maintenance) out["on"] = c.on, out["for_ms"] = c.for_ms;
    if (c.config) out["config"] = c.config->xml;
    if (c.base != Hash{}) out["base"] = to_hex(c.base);
    if (c.confirm_ms != 0) out["confirm_ms"] = c.confirm_ms;
    return write(out);
}

Result<Command> parse_command(std::string_view text) {
    return read<Command>(text, "the command", read_command);
}

std::string accepted_json(std::string_view id) {
    return write(json::object{{"id", id}});
}

Result<std::string> parse_accepted(std::string_view text) {
    return read<std::string>(text, "the answer", [](Fields const& in) { return in.text("id"); });
}

std::string progress_json(CommandProgress const& p) {
    json::array updates;
    for (auto const& u : p.updates)
        updates.push_back(json::object{{"n", u.n}, {"outcome", spell(u.outcome)}, {"message", u.message}});
    return write(json::object{{"id", p.id}, {"outcome", spell(p.outcome)}, {"updates", std::move(updates)}});
}

Result<CommandProgress> parse_progress(std::string_view text) {
    return read<CommandProgress>(text, "the command's progress", [](Fields const& in) {
        CommandProgress p;
        p.id = in.text("id");
        p.outcome = read_outcome(in);
        in.each("updates", [&](Fields const& u) { p.updates.push_back({u.count("n"), read_outcome(u), u.text("message")}); });
        return p;
    });
}

std::string outcome_json(std::string_view id, std::string_view outcome, std::string_view message) {
    return write(json::object{{"id", id}, {"outcome", outcome}, {"message", message}});
}

// ---- history ----------------------------------------------------------------------------------------------------------------

std::string event_json(EventRecord const& e) {
    return write(event_object(e));
}

std::string events_json(std::vector<EventRecord> const& events) {
    json::array list;
    for (auto const& e : events) list.push_back(event_object(e));
    return write(json::object{{"events", std::move(list)}});
}

Result<std::vector<EventRecord>> parse_events(std::string_view text) {
    return read<std::vector<EventRecord>>(text, "the events", [](Fields const& in) {
        std::vector<EventRecord> events;
        in.each("events", [&](Fields const& e) {
            EventRecord r{e.text("id"), read_time(e, "time"), e.text("node"), e.text("severity"), e.text_or_null("group"),
                          e.text_or_null("resource"), e.text("message")};
            if (e.has("kind")) r.kind = e.text("kind");  // older lines have none
            if (e.has("evidence")) r.evidence = e.text_or_null("evidence");
            events.push_back(std::move(r));
        });
        return events;
    });
}

std::string failover_json(FailoverRecord const& f) {
    return write(failover_object(f));
}

std::string failovers_json(std::vector<FailoverRecord> const& failovers) {
    json::array list;
    for (auto const& f : failovers) list.push_back(failover_object(f));
    return write(json::object{{"failovers", std::move(list)}});
}

Result<FailoverRecord> parse_failover(std::string_view text) {
    return read<FailoverRecord>(text, "the failover", read_failover);
}

Result<std::vector<FailoverRecord>> parse_failovers(std::string_view text) {
    return read<std::vector<FailoverRecord>>(text, "the failovers", [](Fields const& in) {
        std::vector<FailoverRecord> list;
        in.each("failovers", [&](Fields const& f) { list.push_back(read_failover(f)); });
        return list;
    });
}

// ---- configurations -----------------------------------------------------------------------------------------------------------

namespace {

json::object revision_object(ConfigRevision const& r, bool with_xml) {
    json::object out{{"revision", r.revision}, {"time", r.time_ms == 0 ? json::value(nullptr) : json::value(rfc3339(r.time_ms))}, {"user", text_or_null(r.user)}, {"reason", text_or_null(r.reason)}, {"hash", r.hash}};
    if (with_xml) out["xml"] = r.xml;
    return out;
}

ConfigRevision read_revision(Fields const& in) {
    ConfigRevision r;
    r.revision = in.count("revision");
    if (in.has("time")) r.time_ms = read_time(in, "time");
    r.user = in.text_or_null("user");
    r.reason = in.text_or_null("reason");
    r.hash = in.text("hash");
    if (in.has("xml")) r.xml = in.text("xml");
    return r;
}

}  // namespace

std::string revision_json(ConfigRevision const& r, bool with_xml) {
    return write(revision_object(r, with_xml));
}

Result<ConfigRevision> parse_revision(std::string_view text) {
    return read<ConfigRevision>(text, "the revision", read_revision);
}

std::string revisions_json(std::vector<ConfigRevision> const& revisions) {
    json::array list;
    for (auto const& r : revisions) list.push_back(revision_object(r, false));
    return write(json::object{{"revisions", std::move(list)}});
}

Result<std::vector<ConfigRevision>> parse_revisions(std::string_view text) {
    return read<std::vector<ConfigRevision>>(text, "the revisions", [](Fields const& in) {
        std::vector<ConfigRevision> list;
        in.each("revisions", [&](Fields const& r) { list.push_back(read_revision(r)); });
        return list;
    });
}

// ---- timing -----------------------------------------------------------------------------------------------------------------

std::vector<TimingRule> timing_rules(TimingInfo const& info) {
    Timing const& t = info.timing;
    Duration const cycle = std::max(info.cycle_p99, Duration{0});
    Duration const fsync = std::max(info.fsync_p99, Duration{0});
    Duration const required = t.suspect + t.heartbeat + 2 * cycle + fsync + t.kill;
    Duration const wanted = 2 * t.suspect + 2 * cycle + fsync + t.kill;
    return {{"required", "suspect + H + 2 cycles + F + K < P", required, required < t.permit},
            {"wanted", "2 suspect + 2 cycles + F + K < P", wanted, wanted < t.permit}};
}

std::string timing_json(TimingInfo const& info) {
    Timing const& t = info.timing;
    json::array rules;
    for (auto const& r : timing_rules(info)) {
        rules.push_back(json::object{
            {"name", r.name}, {"formula", r.formula}, {"sum_us", us(r.sum)}, {"permit_us", us(t.permit)}, {"met", r.met}});
    }
    return write(json::object{
        {"profile", t.profile},
        {"heartbeat_us", us(t.heartbeat)},
        {"suspect_us", us(t.suspect)},
        {"permit_us", us(t.permit)},
        {"kill_us", us(t.kill)},
        {"rho_permille", t.rho_permille},
        {"cycle_p99_us", us_or_null(info.cycle_p99)},
        {"cycle_max_us", us_or_null(info.cycle_max)},
        {"fsync_p99_us", us_or_null(info.fsync_p99)},
        {"fsync_max_us", us_or_null(info.fsync_max)},
        {"worst_margin_ms", info.worst_margin_ms < 0 ? json::value(nullptr) : json::value(info.worst_margin_ms)},
        {"rules", std::move(rules)},
    });
}

Result<TimingInfo> parse_timing(std::string_view text) {
    return read<TimingInfo>(text, "the timing", [](Fields const& in) {
        TimingInfo info;
        info.timing.profile = in.text("profile");
        info.timing.heartbeat = read_us(in, "heartbeat_us");
        info.timing.suspect = read_us(in, "suspect_us");
        info.timing.permit = read_us(in, "permit_us");
        info.timing.kill = read_us(in, "kill_us");
        info.timing.rho_permille = in.small("rho_permille");
        info.cycle_p99 = read_us_or_null(in, "cycle_p99_us");
        info.cycle_max = read_us_or_null(in, "cycle_max_us");
        info.fsync_p99 = read_us_or_null(in, "fsync_p99_us");
        info.fsync_max = read_us_or_null(in, "fsync_max_us");
        info.worst_margin_ms = in.has("worst_margin_ms") ? in.integer("worst_margin_ms") : -1;
        return info;
    });
}

// ---- the rest ---------------------------------------------------------------------------------------------------------------

std::string force_json(std::string_view node) {
    return write(json::object{{"node", node}});
}

Result<std::string> parse_force(std::string_view text) {
    return read<std::string>(text, "the request", [](Fields const& in) { return name_of(in, "node"); });
}

std::string message_json(std::string_view key, std::string_view message) {
    return write(json::object{{key, message}});
}

std::string json_text(std::string_view text) {
    return write(json::value(text));
}

std::string error_of(std::string_view text) {
    auto const error = read<std::string>(text, "", [](Fields const& in) { return in.text("error"); });
    return error ? *error : std::string(text.substr(0, 300));
}

}  // namespace clusterd
