// Reads a status as an experienced operator would: how is it as a whole, what is wrong, what is the next thing to do.
#include "clusterd/clusterctl/status_text.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace clusterd::tool {
namespace {

bool has_permit(Status const& s) {
    return s.permit != PermitSource::none && s.permit_remaining_ms > 0;
}
bool pending(GroupState s) {
    return s == GroupState::online_pending || s == GroupState::offline_pending;
}

// Wanted and not there, and not on its way either.
bool amiss(GroupStatus const& g) {
    return g.wanted_online && !pending(g.state) && g.state != GroupState::online && !g.draining_to;
}
bool under_way(GroupStatus const& g) {
    return pending(g.state) || g.draining_to || (!g.wanted_online && g.state == GroupState::online);
}

std::string count(std::size_t n, std::string_view one) {
    return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s");
}

// The most recent sign of life on any link; -1 = never.
std::int64_t last_heard(NodeStatus const& n) {
    std::int64_t best = -1;
    for (auto const& l : n.links) {
        if (l.last_heard_ms >= 0 && (best < 0 || l.last_heard_ms < best)) best = l.last_heard_ms;
    }
    return best;
}

std::string heard(std::int64_t ms) {
    return ms < 0 ? "never heard" : "last heard " + for_people(ms) + " ago";
}

void about_permit(Status const& s, std::vector<Concern>& out) {
    if (has_permit(s)) return;
    std::string const& self = s.nodes[at(s.self)].name;
    NodeStatus const& peer = s.nodes[at(other(s.self))];
    out.push_back({Tone::bad,
                   fmt::format("{} has no permit and runs nothing: it needs its peer {} or the quorum disk, and has neither.", self,
                               peer.name),
                   fmt::format("Bring back a link to {} or the quorum disk. If {} is certainly off: clusterctl quorum force",
                               peer.name, peer.name)});
}

void about_nodes(Status const& s, std::vector<Concern>& out) {
    for (auto const i : {NodeIndex::a, NodeIndex::b}) {
        NodeStatus const& n = s.nodes[at(i)];
        bool const peer = i != s.self;
        if (peer && (n.state == NodeState::down || n.state == NodeState::unknown)) {
            out.push_back({Tone::bad,
                           fmt::format("{} is {} ({}): nothing can fail over to it.", n.name, spell(n.state), heard(last_heard(n))),
                           fmt::format("On {}: systemctl status clusterd", n.name)});
            continue;  // its links are down with it
        }
        if (n.state == NodeState::seeking && (peer || has_permit(s))) {
            out.push_back({Tone::warn, n.name + " is seeking: it has no permit and runs nothing yet.", ""});
        }
        if (n.paused || n.state == NodeState::paused) {
            out.push_back({Tone::warn, n.name + " is paused: no group moves to it.", "clusterctl resume " + n.name});
        }
        if (n.flapping) {
            out.push_back({Tone::warn, n.name + " was lost three times within an hour: no group fails back to it.",
                           "Find out why, then: clusterctl resume " + n.name});
        }
        if (n.leaving) out.push_back({Tone::warn, n.name + " is leaving: its groups move away.", ""});
        for (auto const& l : n.links) {
            if (l.up) continue;
            out.push_back({Tone::warn, fmt::format("Link {} of {} is down ({}).", l.address, n.name, heard(l.last_heard_ms)),
                           "Check its cable, switch and firewall (UDP and TCP port 7780)."});
        }
    }
}

void about_configuration(Status const& s, std::int64_t now_ms, std::vector<Concern>& out) {
    if (s.confirm_until == 0) return;
    out.push_back({Tone::warn, fmt::format("The configuration (revision {}) is taken back at {}, unless it is confirmed.", s.origin.revision, local_time(s.confirm_until, now_ms)), "If it is to stay: clusterctl confirm"});
}

void about_quorum(Status const& s, std::vector<Concern>& out) {
    QuorumStatus const& q = s.quorum;
    std::string const why = q.message.empty() ? "" : ": " + q.message;
    switch (q.state) {
        case QuorumState::ok:
        case QuorumState::none:
            return;
        case QuorumState::slow:
            out.push_back({Tone::warn, "The quorum disk is slow" + why, "clusterctl show timing"});
            return;
        case QuorumState::failed:
            out.push_back({Tone::bad, "The quorum disk can't be used" + why,
                           "While it is away, losing a node or all links stops everything."});
            return;
        case QuorumState::uninitialised:
            out.push_back({Tone::bad, "The quorum disk was never initialised" + why,
                           q.message.find("quorum init") != std::string::npos
                               ? ""
                               : fmt::format("On one node, once: clusterctl quorum init {} --cluster {}", q.disk, s.cluster)});
            return;
    }
}

void about_resource(GroupStatus const& g, ResourceStatus const& r, std::int64_t now_ms, std::vector<Concern>& out) {
    std::string const why = r.report.message.empty() ? "" : ": " + r.report.message;
    if (r.report.state == ResourceState::failed && g.maintenance_until != 0) {
        out.push_back({Tone::bad, fmt::format("{} failed{}", r.name, why), ""});
    } else if (r.report.state == ResourceState::failed) {
        std::string const retry =
            r.report.retry_wall_ms > 0 ? fmt::format("Tried again at {}. ", local_time(r.report.retry_wall_ms, now_ms)) : "";
        out.push_back(
            {Tone::bad, fmt::format("{} failed{}", r.name, why), retry + "When the cause is mended: clusterctl reset " + r.name});
    } else if (r.report.state == ResourceState::unknown && g.wanted_online) {
        out.push_back({Tone::warn, fmt::format("The state of {} isn't known{}", r.name, why), ""});
    } else if (r.report.health == Health::degraded || r.report.health == Health::failed || r.report.health == Health::unknown) {
        out.push_back({Tone::warn, fmt::format("The health of {} is {}{}", r.name, spell(r.report.health), why), ""});
    } else if (!r.report.message.empty()) {
        out.push_back({Tone::plain, r.name + why, ""});
    }
    if (r.report.restarts_in_window > 0) {
        out.push_back({Tone::warn,
                       fmt::format("{} was restarted {} lately.", r.name,
                                   count(static_cast<std::size_t>(r.report.restarts_in_window), "time")),
                       ""});
    }
    if (r.stale_ms > 0)
        out.push_back({Tone::warn, fmt::format("What is shown of {} is {} old.", r.name, for_people(r.stale_ms)), ""});
}

void about_groups(Status const& s, std::int64_t now_ms, std::vector<Concern>& out) {
    for (auto const& g : s.groups) {
        if (g.maintenance_until != 0) {
            std::string const until = g.maintenance_until == maintenance_without_end ? "" : " until " + local_time(g.maintenance_until, now_ms);
            out.push_back({Tone::warn, fmt::format("Group {} is in maintenance{}: what fails in it is left as it is.", g.name, until),
                           "When the work is done: clusterctl maintenance off " + g.name});
        }
        bool const told_below = std::any_of(g.resources.begin(), g.resources.end(),
                                            [](ResourceStatus const& r) { return r.report.state == ResourceState::failed; });
        if (amiss(g) && !told_below) {
            out.push_back({Tone::bad,
                           fmt::format("Group {} is {}, and wanted online{}.", g.name, spell(g.state),
                                       g.cause.empty() ? "" : " (last change: " + g.cause + ")"),
                           ""});
        }
        if (g.failover_limit > 0 && g.failovers_in_window >= g.failover_limit) {
            out.push_back({Tone::warn,
                           fmt::format("Group {} has used its {} and stays where it is when it fails.", g.name,
                                       count(static_cast<std::size_t>(g.failover_limit), "failover")),
                           "clusterctl reset " + g.name});
        }
        for (auto const& r : g.resources) about_resource(g, r, now_ms, out);
    }
}

// What somebody ordered and may have forgotten.
std::string on_purpose(Status const& s) {
    std::string text;
    auto const add = [&text](std::string what) { text += (text.empty() ? "" : ", ") + std::move(what); };
    for (auto const& n : s.nodes)
        if (n.paused) add(n.name + " is paused");
    for (auto const& g : s.groups)
        if (g.maintenance_until != 0) add(g.name + " is in maintenance");
    if (s.confirm_until != 0) add("the configuration waits to be confirmed");
    return text;
}

}  // namespace

std::vector<Concern> concerns(Status const& s, std::int64_t now_ms) {
    std::vector<Concern> out;
    about_permit(s, out);
    about_nodes(s, out);
    about_quorum(s, out);
    about_configuration(s, now_ms, out);
    about_groups(s, now_ms, out);
    for (auto const& w : s.warnings) out.push_back({Tone::warn, w, ""});
    std::stable_sort(out.begin(), out.end(),
                     [](Concern const& a, Concern const& b) { return (a.tone == Tone::bad) > (b.tone == Tone::bad); });
    return out;
}

Headline headline(Status const& s) {
    if (!has_permit(s)) return {Tone::bad, "NO QUORUM: this node may run nothing"};
    auto const bad = static_cast<std::size_t>(std::count_if(s.groups.begin(), s.groups.end(), amiss));
    if (bad > 0) return {Tone::bad, fmt::format("{} of {} not online", bad, count(s.groups.size(), "group"))};
    if (std::any_of(s.groups.begin(), s.groups.end(), under_way)) return {Tone::warn, "changes are under way"};
    NodeStatus const& peer = s.nodes[at(other(s.self))];
    bool const peer_ready = (peer.state == NodeState::up || peer.state == NodeState::paused) && !peer.leaving;
    if (!peer_ready)
        return {Tone::warn, fmt::format("running, but nothing can fail over ({} is {})", peer.name, spell(peer.state))};
    if (std::string const held = on_purpose(s); !held.empty()) return {Tone::warn, "running; " + held};
    auto const found = concerns(s, 0);
    if (std::any_of(found.begin(), found.end(), [](Concern const& c) { return c.tone != Tone::plain; })) {
        return {Tone::warn, "running, with something to look at"};
    }
    return {Tone::good, "all well"};
}

}  // namespace clusterd::tool
