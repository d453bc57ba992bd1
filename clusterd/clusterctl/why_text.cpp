#include "clusterd/clusterctl/why_text.hpp"

#include "clusterd/wire/event_kinds.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace clusterd::tool {
namespace {

constexpr std::size_t most_since = 8;
constexpr std::int64_t before_ms = 60'000;            // of the pair's events that led to a decision
constexpr std::int64_t failures_before_ms = 900'000;  // of its resources' failures that did

template <class... Kind>
bool is(EventRecord const& e, Kind... kinds) {
    return ((e.kind == info_of(kinds).name) || ...);
}

// A decision about who has a group.
bool settles_owner(EventRecord const& e) {
    using enum EventKind;
    return is(e, first_start, takeover, failover, failback, moves_away) || (is(e, command) && e.message.find(": move ") != std::string::npos);
}

bool about_pair(EventRecord const& e) {
    using enum EventKind;
    return is(e, alone, seeking, permit_ended, all_stopped, not_all_stopped, taken_over_while_running, gives_up, node_stopping, node_flaps, quorum_forced, network_down);
}

bool about_failure(EventRecord const& e) {
    using enum EventKind;
    return is(e, restarted, restarts_used_up, not_stopped, not_killed, retried);
}

GroupStatus const* group_of(Status const& s, std::string const& name) {
    for (auto const& g : s.groups) {
        if (g.name == name) return &g;
        for (auto const& r : g.resources)
            if (r.name == name) return &g;
    }
    return nullptr;
}

bool concerns_group(EventRecord const& e, GroupStatus const& g) {
    return e.group == g.name || std::any_of(g.resources.begin(), g.resources.end(), [&](auto const& r) { return r.name == e.resource; });
}

std::string owner_of(Status const& s, GroupStatus const& g) { return g.owner ? s.nodes[at(*g.owner)].name : "no node"; }

std::string group_now(Status const& s, GroupStatus const& g, std::int64_t now_ms) {
    std::int64_t since = 0;
    for (auto const& r : g.resources) since = std::max(since, r.report.since_wall_ms);
    std::string text = fmt::format("{} on {}", spell(g.state), owner_of(s, g));
    if (since > 0) text += " since " + local_time(since, now_ms);
    if (g.draining_to) text += fmt::format(", on its way to {}", s.nodes[at(*g.draining_to)].name);
    if (!g.wanted_online) text += ", and wanted offline";
    else if (g.state == GroupState::offline) text += ", though wanted online";
    if (g.maintenance_until != 0) text += ", in maintenance";
    if (!g.cause.empty()) text += fmt::format(" ({})", g.cause);
    return text;
}

std::string resource_now(Status const& s, GroupStatus const& g, ResourceStatus const& r, std::int64_t now_ms) {
    std::string text = fmt::format("{} on {}", spell(r.report.state), owner_of(s, g));
    if (r.report.since_wall_ms > 0) text += " since " + local_time(r.report.since_wall_ms, now_ms);
    if (r.report.health != Health::none) text += fmt::format(", health {}", spell(r.report.health));
    if (!r.report.message.empty()) text += ": " + r.report.message;
    return text;
}

std::string node_now(Status const& s, NodeIndex i) {
    NodeStatus const& n = s.nodes[at(i)];
    std::string groups;
    for (auto const& g : s.groups)
        if (g.owner == i) groups += (groups.empty() ? "" : ", ") + g.name;
    std::string text = fmt::format("{}, owner of {}", spell(n.state), groups.empty() ? "nothing" : groups);
    if (n.paused) text += ", paused";
    if (n.leaving) text += ", being stopped";
    return text;
}

void keep_last(std::vector<EventRecord>& events, std::size_t most) {
    if (events.size() > most) events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(most));
}

// The last decision about its owner, what of the pair and of its resources led to it, and the hand-over that completed it.
void tell_group(Known const& known, GroupStatus const& g, Why& why) {
    std::optional<std::size_t> last;
    for (std::size_t i = 0; i < known.events.size(); ++i)
        if (known.events[i].group == g.name && settles_owner(known.events[i])) last = i;
    std::int64_t const decided_at = last ? known.events[*last].time_ms : 0;
    bool const by_failure = last && is(known.events[*last], EventKind::failover);
    bool const by_pair = last && is(known.events[*last], EventKind::takeover, EventKind::moves_away);
    for (std::size_t i = 0; i < known.events.size(); ++i) {
        EventRecord const& e = known.events[i];
        bool const before = last && e.time_ms <= decided_at;
        bool const led = before && ((by_pair && about_pair(e) && e.time_ms >= decided_at - before_ms) ||
                                    (by_failure && concerns_group(e, g) && about_failure(e) && e.time_ms >= decided_at - failures_before_ms));
        if (last && i == *last) {
            why.decided = why.chain.size();
            why.chain.push_back(e);
        } else if (led || (last && is(e, EventKind::handed_over) && e.group == g.name && e.time_ms >= decided_at)) {
            why.chain.push_back(e);
        } else if (concerns_group(e, g) && (!last || e.time_ms > decided_at)) {
            why.since.push_back(e);
        }
    }
    for (auto const& f : known.failovers) {
        std::int64_t const apart = f.start_wall_ms - decided_at;
        if (f.group == g.name && last && apart > -before_ms && apart < before_ms) why.took = f;
    }
}

bool about(Concern const& c, std::string const& name) {
    auto const begins = [](char ch) { return ch == ' ' || ch == ':' || ch == ',' || ch == '\'' || ch == '.' || ch == '('; };
    for (std::size_t p = c.what.find(name); p != std::string::npos; p = c.what.find(name, p + 1)) {
        bool const from = p == 0 || begins(c.what[p - 1]);
        bool const to = p + name.size() == c.what.size() || begins(c.what[p + name.size()]);
        if (from && to) return true;
    }
    return false;
}

// To the millisecond, since order is what it is about; with the date where it isn't today's.
std::string moment(std::int64_t wall_ms, std::int64_t now_ms) {
    std::string const all = local_date_time(wall_ms);
    return all.substr(0, 10) == local_date_time(now_ms).substr(0, 10) ? all.substr(11) : all;
}

std::string event_lines(EventRecord const& e, bool decided, Paint const& paint, std::int64_t now_ms) {
    std::string const about = !e.resource.empty() ? e.resource : e.group;
    std::string const time = moment(e.time_ms, now_ms);
    int const indent = columns_of(time) + 4;
    std::string const gap(static_cast<std::size_t>(indent), ' ');
    Tone const tone = e.severity == "info" ? Tone::plain : e.severity == "warning" ? Tone::warn : Tone::bad;
    std::string out = "  " + paint(tone, time) + "  " + wrapped(fmt::format("{}: {}{}", e.node, about.empty() ? "" : about + ": ", e.message), paint.width, indent) + "\n";
    if (!e.evidence.empty()) out += gap + paint(Tone::faint, "known: ") + wrapped(e.evidence, paint.width, indent + 7) + "\n";
    auto const kind = find_kind(e.kind);
    if (decided && kind) out += gap + paint(Tone::faint, "rule:  ") + wrapped(std::string(kind->cause), paint.width, indent + 7) + "\n";
    return out;
}

std::string phases_text(FailoverRecord const& f) {
    std::int64_t total = 0;
    std::string phases;
    for (auto const& p : f.phases) {
        total += std::max<std::int64_t>(p.ms, 0);
        phases += fmt::format("{}{} {} ms", phases.empty() ? "" : ", ", p.name, p.ms);
    }
    return fmt::format("It took {}: {} (clusterctl failovers {})", for_people(total), phases.empty() ? "no phases are recorded" : phases, f.id);
}

}  // namespace

std::optional<Why> find_why(Known known, std::string const& name, std::int64_t now_ms) {
    std::stable_sort(known.events.begin(), known.events.end(), [](auto const& a, auto const& b) { return a.time_ms < b.time_ms; });
    Status const& s = known.status;
    Why why;
    why.name = name;
    if (name.empty()) {
        why.name = s.cluster;
        why.now = headline(s).text;
        for (auto const& e : known.events)
            if (e.severity != "info" || settles_owner(e)) why.since.push_back(e);
        why.concerns = concerns(s, now_ms);
        keep_last(why.since, most_since);
        return why;
    }
    for (auto const i : {NodeIndex::a, NodeIndex::b}) {
        if (s.nodes[at(i)].name != name) continue;
        why.subject = Subject::node;
        why.now = node_now(s, i);
        for (auto const& e : known.events) {
            bool const of_it = e.group.empty() && e.resource.empty() && e.node == name;
            bool const names_it = settles_owner(e) || about_pair(e) || is(e, EventKind::command, EventKind::joined);
            if (of_it || (names_it && e.message.find(name) != std::string::npos)) why.since.push_back(e);
        }
    }
    if (why.subject != Subject::node) {
        GroupStatus const* const g = group_of(s, name);
        if (!g) return std::nullopt;
        auto const r = std::find_if(g->resources.begin(), g->resources.end(), [&](auto const& e) { return e.name == name; });
        why.subject = r == g->resources.end() ? Subject::group : Subject::resource;
        why.now = r == g->resources.end() ? group_now(s, *g, now_ms) : resource_now(s, *g, *r, now_ms);
        tell_group(known, *g, why);
        if (why.subject == Subject::resource) {  // of its group's later events, only those that can be about it
            std::erase_if(why.since, [&](EventRecord const& e) { return !e.resource.empty() && e.resource != name; });
        }
    }
    keep_last(why.since, most_since);
    for (auto const& c : concerns(s, now_ms))
        if (about(c, name)) why.concerns.push_back(c);
    return why;
}

std::string why_text(Why const& why, Paint const& paint, std::int64_t now_ms) {
    std::string out = paint(Tone::strong, printable(why.name)) + ": " + wrapped(why.now, paint.width, columns_of(why.name) + 2) + "\n";
    if (!why.chain.empty()) {
        out += "\n" + paint(Tone::faint, "HOW IT CAME THERE") + "\n";
        for (std::size_t i = 0; i < why.chain.size(); ++i) out += event_lines(why.chain[i], why.decided == i, paint, now_ms);
        if (why.took) out += "  " + wrapped(phases_text(*why.took), paint.width, 4) + "\n";
    }
    if (!why.since.empty()) {
        out += "\n" + paint(Tone::faint, why.chain.empty() ? "WHAT HAPPENED LAST" : "WHAT HAS HAPPENED SINCE") + "\n";
        for (auto const& e : why.since) out += event_lines(e, false, paint, now_ms);
    }
    if (why.chain.empty() && why.since.empty()) out += "\nNothing about it is recorded any more.\n";
    if (!why.concerns.empty()) out += "\n" + paint(Tone::faint, "NOT AS IT SHOULD BE") + "\n";
    for (auto const& c : why.concerns) {
        out += paint(c.tone, c.tone == Tone::plain ? "  " : "! ") + wrapped(c.what, paint.width, 2) + "\n";
        if (!c.todo.empty()) out += (paint.utf8 ? "  \u2192 " : "  > ") + wrapped(c.todo, paint.width, 4) + "\n";
    }
    return out;
}

std::string why_json(Why const& why) {
    constexpr std::array words{"cluster", "node", "group", "resource"};
    auto const list = [](std::vector<EventRecord> const& events) {
        std::string all;
        for (auto const& e : events) all += (all.empty() ? "" : ",") + event_json(e);
        return "[" + all + "]";
    };
    std::string concerns;
    for (auto const& c : why.concerns) concerns += fmt::format("{}{{\"what\":{},\"todo\":{}}}", concerns.empty() ? "" : ",", json_text(c.what), json_text(c.todo));
    return fmt::format("{{\"subject\":\"{}\",\"name\":{},\"now\":{},\"chain\":{},\"decided\":{},\"failover\":{},\"since\":{},\"concerns\":[{}]}}\n",
                       words[static_cast<std::size_t>(why.subject)], json_text(why.name), json_text(why.now), list(why.chain),
                       why.decided ? json_text(why.chain[*why.decided].id) : "null", why.took ? failover_json(*why.took) : "null", list(why.since), concerns);
}

}  // namespace clusterd::tool
