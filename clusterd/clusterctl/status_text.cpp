// Lays the status out in 80 columns.
#include "clusterd/clusterctl/status_text.hpp"

#include "clusterd/wire/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace clusterd::tool {
namespace {

Tone tone_of(std::string_view state) {
    if (state == "online" || state == "up" || state == "ok") return Tone::good;
    if (state == "failed" || state == "down" || state == "uninitialised") return Tone::bad;
    if (state == "offline" || state == "none") return Tone::faint;
    return Tone::warn;
}
Table::Cell cell(std::string_view state) {
    return {std::string(state), tone_of(state)};
}

std::string name_or(Status const& s, std::optional<NodeIndex> node, std::string_view otherwise) {
    return node ? s.nodes[at(*node)].name : std::string(otherwise);
}

std::string permit_text(Status const& s) {
    if (s.permit == PermitSource::none || s.permit_remaining_ms <= 0) return "no permit";
    return s.permit == PermitSource::joined ? "permit from its peer" : "permit from the quorum disk";
}

std::string nodes_text(Status const& s, Paint const& paint) {
    Table table({20, 10, 39, 5, 0});
    table.add({{"NODE", Tone::faint}, {"STATE", Tone::faint}, {"LINK", Tone::faint}, {"STATE", Tone::faint}, {"", Tone::faint}});
    for (auto const i : {NodeIndex::a, NodeIndex::b}) {
        NodeStatus const& n = s.nodes[at(i)];
        std::string_view const state = n.leaving ? std::string_view("leaving") : spell(n.state);
        bool first = true;
        for (auto const& l : n.links) {
            std::string const since = l.up ? "" : l.last_heard_ms < 0 ? "never heard" : for_people(l.last_heard_ms) + " ago";
            table.add({{first ? n.name + (i == s.self ? " *" : "") : "", Tone::strong},
                       first ? cell(state) : Table::Cell{},
                       {l.address},
                       cell(l.up ? "up" : "down"),
                       {since, Tone::faint}});
            first = false;
        }
        if (first) table.add({{n.name, Tone::strong}, cell(state)});
    }
    return table.text(paint);
}

std::string quorum_text(Status const& s, Paint const& paint) {
    QuorumStatus const& q = s.quorum;
    std::string out = paint(Tone::faint, "QUORUM DISK") + "  ";
    if (q.state == QuorumState::none) return out + "none\n";
    std::string disk = printable(q.disk);
    if (columns_of(disk) > 42) disk = (paint.utf8 ? "\u2026" : "~") + disk.substr(disk.size() - 41);
    out += fmt::format("{}  {}", disk, paint(tone_of(spell(q.state)), spell(q.state)));
    if (q.latency_ms >= 0) out += fmt::format("  {} ms", q.latency_ms);
    out += '\n';
    if (!s.watchdog_device.empty())
        out += fmt::format("{}     {}  {}  {}\n", paint(Tone::faint, "WATCHDOG"), printable(s.watchdog_device), paint(Tone::good, "armed"), for_people(s.watchdog_ms));
    // Where this node isn't joined, what stands on the disk is what it waits for.
    if (s.role == Role::joined) return out;
    for (auto const i : {NodeIndex::a, NodeIndex::b}) {
        auto const& slot = q.slots[at(i)];
        if (slot && slot->incarnation != 0) {
            out += fmt::format("  on the disk, {} is {} (alone term {}, stopped term {})\n", s.nodes[at(i)].name,
                               spell(slot->state), slot->alone_term, slot->stopped_term);
        }
    }
    return out;
}

std::string where(Status const& s, GroupStatus const& g) {
    if (g.draining_to) return fmt::format("{} -> {}", name_or(s, g.owner, "-"), name_or(s, g.draining_to, "-"));
    return g.owner ? "on " + name_or(s, g.owner, "-") : "no owner";
}

std::string groups_text(Status const& s, Paint const& paint, std::int64_t now_ms) {
    if (s.groups.empty()) return "No groups are configured, or the configuration isn't known yet.\n";
    Table table({24, 20, 15, 11, 16});
    table.add({{"GROUP, RESOURCE", Tone::faint},
               {"TYPE", Tone::faint},
               {"STATE", Tone::faint},
               {"HEALTH", Tone::faint},
               {"SINCE", Tone::faint}});
    for (auto const& g : s.groups) {
        bool const idle = !g.wanted_online && g.state == GroupState::offline;
        table.add({{g.name, Tone::strong},
                   {where(s, g), Tone::strong},
                   idle ? Table::Cell{"offline", Tone::faint} : cell(spell(g.state)),
                   g.maintenance_until != 0 ? Table::Cell{"maintenance", Tone::warn} : Table::Cell{}});
        for (auto const& r : g.resources) {
            std::string const health = r.report.health == Health::none ? "-" : std::string(spell(r.report.health));
            table.add({{"  " + r.name},
                       {r.type, Tone::faint},
                       cell(spell(r.report.state)),
                       {health, health == "-" ? Tone::faint : tone_of(health)},
                       {local_time(r.report.since_wall_ms, now_ms), Tone::faint}});
        }
    }
    return table.text(paint);
}

// Worst first; past `most` lines the rest is only counted.
std::string attention_text(std::vector<Concern> const& list, Paint const& paint, std::ptrdiff_t most = PTRDIFF_MAX) {
    std::string out;
    std::size_t told = 0;
    for (auto const& c : list) {
        if (std::count(out.begin(), out.end(), '\n') >= most) {
            return out + paint(Tone::faint, fmt::format("  ... and {} more: clusterctl status", list.size() - told)) + "\n";
        }
        ++told;
        out += paint(c.tone, c.tone == Tone::plain ? "  " : "! ") + wrapped(c.what, paint.width, 2) + "\n";
        if (!c.todo.empty()) out += (paint.utf8 ? "  \u2192 " : "  > ") + wrapped(c.todo, paint.width, 4) + "\n";
    }
    return out;
}

}  // namespace

std::string status_text(Status const& s, Paint const& paint, std::int64_t now_ms, int rows) {
    Headline const head = headline(s);
    std::string out = fmt::format("{}: {}\n", paint(Tone::strong, printable(s.cluster)), paint(head.tone, head.text));
    std::string const leads = s.leader ? (*s.leader == s.self ? "it leads" : name_or(s, s.leader, "") + " leads") : "nobody leads";
    out += wrapped(fmt::format("Seen from {}: {}, {}; decision {}/{}", s.nodes[at(s.self)].name, permit_text(s), leads,
                               s.decision.term, s.decision.index),
                   paint.width, 2) +
           "\n\n";
    std::string const tables = nodes_text(s, paint) + "\n" + quorum_text(s, paint) + "\n" + groups_text(s, paint, now_ms);
    auto const list = concerns(s, now_ms);
    if (list.empty()) return out + tables;
    std::string const whole = out + tables + "\n" + attention_text(list, paint);
    auto const lines = [](std::string const& text) { return std::count(text.begin(), text.end(), '\n'); };
    if (rows == 0 || lines(whole) <= rows) return whole;
    auto const room = std::max<std::ptrdiff_t>(rows - lines(out) - lines(tables) - 3, 5);
    return out + attention_text(list, paint, room) + "\n" + tables;
}

}  // namespace clusterd::tool
