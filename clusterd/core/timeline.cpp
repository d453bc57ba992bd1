#include "clusterd/core/timeline.hpp"

#include "clusterd/core/names.hpp"
#include "clusterd/core/planner.hpp"

namespace clusterd {

void Timelines::begin(Now now, std::string const& group, NodeIndex from, NodeIndex to, std::string cause, Instant origin, std::vector<Phase> known) {
    Open o;
    o.from = from;
    o.to = to;
    o.record.group = group;
    o.record.cause = std::move(cause);
    o.record.start_wall_ms = now.wall_ms - to_ms(now.mono - origin);
    o.handed_over = !known.empty();
    o.record.phases = std::move(known);
    o.mark = now.mono;
    open_[group] = std::move(o);
}

bool Timelines::finished(Now now, Spec const& spec, Decision const& acting, std::array<Report const*, 2> const& reports, Open& o) {
    GroupSpec const* g = find_group(spec, o.record.group);
    auto const d = acting.groups.find(o.record.group);
    if (!g || d == acting.groups.end()) return true;
    auto const phase = [&](std::string name, Instant since) {
        o.record.phases.push_back({std::move(name), to_ms(now.mono - since)});
        o.mark = now.mono;
    };
    if (!o.handed_over) {
        if (!o.stopped && reports[at(o.from)] && all_stopped(*g, *reports[at(o.from)])) {
            o.stopped = true;
            phase("offline on " + name_of(spec, o.from), o.mark);
        }
        o.called_off = d->second.owner != o.to && d->second.draining_to != o.to;
        if (d->second.owner != o.to) return o.called_off;
        o.handed_over = true;
        phase("decide", o.mark);
    }
    Report const* r = reports[at(o.to)];
    if (d->second.owner != o.to) return true;  // already on its way elsewhere
    if (!r) return false;
    bool all = true;
    for (auto const& resource : g->resources) {
        auto const it = r->resources.find(resource.name);
        if (it == r->resources.end() || d->second.held_offline.contains(resource.name)) continue;
        auto const since = o.starting.try_emplace(resource.name, it->second.state == ResourceState::offline ? forever : now.mono).first;
        if (since->second == forever && it->second.state != ResourceState::offline) since->second = now.mono;
        if (it->second.state == ResourceState::online && !o.online[resource.name]) {
            o.online[resource.name] = true;
            phase("online " + resource.name, since->second);
        }
        all = all && o.online[resource.name];
    }
    return all || !d->second.wanted_online || (r->failed_groups.contains(g->name) && r->under == acting.id);
}

void Timelines::observe(Now now, Spec const& spec, Decision const& acting, std::array<Report const*, 2> const& reports, Effects& out) {
    for (auto it = open_.begin(); it != open_.end();) {
        Open& o = it->second;
        if (!finished(now, spec, acting, reports, o)) {
            ++it;
            continue;
        }
        o.record.from = name_of(spec, o.from);
        o.record.to = name_of(spec, o.to);
        if (!o.called_off) out.push_back(effect::RecordFailover{o.record, true});
        it = open_.erase(it);
    }
}

}  // namespace clusterd
