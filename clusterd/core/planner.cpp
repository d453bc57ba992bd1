#include "clusterd/core/planner.hpp"

#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd {

bool all_stopped(GroupSpec const& group, Report const& report) {
    return std::all_of(group.resources.begin(), group.resources.end(), [&](ResourceSpec const& r) {
        auto const it = report.resources.find(r.name);
        return it != report.resources.end() && it->second.stopped;
    });
}

bool failback_open(FailbackSpec const& f, int minute) {
    switch (f.kind) {
    case FailbackSpec::Kind::never: return false;
    case FailbackSpec::Kind::immediate: return true;
    case FailbackSpec::Kind::window:
        return f.from_minute <= f.to_minute ? minute >= f.from_minute && minute < f.to_minute : minute >= f.from_minute || minute < f.to_minute;
    }
    return false;
}

namespace {

class Planning {
public:
    Planning(PlanView const& view, Decision const& current) : view_(view), current_(current) { plan_.next.id = current.id; }

    Plan run() {
        drop_unknown_groups();
        prune_losses();
        for (auto const& g : view_.spec.groups) {
            auto const found = decision().groups.find(g.name);
            GroupDecision const* d = found != decision().groups.end() ? &found->second : nullptr;
            if (!d) d = &place(g, edit(g));
            if (outdated(d->failovers, oldest(g))) d = &prune_ledger(g, edit(g));
            if (d->maintenance_until != 0 && view_.now.wall_ms >= d->maintenance_until) d = &end_maintenance(g, edit(g), "its time is over");
            consider(g, *d);
        }
        return std::move(plan_);
    }

private:
    // The leader plans at every step, and nearly always all is as it should be: it is copied at the first change.
    Decision const& decision() const { return plan_.changed ? plan_.next : current_; }
    Decision& edit() {
        if (!plan_.changed) plan_.next = current_;
        plan_.changed = true;
        return plan_.next;
    }
    GroupDecision& edit(GroupSpec const& g) { return edit().groups[g.name]; }

    std::string const& name(NodeIndex n) const { return name_of(view_.spec, n); }
    bool leaving(NodeIndex n) const { return view_.reports[at(n)] && view_.reports[at(n)]->leaving; }
    bool paused(NodeIndex n) const { return decision().paused[at(n)]; }
    bool giving_up(NodeIndex n) const { return view_.reports[at(n)] && view_.reports[at(n)]->giving_up; }
    bool able(GroupSpec const& g, NodeIndex n) const { return view_.member(n) && g.possible[at(n)] && !paused(n) && !leaving(n) && !giving_up(n); }
    void because(Severity s, GroupSpec const& g, std::string text, EventKind kind, std::string evidence = {}) {
        plan_.reasons.push_back({s, g.name, std::move(text), kind, std::move(evidence)});
    }

    void drop_unknown_groups() {
        auto const unknown = [this](auto const& e) { return !find_group(view_.spec, e.first); };
        if (std::any_of(current_.groups.begin(), current_.groups.end(), unknown)) std::erase_if(edit().groups, unknown);
    }

    // A group that is to be kept apart from `g` has its home on `n`: it lives there, moves there, or is to be placed there.
    bool crowded(GroupSpec const& g, NodeIndex n) const {
        return any_apart() && std::any_of(view_.spec.groups.begin(), view_.spec.groups.end(), [&](GroupSpec const& h) {
            if (h.name == g.name || (h.apart != g.name && g.apart != h.name)) return false;
            auto const d = decision().groups.find(h.name);
            return d == decision().groups.end() ? h.preferred == n : d->second.draining_to.value_or(d->second.owner) == n;
        });
    }
    bool kept_apart(GroupSpec const& g) const {
        auto const names_it = [&](GroupSpec const& h) { return h.apart == g.name; };
        return any_apart() && (!g.apart.empty() || std::any_of(view_.spec.groups.begin(), view_.spec.groups.end(), names_it));
    }
    bool any_apart() const {  // hardly ever: then no group is compared with all others
        if (!any_apart_) any_apart_ = std::any_of(view_.spec.groups.begin(), view_.spec.groups.end(), [](GroupSpec const& g) { return !g.apart.empty(); });
        return *any_apart_;
    }
    // Is `n` where it belongs: the preferred node, or, of one without, any that those it is kept apart from leave to it.
    bool home(GroupSpec const& g, NodeIndex n) const { return g.preferred ? *g.preferred == n : kept_apart(g); }

    // First owner: the preferred, else the first possible node of the file that is up; with `apart`, one without the other group if there is one.
    GroupDecision& place(GroupSpec const& g, GroupDecision& d) {
        NodeIndex owner = g.preferred.value_or(NodeIndex::a);
        auto const suits = [&](NodeIndex n) { return able(g, n) && !crowded(g, n); };
        if (!suits(owner)) {
            if (suits(other(owner)) || (!able(g, owner) && able(g, other(owner)))) owner = other(owner);
        }
        d.owner = owner;
        d.wanted_online = g.start != GroupSpec::Start::manual;
        d.away_by_failure = g.preferred && owner != *g.preferred;
        d.cause = "first start";
        because(Severity::info, g, "first start: " + name(owner) + " owns it", EventKind::first_start);
        return d;
    }

    std::int64_t oldest(GroupSpec const& g) const { return view_.now.wall_ms - to_ms(g.failover_period); }
    static auto& time_of(auto& entry) {
        if constexpr (requires { entry.wall_ms; }) return entry.wall_ms;
        else return entry;
    }
    bool outdated(auto const& entries, std::int64_t oldest_kept) const {
        auto const from_the_future = [this](auto const& e) { return time_of(e) > view_.now.wall_ms; };
        return !entries.empty() && (time_of(entries.front()) <= oldest_kept || std::any_of(entries.begin(), entries.end(), from_the_future));
    }
    // An entry from the future (the clock was set back) would count for ever: it counts from now.
    void forget_old(auto& entries, std::int64_t oldest_kept) const {
        for (auto& e : entries) time_of(e) = std::min(time_of(e), view_.now.wall_ms);
        while (!entries.empty() && time_of(entries.front()) <= oldest_kept) entries.pop_front();
    }

    void prune_losses() {
        auto const kept = view_.now.wall_ms - to_ms(flap_window);
        for (auto n : {NodeIndex::a, NodeIndex::b})
            if (outdated(decision().losses[at(n)], kept)) forget_old(edit().losses[at(n)], kept);
    }

    GroupDecision& prune_ledger(GroupSpec const& g, GroupDecision& d) {
        forget_old(d.failovers, oldest(g));
        return d;
    }

    GroupDecision& end_maintenance(GroupSpec const& g, GroupDecision& d, std::string const& why) {
        if (d.maintenance_until != 0) because(Severity::info, g, "the maintenance of group " + g.name + " ends: " + why, EventKind::maintenance_ended);
        d.maintenance_until = 0;
        return d;
    }

    void consider(GroupSpec const& g, GroupDecision const& d) {
        if (!view_.member(d.owner)) {
            take_over_if_allowed(g);
        } else if (d.draining_to) {
            finish_draining(g, d);
        } else {
            start_draining_if_due(g, d);
        }
    }

    void take_over_if_allowed(GroupSpec const& g) {
        NodeIndex const self = view_.self;
        if (!view_.may_take_over || !able(g, self)) return;
        GroupDecision& d = edit(g);
        NodeIndex const from = d.owner;
        end_maintenance(g, d, name(from) + " is gone");
        d.owner = self;
        d.draining_to.reset();
        d.away_by_failure = g.preferred ? *g.preferred != self : kept_apart(g);
        d.drained_from.reset();
        d.cause = name(from) + " is gone";
        because(Severity::warning, g, name(from) + " is gone and its permit is over: " + name(self) + " takes over", EventKind::takeover);
    }

    void finish_draining(GroupSpec const& g, GroupDecision const& seen) {
        NodeIndex const to = *seen.draining_to;
        if (!able(g, to)) return call_off(g, to, edit(g));
        // The report counts only for the very decision that says so: an older one may be from before a restart.
        Report const* r = view_.reports[at(seen.owner)];
        if (!r || r->under != plan_.next.id || !all_stopped(g, *r)) return;
        GroupDecision& d = edit(g);
        because(Severity::info, g, "offline on " + name(d.owner) + ": " + name(to) + " owns it now (" + d.cause + ")", EventKind::handed_over);
        d.away_by_failure = d.away_by_failure && (g.preferred ? *g.preferred != to : crowded(g, to));
        if (d.drained_from == to) d.drained_from.reset();
        d.owner = to;
        d.draining_to.reset();
    }

    void call_off(GroupSpec const& g, NodeIndex to, GroupDecision& d) {
        d.draining_to.reset();
        d.cause = name(to) + " can't take it any more";
        because(Severity::warning, g, name(to) + " can't take it any more: it stays on " + name(d.owner), EventKind::move_called_off);
    }

    void drain(GroupSpec const& g, GroupDecision& d, NodeIndex to, Severity severity, std::string cause, EventKind kind = EventKind::moves_away, std::string evidence = {}) {
        end_maintenance(g, d, cause);
        d.draining_to = to;
        d.cause = cause;
        because(severity, g, cause + ": it moves from " + name(d.owner) + " to " + name(to), kind, std::move(evidence));
    }

    void start_draining_if_due(GroupSpec const& g, GroupDecision const& seen) {
        NodeIndex const owner = seen.owner, to = other(owner);
        if (!able(g, to)) return;
        if (leaving(owner)) {
            GroupDecision& d = edit(g);
            d.away_by_failure = home(g, owner);
            drain(g, d, to, Severity::info, name(owner) + " is being stopped");
        } else if (giving_up(owner)) {
            GroupDecision& d = edit(g);
            d.away_by_failure = d.away_by_failure || home(g, owner);
            drain(g, d, to, Severity::warning, name(owner) + " can't stop something and gives up");
        } else if (seen.maintenance_until != 0) {
            return;
        } else if (!g.possible[at(owner)]) {
            drain(g, edit(g), to, Severity::info, "not possible on " + name(owner));
        } else if (fails_here(g, seen)) {
            if (static_cast<int>(seen.failovers.size()) < g.failover_limit) fail_over(g, edit(g), to);  // else it stays; the owner retries
        } else if (seen.away_by_failure && belongs(g, owner, to) && failback_open(g.failback, view_.now.local_minute) && peer_ready(to) &&
                   !failed_there(seen, to) && !flaps(decision(), to, view_.now.wall_ms)) {
            GroupDecision& d = edit(g);
            d.away_by_failure = false;
            drain(g, d, to, Severity::info, "failback: " + name(to) + (g.preferred ? " is preferred and back" : " is back, and the group is to be kept apart"), EventKind::failback);
        }
    }

    // Does failback bring it from `here` to `there`? Not to a group that it is to be kept apart from, if it lives without it now.
    bool belongs(GroupSpec const& g, NodeIndex here, NodeIndex there) const {
        if (crowded(g, there) && !crowded(g, here)) return false;
        return g.preferred ? *g.preferred == there : crowded(g, here) && !crowded(g, there);
    }

    bool fails_here(GroupSpec const& g, GroupDecision const& d) const {
        Report const* r = view_.reports[at(d.owner)];
        return r && d.wanted_online && r->under == plan_.next.id && r->failed_groups.contains(g.name);
    }

    // Where it failed within the failover period it isn't sent home to: it would only fail again.
    static bool failed_there(GroupDecision const& d, NodeIndex n) {
        return std::any_of(d.failovers.begin(), d.failovers.end(), [n](LedgerEntry const& e) { return e.from == n; });
    }

    // A node that has just joined is given nothing back before it has said what it runs.
    bool peer_ready(NodeIndex n) const { return view_.reports[at(n)] && view_.reports[at(n)]->under == plan_.next.id; }

    // What its node says of the resource that failed: "web-server: check http failed 2 times in a row: ...; ".
    std::string failed_report(NodeIndex owner, std::string const& resource) const {
        auto const& known = view_.reports[at(owner)]->resources;
        auto const it = known.find(resource);
        return it == known.end() || it->second.message.empty() ? "" : resource + ": " + it->second.message + "; ";
    }

    void fail_over(GroupSpec const& g, GroupDecision& d, NodeIndex to) {
        std::string const resource = view_.reports[at(d.owner)]->failed_groups.at(g.name);
        d.failovers.push_back({view_.now.wall_ms, d.owner, resource});
        d.away_by_failure = d.away_by_failure || home(g, d.owner);
        drain(g, d, to, Severity::error,
              resource + " failed on " + name(d.owner) + " (failover " + std::to_string(d.failovers.size()) + " of " +
                  std::to_string(g.failover_limit) + ")",
              EventKind::failover, failed_report(d.owner, resource) + name(to) + " is up, not paused and may have it");
    }

    PlanView const& view_;
    Decision const& current_;
    Plan plan_;
    mutable std::optional<bool> any_apart_;
};

// ---- operators ---------------------------------------------------------------------------------------------------------------

class Commanding {
public:
    Commanding(PlanView const& view, Command const& command, Decision& decision) : view_(view), c_(command), d_(decision) {}

    CommandVerdict run() {
        if (c_.verb == Verb::pause || c_.verb == Verb::resume) {
            auto const node = find_node(view_.spec, c_.target);
            if (!node) return refuse("there is no node '" + c_.target + "'; the nodes are " + view_.spec.nodes[0].name + " and " + view_.spec.nodes[1].name);
            return c_.verb == Verb::pause ? pause(*node) : resume(*node);
        }
        if (c_.verb == Verb::maintenance) return maintenance();
        if (c_.verb == Verb::confirm) return confirm();
        Found const f = find_by_name(view_.spec, c_.target);
        if (!f.group) return refuse("there is no group or resource '" + c_.target + "'; 'clusterctl status' lists them");
        auto const it = d_.groups.find(f.group->name);
        if (it == d_.groups.end()) return refuse("group " + f.group->name + " has no owner yet; try again");
        return on_group(*f.group, f.resource, it->second);
    }

private:
    static CommandVerdict refuse(std::string why) { return {false, false, std::move(why)}; }
    static CommandVerdict nothing(std::string why) { return {true, false, std::move(why)}; }
    static CommandVerdict changed() { return {true, true, {}}; }
    std::string const& name(NodeIndex n) const { return name_of(view_.spec, n); }

    // Of a group, of all that a node owns, or of all.
    CommandVerdict maintenance() {
        auto const node = find_node(view_.spec, c_.target);
        bool found = c_.target.empty() || node, any = false;
        std::int64_t const until = !c_.on ? 0 : c_.for_ms > 0 ? view_.now.wall_ms + c_.for_ms : maintenance_without_end;
        for (auto& [group, d] : d_.groups) {
            found = found || group == c_.target;
            if (!(c_.target.empty() || group == c_.target || (node && d.owner == *node)) || d.maintenance_until == until) continue;
            if (c_.on && d.draining_to) return refuse("group " + group + " is on its way to " + name(*d.draining_to) + "; wait for it");
            d.maintenance_until = until;
            any = true;
        }
        if (!found) return refuse("there is no group or node '" + c_.target + "'; 'clusterctl status' lists them");
        return any ? changed() : nothing(c_.on ? "it is in maintenance already" : "it is not in maintenance");
    }

    CommandVerdict confirm() {
        if (d_.unconfirmed.until_wall_ms == 0) return refuse("nothing waits to be confirmed: it was, or its time was over and the configuration before is back; see 'clusterctl events'");
        d_.unconfirmed = {};
        return changed();
    }

    CommandVerdict refuse_in_maintenance(std::string const& group) const {
        return refuse("group " + group + " is in maintenance: end that first, with 'clusterctl maintenance off " + group + "'");
    }

    CommandVerdict on_group(GroupSpec const& g, ResourceSpec const* r, GroupDecision& d) {
        if (d.maintenance_until != 0 && c_.verb != Verb::reset) return refuse_in_maintenance(g.name);
        switch (c_.verb) {
        case Verb::online: return online(g, r, d);
        case Verb::offline: return offline(g, r, d);
        case Verb::move:
            if (r) return refuse("'" + r->name + "' is a resource; groups are moved: clusterctl move " + g.name);
            return move(g, d);
        case Verb::fail:
            if (!r) return refuse("'" + g.name + "' is a group; name one of its resources");
            return fail(g, *r, d);
        case Verb::reset: return reset(g, r, d);
        case Verb::pause:
        case Verb::resume:
        case Verb::apply:        // node_change.cpp
        case Verb::maintenance:
        case Verb::confirm: break;
        }
        return refuse("not for groups");
    }

    CommandVerdict online(GroupSpec const& g, ResourceSpec const* r, GroupDecision& d) {
        GroupDecision const before = d;
        if (!r) {
            d.held_offline.clear();
        } else {
            auto const needed = with_dependencies(g, r->name);
            if (!d.wanted_online)
                for (auto const& other_one : g.resources) d.held_offline.insert(other_one.name);
            for (auto const& n : needed) d.held_offline.erase(n);
        }
        d.wanted_online = true;
        for (auto const& each : g.resources)
            if (!r || with_dependencies(g, r->name).contains(each.name)) ++d.reset_orders[each.name];
        return changed();
    }

    CommandVerdict offline(GroupSpec const& g, ResourceSpec const* r, GroupDecision& d) {
        GroupDecision const before = d;
        if (!r) {
            d.wanted_online = false;
        } else {
            for (auto const& n : with_dependents(g, r->name)) d.held_offline.insert(n);
        }
        return d == before ? nothing("") : changed();  // ordered already; it may still be on its way
    }

    CommandVerdict move(GroupSpec const& g, GroupDecision& d) {
        NodeIndex to = other(d.owner);
        if (!c_.to.empty()) {
            auto const named = find_node(view_.spec, c_.to);
            if (!named) return refuse("there is no node '" + c_.to + "'; the nodes are " + name(NodeIndex::a) + " and " + name(NodeIndex::b));
            to = *named;
        }
        if (to == d.owner) {
            if (d.draining_to) return refuse("group " + g.name + " is on its way to " + name(*d.draining_to) + "; wait for it, then move it back");
            return nothing("group " + g.name + " is on " + name(to) + " already");
        }
        if (!g.possible[at(to)]) return refuse("group " + g.name + " is not possible on " + name(to) + " (attribute possible)");
        if (!view_.member(to)) return refuse(name(to) + " is down: start clusterd there first");
        if (d_.paused[at(to)]) return refuse(name(to) + " is paused: clusterctl resume " + name(to));
        if (view_.reports[at(to)] && view_.reports[at(to)]->leaving) return refuse(name(to) + " is being stopped");
        if (view_.reports[at(to)] && view_.reports[at(to)]->giving_up) return refuse(name(to) + " can't stop something: see 'clusterctl status'");
        d.away_by_failure = false;
        d.drained_from.reset();
        d.draining_to = to;
        d.cause = "moved by " + (c_.user.empty() ? std::string("an operator") : c_.user);
        return changed();
    }

    CommandVerdict fail(GroupSpec const&, ResourceSpec const& r, GroupDecision& d) {
        Report const* report = view_.reports[at(d.owner)];
        auto const it = report ? report->resources.find(r.name) : decltype(report->resources.find(r.name)){};
        if (!report || it == report->resources.end() || it->second.state != ResourceState::online)
            return refuse(r.name + " is not online, so it can't be made to fail");
        ++d.fail_orders[r.name];
        return changed();
    }

    static void order_reset(GroupSpec const& g, ResourceSpec const* r, GroupDecision& d) {
        for (auto const& each : g.resources)
            if (!r || r->name == each.name) ++d.reset_orders[each.name];
    }

    CommandVerdict reset(GroupSpec const& g, ResourceSpec const* r, GroupDecision& d) {
        order_reset(g, r, d);
        d.failovers.clear();
        return changed();
    }

    CommandVerdict pause(NodeIndex node) {
        bool const was = d_.paused[at(node)];
        d_.paused[at(node)] = true;
        bool any = !was;
        NodeIndex const to = other(node);
        if (c_.drain) {
            if (!view_.member(to) || d_.paused[at(to)]) return undo_pause(node, was, name(to) + " can't take the groups: it is " + (view_.member(to) ? "paused" : "down"));
            if (view_.reports[at(to)] && view_.reports[at(to)]->leaving) return undo_pause(node, was, name(to) + " can't take the groups: it is being stopped");
            for (auto const& g : view_.spec.groups) {
                auto const it = d_.groups.find(g.name);
                if (it == d_.groups.end() || it->second.owner != node || it->second.draining_to || !g.possible[at(to)]) continue;
                if (it->second.maintenance_until != 0) {
                    d_.paused[at(node)] = was;
                    return refuse_in_maintenance(g.name);
                }
                it->second.draining_to = to;
                it->second.drained_from = node;
                it->second.cause = name(node) + " is paused and drained";
                any = true;
            }
        }
        return any ? changed() : nothing(name(node) + " is paused already");
    }
    CommandVerdict undo_pause(NodeIndex node, bool was, std::string why) {
        d_.paused[at(node)] = was;
        return refuse(std::move(why));
    }

    CommandVerdict resume(NodeIndex node) {
        bool any = d_.paused[at(node)] || !d_.losses[at(node)].empty();
        d_.paused[at(node)] = false;
        d_.losses[at(node)].clear();
        if (c_.failback) {
            if (!view_.member(node)) return refuse(name(node) + " is down: nothing can be moved back to it");
            if (view_.reports[at(node)] && view_.reports[at(node)]->leaving) return refuse(name(node) + " is being stopped: nothing can be moved back to it");
            for (auto& [group, d] : d_.groups) {
                GroupSpec const* g = find_group(view_.spec, group);
                if (d.drained_from != node || d.owner == node || d.draining_to || d.maintenance_until != 0 || !g || !g->possible[at(node)]) continue;
                d.draining_to = node;  // drained_from stays until it is home: then a second try finds it
                d.cause = name(node) + " is resumed: the group goes back";
                any = true;
            }
        }
        return any ? changed() : nothing(name(node) + " is not paused");
    }

    PlanView const& view_;
    Command const& c_;
    Decision& d_;
};

}  // namespace

bool flaps(Decision const& d, NodeIndex n, std::int64_t wall_ms) {
    auto const oldest = wall_ms - to_ms(flap_window);
    auto const& times = d.losses[at(n)];
    return std::count_if(times.begin(), times.end(), [&](std::int64_t t) { return t > oldest; }) >= static_cast<std::ptrdiff_t>(flaps_at);
}

Plan plan(PlanView const& view, Decision const& current) { return Planning(view, current).run(); }

CommandVerdict apply_command(PlanView const& view, Command const& command, Decision& decision) {
    return Commanding(view, command, decision).run();
}

}  // namespace clusterd
