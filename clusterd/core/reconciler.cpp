#include "clusterd/core/reconciler.hpp"

#include "clusterd/core/change.hpp"
#include "clusterd/core/names.hpp"

#include <algorithm>
#include <utility>

namespace clusterd {

namespace {
constexpr Duration probe_pace = std::chrono::seconds(1);   // of a state that can't be found out
constexpr int probes_in_vain = 5;                          // then it counts as failed: nothing waits for ever
constexpr Duration kill_timeout = std::chrono::seconds(10);
constexpr Duration kill_pace_most = std::chrono::seconds(30);
constexpr Duration look_pace = std::chrono::seconds(5);    // at what isn't online in maintenance: an operator may start it by hand
constexpr Duration longest_retry = std::chrono::hours(1);

bool active(ResourceState s) { return s != ResourceState::offline; }
}  // namespace

void Reconciler::configure(Spec const& spec, Now now) {
    std::vector<GroupSpec> const before = std::exchange(specs_, spec.groups);  // locals_ point into it
    std::map<std::string, Local> next;
    for (auto const& g : specs_) {
        for (auto const& r : g.resources) {
            auto const old = locals_.find(r.name);
            bool const goes_on = old != locals_.end() && old->second.group->name == g.name && goes_on_as(*old->second.spec, r);
            Local l = goes_on ? std::move(old->second) : Local{};
            if (!goes_on) {
                l.since_wall_ms = now.wall_ms;
                report_.resources.erase(r.name);
                reshaped_ = true;
            } else if (l.spec->health != r.health) {  // its checks begin anew; the shell tells the hosts of them by the configuration
                l.health.assign(r.health.size(), Health::none);
                l.failed_in_row.assign(r.health.size(), 0);
                l.unknown_in_row.assign(r.health.size(), 0);
                l.checks_run = l.checks_run && !r.health.empty();
            }
            l.spec = &r;
            l.group = &g;
            l.health.resize(r.health.size(), Health::none);
            l.failed_in_row.resize(r.health.size());
            l.unknown_in_row.resize(r.health.size());
            next.emplace(r.name, std::move(l));
        }
    }
    locals_ = std::move(next);
    resolve();
}

bool Reconciler::quiet(std::set<std::string> const& resources) const {
    return std::all_of(resources.begin(), resources.end(), [this](std::string const& name) {
        auto const it = locals_.find(name);
        return it == locals_.end() || (it->second.state == ResourceState::offline && it->second.action == 0);
    });
}

void Reconciler::resolve() {
    groups_.clear();
    all_.clear();
    for (auto const& g : specs_) {
        Group& group = groups_.emplace_back(Group{&g, {}});
        for (auto const& r : g.resources) group.members.push_back(&locals_.at(r.name));
    }
    for (auto& [name, l] : locals_) {
        all_.push_back(&l);
        l.needs = resolved(l.spec->depends);
        l.dependents.clear();
        for (auto const& r : l.group->resources)
            if (r.name != name && with_dependencies(*l.group, r.name).contains(name)) l.dependents.push_back(&locals_.at(r.name));
        auto const [entry, fresh] = report_.resources.try_emplace(name);
        l.told = &entry->second;
        reshaped_ = reshaped_ || fresh;
    }
    reshaped_ = std::erase_if(report_.resources, [&](auto const& e) { return !locals_.contains(e.first); }) != 0 || reshaped_;
}

Reconciler::Needs Reconciler::resolved(Dependency const& d) const {
    Needs n{d.kind, d.kind == Dependency::Kind::name ? &locals_.at(d.name) : nullptr, {}};
    for (auto const& c : d.children) n.children.push_back(resolved(c));
    return n;
}

// As names.hpp's: is it fulfilled, given which resources count as there?
template <class There>
bool Reconciler::fulfilled(Needs const& n, There const& there) {
    auto const child = [&](Needs const& c) { return fulfilled(c, there); };
    switch (n.kind) {
    case Dependency::Kind::name: return there(*n.local);
    case Dependency::Kind::all: return std::all_of(n.children.begin(), n.children.end(), child);
    case Dependency::Kind::any: return std::any_of(n.children.begin(), n.children.end(), child);
    }
    return false;
}

// ---- what is wanted here -------------------------------------------------------------------------------------------------------

bool Reconciler::group_is_mine(GroupSpec const& g, Rights const& rights, GroupDecision const* d) const {
    if (!rights.may_run || !d) return false;
    if (d->owner != self_ || d->draining_to || !d->wanted_online) return false;
    if (rights.leaving_now || (rights.peer_takes && !g.possible[at(other(self_))])) return false;
    return true;
}

void Reconciler::mark_wanted(Group const& g, Rights const& rights, GroupDecision const* d, std::set<std::string> const& making_way) {
    bool const mine = group_is_mine(*g.spec, rights, d);
    for (Local* l : g.members)
        l->wanted = mine && l->spec->possible[at(self_)] && !l->gave_up && !d->held_offline.contains(l->spec->name) && !making_way.contains(l->spec->name);
    // What needs something that isn't wanted isn't wanted either.
    for (bool shrank = mine; shrank;) {
        shrank = false;
        for (Local* l : g.members) {
            if (!l->wanted || fulfilled(l->needs, [](Local const& n) { return n.wanted; })) continue;
            l->wanted = false;
            shrank = true;
        }
    }
}

void Reconciler::forgive(Local& l) {
    l.gave_up = false;
    l.restarts.clear();
    l.retry_at = forever;
    l.retry_wall_ms = 0;
    l.backoff = Duration{0};
    l.start_after = long_ago;
}

// `fail R` and `reset R` are counters in the decision: each rise is obeyed once, also if messages were lost in between.
void Reconciler::take_orders(Now now, Local& l, GroupDecision const& d, bool mine, Effects& out) {
    auto const value = [&](auto const& orders) {
        auto const it = orders.find(l.spec->name);
        return it == orders.end() ? std::uint64_t{0} : it->second;
    };
    auto const fails = value(d.fail_orders);
    auto const resets = value(d.reset_orders);
    bool const first = !l.orders_known;
    bool const fail_now = !first && fails > l.fail_order;
    bool const reset_now = !first && resets > l.reset_order;
    l.orders_known = true;
    l.fail_order = fails;
    l.reset_order = resets;
    if (reset_now) {
        forgive(l);
        if (l.state == ResourceState::offline) l.message.clear();
    }
    if (fail_now && mine && l.state == ResourceState::online) failed(now, l, "made to fail by an operator", true, out);
}

// What leaves its window, and what is given up no longer.
void Reconciler::count_time(Now now, Local& l, GroupDecision const* d, Effects& out) {
    ResourceSpec const& r = *l.spec;
    while (!l.restarts.empty() && now.mono - l.restarts.front() >= r.restart.period) l.restarts.pop_front();
    if (l.backoff.count() != 0 && l.state == ResourceState::online && now.mono - l.online_since >= r.restart.period) l.backoff = Duration{0};
    if (!l.gave_up) return;
    bool const asked_for = d && d->owner == self_ && d->wanted_online && !d->held_offline.contains(r.name);
    if (!asked_for) {  // another's now, or ordered offline: a fresh start if it comes back
        l.gave_up = false;
        if (l.state == ResourceState::offline) l.message.clear();
        l.retry_at = forever;
        l.retry_wall_ms = 0;
        l.backoff = Duration{0};
    } else if (now.mono >= l.retry_at) {
        l.gave_up = false;
        l.retry_at = forever;
        l.retry_wall_ms = 0;
        out.push_back(effect::RecordEvent{Severity::info, l.group->name, r.name, "tried again after it stayed failed", EventKind::retried});
    }
}

void Reconciler::reconcile(Now now, Rights const& rights, Decision const* decision, std::set<std::string> const& making_way, Effects& out) {
    for (auto const& g : groups_) {
        GroupDecision const* d = nullptr;
        if (decision) {
            auto const it = decision->groups.find(g.spec->name);
            if (it != decision->groups.end()) d = &it->second;
        }
        for (Local* l : g.members) {
            if (d) take_orders(now, *l, *d, d->owner == self_, out);
            count_time(now, *l, d, out);
        }
        mark_wanted(g, rights, d, making_way);
        for (Local* l : g.members) l->maintained = d && d->maintenance_until != 0, l->hands_off = hands_off(rights, d, self_);
    }
    order_groups(now, rights, decision);
    for (auto const& g : groups_)
        for (Local* l : g.members) drive(now, *l, rights, out);
}

// What takes everything away from a node also takes this: a permit that ends, a clean stop, a move.
bool Reconciler::hands_off(Rights const& rights, GroupDecision const* d, NodeIndex self) {
    return d && d->maintenance_until != 0 && d->owner == self && !d->draining_to && rights.may_run && !rights.leaving_now && !rights.peer_takes;
}

void Reconciler::look_only(Now now, Local& l, Effects& out) {
    if (l.state == ResourceState::online) return run_checks(l, true, out);
    if (now.mono < l.not_before) return;
    l.not_before = now.mono + look_pace;
    act(now, l, ActionKind::probe, out);
}

bool Reconciler::needs_met(Local const& l) const {
    return fulfilled(l.needs, [](Local const& n) { return n.state == ResourceState::online; });
}

bool Reconciler::may_stay(Local const& l) const {
    return fulfilled(l.needs, [](Local const& n) { return n.state == ResourceState::online || n.state == ResourceState::unknown; });
}

// Nothing that can't be without this one is there any more.
bool Reconciler::dependents_stopped(Local const& l) const {
    auto const still_there = [&l](Local const& n) { return &n != &l && n.state == ResourceState::online; };
    return std::none_of(l.dependents.begin(), l.dependents.end(), [&](Local const* d) {
        return active(d->state) && !fulfilled(d->needs, still_there);  // one that isn't found out yet may be there
    });
}

// One resource, one step towards what is wanted.
void Reconciler::drive(Now now, Local& l, Rights const& rights, Effects& out) {
    if (l.action != 0) return;
    if (l.hands_off) return look_only(now, l, out);
    switch (l.state) {
    case ResourceState::unknown:
        if (now.mono >= l.not_before) act(now, l, ActionKind::probe, out);
        break;
    case ResourceState::online:
        if (!(l.wanted && may_stay(l)) && dependents_stopped(l)) act(now, l, ActionKind::stop, out);
        else run_checks(l, true, out);  // they run already, unless a new configuration has brought the first
        break;
    case ResourceState::failed:
        if (now.mono < l.not_before || !dependents_stopped(l)) break;
        act(now, l, l.kills > 0 ? ActionKind::kill : ActionKind::stop, out);
        break;
    case ResourceState::offline:
        if (l.wanted && !l.maintained && l.waits.empty() && needs_met(l) && rights.may_start && now.mono >= l.start_after) act(now, l, ActionKind::start, out);
        break;
    case ResourceState::online_pending:
    case ResourceState::offline_pending: break;  // never without an action under way
    }
}

void Reconciler::act(Now now, Local& l, ActionKind kind, Effects& out) {
    l.action = next_action_++;
    l.kind = kind;
    Duration timeout{};
    switch (kind) {
    case ActionKind::start:
        unseen_ = true;
        timeout = l.spec->online_timeout;
        set_state(now, l, ResourceState::online_pending, "", out);
        break;
    case ActionKind::stop:
        timeout = l.spec->offline_timeout;
        run_checks(l, false, out);
        set_state(now, l, ResourceState::offline_pending, l.message, out);
        break;
    case ActionKind::kill:
        timeout = kill_timeout;
        run_checks(l, false, out);
        set_state(now, l, ResourceState::offline_pending, l.message, out);
        break;
    default: timeout = l.spec->online_timeout; break;
    }
    out.push_back(effect::ResourceAction{kind, l.spec->name, l.action, timeout});
}

void Reconciler::set_state(Now now, Local& l, ResourceState s, std::string message, Effects&) {
    if (l.state != s) l.since_wall_ms = now.wall_ms;
    if (l.state != s && s == ResourceState::online) l.online_since = now.mono;
    l.state = s;
    l.message = std::move(message);
}

void Reconciler::run_checks(Local& l, bool run, Effects& out) {
    if (l.checks_run == run || l.spec->health.empty()) return;
    l.checks_run = run;
    std::fill(l.failed_in_row.begin(), l.failed_in_row.end(), 0);
    std::fill(l.unknown_in_row.begin(), l.unknown_in_row.end(), 0);
    std::fill(l.health.begin(), l.health.end(), Health::none);
    out.push_back(effect::Checks{l.spec->name, run});
}

// ---- what happens to resources -------------------------------------------------------------------------------------------------

void Reconciler::on_changed(Now now, event::ResourceChanged const& e, Effects& out) {
    auto const it = locals_.find(e.resource);
    if (it == locals_.end()) return;
    Local& l = it->second;
    if (e.action != 0 && e.action != l.action) return;  // of an action that was given up
    if (e.action == 0 && l.action != 0) return;          // its action will tell
    ActionKind const kind = l.kind;
    bool const asked = e.action != 0;
    l.action = 0;
    std::string const& why = e.message;
    if (asked && kind == ActionKind::start && (e.state == ResourceState::unknown || e.state == ResourceState::offline)) {
        failed(now, l, why.empty() ? "did not come online" : why, e.restart_here, out);  // what is left of it is cleaned up as of any failure
        return;
    }
    bool const known = l.state == ResourceState::failed || l.state == ResourceState::offline;
    if (!asked && known && (e.state == ResourceState::failed || e.state == ResourceState::offline)) return;  // one failure, told twice
    if (asked && kind == ActionKind::probe) l.not_found_out = e.state == ResourceState::unknown ? l.not_found_out + 1 : 0;
    if (l.not_found_out >= probes_in_vain) {
        l.not_found_out = 0;
        failed(now, l, "its state can't be found out: " + why, e.restart_here, out);
        return;
    }
    if (e.state == ResourceState::unknown) {
        l.not_before = now.mono + (asked && kind == ActionKind::probe ? probe_pace : Duration{0});
        bool const stop_failed = asked && (kind == ActionKind::stop || kind == ActionKind::kill);
        if (!stop_failed) {
            set_state(now, l, ResourceState::unknown, why, out);
            run_checks(l, false, out);
            return;
        }
    }
    if (asked && (kind == ActionKind::stop || kind == ActionKind::kill)) {
        if (e.state == ResourceState::offline) {
            l.kills = 0;
            set_state(now, l, ResourceState::offline, l.gave_up ? l.message : "", out);
            if (!why.empty()) out.push_back(effect::RecordEvent{Severity::warning, l.group->name, l.spec->name, "offline, but: " + why, EventKind::offline_but});
            return;
        }
        ++l.kills;
        l.not_before = now.mono + (l.kills == 1 ? Duration{0} : std::min<Duration>(std::chrono::seconds(l.kills), kill_pace_most));
        set_state(now, l, ResourceState::failed, why, out);
        out.push_back(effect::RecordEvent{l.kills > 1 ? Severity::critical : Severity::error, l.group->name, l.spec->name,
                                          std::string(kind == ActionKind::stop ? "could not be taken offline: " : "could not be killed: ") + why,
                                          kind == ActionKind::stop ? EventKind::not_stopped : EventKind::not_killed});
        return;
    }
    switch (e.state) {
    case ResourceState::online:
        if (l.state != ResourceState::online) set_state(now, l, ResourceState::online, why, out);
        run_checks(l, true, out);
        break;
    case ResourceState::offline:
        if (asked || l.state == ResourceState::unknown) set_state(now, l, ResourceState::offline, l.gave_up ? l.message : "", out);
        else failed(now, l, why.empty() ? "went offline by itself" : why, e.restart_here, out);
        break;
    default: failed(now, l, why, e.restart_here, out); break;
    }
}

void Reconciler::on_health(Now now, event::HealthResult const& e, Effects& out) {
    auto const it = locals_.find(e.resource);
    if (it == locals_.end() || e.check < 0 || static_cast<std::size_t>(e.check) >= it->second.health.size()) return;
    Local& l = it->second;
    if (!l.checks_run || l.state != ResourceState::online) return;
    auto const i = static_cast<std::size_t>(e.check);
    HealthSpec const& check = l.spec->health[i];
    l.health[i] = e.result;
    // Unknown is neither: it doesn't end a row of failures, as only ok or degraded do.
    bool const well = e.result == Health::ok || e.result == Health::degraded;
    l.failed_in_row[i] = e.result == Health::failed ? l.failed_in_row[i] + 1 : well ? 0 : l.failed_in_row[i];
    l.unknown_in_row[i] = e.result == Health::unknown ? l.unknown_in_row[i] + 1 : well ? 0 : l.unknown_in_row[i];
    bool const all_ok = std::all_of(l.health.begin(), l.health.end(), [](Health h) { return h == Health::ok || h == Health::none; });
    if (all_ok) l.message.clear();
    else if (e.result != Health::ok) l.message = "check " + check.type + ": " + e.message;
    if (l.hands_off) return;  // shown
    bool const too_often = l.failed_in_row[i] >= check.failures;
    bool const unknown_too_often = check.unknown_failures > 0 && l.unknown_in_row[i] >= check.unknown_failures;
    if (!too_often && !unknown_too_often) return;
    int const times = too_often ? l.failed_in_row[i] : l.unknown_in_row[i];
    failed(now, l, "check " + check.type + (too_often ? " failed " : " could not be run ") + std::to_string(times) + " times in a row: " + e.message, true, out);
}

void Reconciler::fail(Now now, std::string const& resource, std::string const& why, bool restart_here, Effects& out) {
    auto const it = locals_.find(resource);
    if (it != locals_.end() && it->second.state == ResourceState::online && it->second.action == 0 && !it->second.hands_off)
        failed(now, it->second, why, restart_here, out);
}

// A real failure: restart here while the window allows it, else give up and let the leader move the group.
void Reconciler::failed(Now now, Local& l, std::string const& why, bool restart_here, Effects& out) {
    std::string const seen = evidence(now, l);
    run_checks(l, false, out);
    bool const news = l.state != ResourceState::failed;
    set_state(now, l, ResourceState::failed, why, out);
    l.kills = 0;
    l.not_before = l.hands_off ? now.mono + look_pace : long_ago;
    if (l.hands_off && news) out.push_back(effect::RecordEvent{Severity::warning, l.group->name, l.spec->name, "failed: " + why + "; left as it is, for its group is in maintenance", EventKind::left_alone, seen});
    if (!l.wanted || l.hands_off) return;
    RestartSpec const& r = l.spec->restart;
    if (restart_here && static_cast<int>(l.restarts.size()) < r.limit) {
        l.restarts.push_back(now.mono);
        l.start_after = now.mono + r.delay;
        out.push_back(effect::RecordEvent{Severity::warning, l.group->name, l.spec->name,
                                          "failed: " + why + "; restarted here (" + std::to_string(l.restarts.size()) + " of " + std::to_string(r.limit) + ")", EventKind::restarted, seen});
        return;
    }
    l.gave_up = true;
    l.backoff = l.backoff.count() == 0 ? l.spec->retry_after : std::min(2 * l.backoff, longest_retry);
    l.retry_at = now.mono + l.backoff;
    l.retry_wall_ms = now.wall_ms + to_ms(l.backoff);
    out.push_back(effect::RecordEvent{Severity::error, l.group->name, l.spec->name,
                                      "failed: " + why + (restart_here ? "; its restarts here are used up" : "; a restart here can't help") +
                                          "; tried again in " + std::to_string(to_ms(l.backoff) / 1000) + " s if it stays here", EventKind::restarts_used_up, seen});
}

void Reconciler::forget_states(Now now, bool proven, std::string const& why) {
    unseen_ = !proven;
    for (auto& [name, l] : locals_) {
        l.action = 0;
        l.state = ResourceState::unknown;
        l.since_wall_ms = now.wall_ms;
        l.message = why;
        l.not_before = long_ago;
        l.kills = 0;
        l.not_found_out = 0;
        l.checks_run = false;
        std::fill(l.health.begin(), l.health.end(), Health::none);
    }
}

void Reconciler::assume_restarts(Now now, std::string const& resource, int used) {
    if (auto const it = locals_.find(resource); it != locals_.end()) it->second.restarts.assign(static_cast<std::size_t>(std::max(used, 0)), now.mono);
}

// ---- answers ------------------------------------------------------------------------------------------------------------------

bool Reconciler::anything_running() const {
    return std::any_of(all_.begin(), all_.end(), [](Local const* l) { return active(l->state) || l->action != 0; });
}

bool Reconciler::anything_online() const {
    return std::any_of(all_.begin(), all_.end(), [](Local const* l) { return active(l->state) && l->state != ResourceState::unknown; });
}

std::uint32_t Reconciler::groups_online() const {
    return static_cast<std::uint32_t>(std::count_if(groups_.begin(), groups_.end(), [](Group const& g) {
        return std::any_of(g.members.begin(), g.members.end(), [](Local const* l) { return l->state == ResourceState::online; });
    }));
}

Instant Reconciler::next_wakeup(Now now) const {
    Instant at = forever;
    for (Group const& g : groups_)
        if (g.yields_until > now.mono) at = std::min(at, g.yields_until);
    for (Local const* l : all_) {
        if (l->gave_up && l->retry_at > now.mono) at = std::min(at, l->retry_at);
        bool const waits = l->action == 0 && l->not_before > long_ago &&
                           (l->state == ResourceState::unknown || l->state == ResourceState::failed || (l->hands_off && l->state == ResourceState::offline));
        if (waits && l->not_before > now.mono) at = std::min(at, l->not_before);
        if (l->action == 0 && l->state == ResourceState::offline && l->wanted && l->start_after > now.mono) at = std::min(at, l->start_after);
    }
    return at;
}

Health Reconciler::health_of(Local const& l) const {
    if (!l.checks_run) return Health::none;
    for (auto h : {Health::failed, Health::degraded, Health::unknown, Health::ok})
        if (std::find(l.health.begin(), l.health.end(), h) != l.health.end()) return h;
    return Health::none;
}

// A resource whose restarts are used up is failed for everyone who looks, though it was cleaned up.
ResourceState Reconciler::shown_state(Local const& l) const {
    return l.gave_up && l.state == ResourceState::offline ? ResourceState::failed : l.state;
}

bool Reconciler::anything_unstoppable() const {
    return std::any_of(all_.begin(), all_.end(), [](Local const* l) { return l->kills > 1; });
}

std::string Reconciler::unstoppable(GroupSpec const& g) const {
    for (auto const& own : groups_)
        for (Local const* l : own.members)
            if (l->kills > 1 && own.spec->name == g.name) return l->spec->name;
    return {};
}

bool Reconciler::refresh_report(Now now, DecisionId under, bool leaving, bool giving_up) {
    bool changed = std::exchange(reshaped_, false);
    auto const put = [&changed](auto& field, auto const& value) {
        if (field == value) return;
        field = value;
        changed = true;
    };
    put(report_.node, self_);
    put(report_.incarnation, incarnation_);
    put(report_.under, under);
    put(report_.leaving, leaving);
    put(report_.giving_up, giving_up);
    std::map<std::string, std::string> failed_groups;
    for (Local const* l : all_) {
        ResourceReport& e = *l->told;
        put(e.state, shown_state(*l));
        put(e.stopped, l->state == ResourceState::offline && l->action == 0);
        put(e.health, health_of(*l));
        put(e.since_wall_ms, l->since_wall_ms);
        put(e.restarts_in_window, static_cast<int>(l->restarts.size()));
        put(e.retry_wall_ms, l->retry_wall_ms);
        put(e.message, l->waits.empty() ? l->message : l->waits);
        if (l->gave_up && l->spec->affects_group) failed_groups.emplace(l->group->name, l->spec->name);
    }
    put(report_.failed_groups, failed_groups);
    if (changed) report_.sequence = std::max(report_.sequence + 1, static_cast<std::uint64_t>(now.mono.ns));
    return changed;
}

std::map<std::string, ResourceState> Reconciler::states() const {
    std::map<std::string, ResourceState> s;
    for (auto const& [name, l] : locals_) s.emplace(name, l.state);
    return s;
}

}  // namespace clusterd
