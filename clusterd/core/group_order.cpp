// Which groups wait with their start for others: `after` and `priority` of <group>. A part of the reconciler.
//
// Both order starts and nothing else. A group that has begun goes on, whatever happens to the other; and nothing is waited for that won't
// come: a group ordered offline, failed, or on a node from which it can't be taken.
#include "clusterd/core/reconciler.hpp"

#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd {

namespace {
// One of higher priority that hangs at its start must not keep the others down.
constexpr Duration yields_at_most = std::chrono::seconds(10);
}  // namespace

void Reconciler::order_groups(Now now, Rights const& rights, Decision const* decision) {
    Group const* foremost = nullptr;  // of those that start and wait for none
    for (Group& g : groups_) {
        bool const goes = on_its_way(g);  // not in maintenance
        GroupSpec const* const first = decision && goes && !begun(g) ? waited_for(*g.spec, rights, *decision) : nullptr;
        let_wait(g, first ? "waits for group " + first->name + " to be online" : std::string());
        if (goes && !first && (!foremost || g.spec->priority > foremost->spec->priority)) foremost = &g;
    }
    for (Group& g : groups_) {
        bool const behind = foremost && g.spec->priority < foremost->spec->priority && on_its_way(g) && !begun(g);
        if (!behind) {
            g.yields_until = forever;
        } else {
            if (g.yields_until == forever) g.yields_until = now.mono + yields_at_most;
            bool const waits_already = std::any_of(g.members.begin(), g.members.end(), [](Local const* l) { return !l->waits.empty(); });
            if (now.mono < g.yields_until && !waits_already) let_wait(g, "waits for group " + foremost->spec->name + ", which has priority");
        }
    }
}

void Reconciler::let_wait(Group const& g, std::string const& why) {
    for (Local* l : g.members) {
        bool const concerned = !why.empty() && l->wanted && l->state == ResourceState::offline;
        if (concerned ? l->waits != why : !l->waits.empty()) l->waits = concerned ? why : std::string();
    }
}

// Something of it is wanted here and isn't online yet.
bool Reconciler::on_its_way(Group const& g) {
    return std::any_of(g.members.begin(), g.members.end(), [](Local const* l) { return l->wanted && !l->hands_off && l->state != ResourceState::online; });
}

// What isn't found out yet hasn't begun: it is asked about at the daemon's start.
bool Reconciler::begun(Group const& g) {
    return std::any_of(g.members.begin(), g.members.end(), [](Local const* l) {
        bool const idle = l->state == ResourceState::offline || l->state == ResourceState::unknown;
        return !idle || (l->action != 0 && l->kind == ActionKind::start) || !l->restarts.empty();
    });
}

GroupSpec const* Reconciler::waited_for(GroupSpec const& g, Rights const& rights, Decision const& decision) const {
    if (g.after.empty()) return nullptr;
    auto const first = std::find_if(specs_.begin(), specs_.end(), [&](GroupSpec const& s) { return s.name == g.after; });
    return first != specs_.end() && comes_online(*first, rights, decision) ? &*first : nullptr;
}

// Is `first` on its way, here or on the peer?
bool Reconciler::comes_online(GroupSpec const& first, Rights const& rights, Decision const& decision) const {
    auto const found = decision.groups.find(first.name);
    if (found == decision.groups.end()) return true;  // it is about to be placed
    GroupDecision const& d = found->second;
    if (!d.wanted_online || d.maintenance_until != 0) return false;
    if (d.draining_to) return true;
    if (d.owner == self_) {
        auto const own = std::find_if(groups_.begin(), groups_.end(), [&](Group const& g) { return g.spec->name == first.name; });
        return own != groups_.end() && on_its_way(*own);
    }
    if (!rights.joined) return first.possible[at(self_)] && !decision.paused[at(self_)];  // until this node takes it over
    if (!rights.peer) return true;
    if (rights.peer->failed_groups.contains(first.name)) return false;
    std::map<std::string, ResourceState> there;  // what is to come online on the peer; what failed or is held isn't, nor what needs it
    for (auto const& r : first.resources) {
        auto const told = rights.peer->resources.find(r.name);
        bool const failed = told != rights.peer->resources.end() && told->second.retry_wall_ms != 0;
        if (r.possible[at(d.owner)] && !failed && !d.held_offline.contains(r.name))
            there.emplace(r.name, told == rights.peer->resources.end() ? ResourceState::unknown : told->second.state);
    }
    for (bool shrank = true; shrank;) {
        shrank = false;
        for (auto const& r : first.resources)
            if (there.contains(r.name) && !clusterd::fulfilled(r.depends, [&](std::string const& n) { return there.contains(n); })) {
                there.erase(r.name);
                shrank = true;
            }
    }
    return std::any_of(there.begin(), there.end(), [](auto const& e) { return e.second != ResourceState::online; });
}

}  // namespace clusterd
