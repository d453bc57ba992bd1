#include "clusterd/core/forecast.hpp"

#include "clusterd/core/names.hpp"
#include "clusterd/core/node_impl.hpp"

#include <algorithm>
#include <optional>

namespace clusterd {

namespace {

constexpr int most_rounds = 20'000;                     // a world that never rests is given up
constexpr Duration longest = std::chrono::minutes(5);   // what comes later (the next try of what stays failed) isn't told

// The two nodes' reconcilers, a planner between them, and a clock of their own.
class World {
public:
    World(ForecastFrom const& from, Durations const& durations) : from_(from), durations_(durations), decision_(from.decision), now_(from.now), self_(from.self), joined_(from.joined), began_(from.now.mono) {
        for (auto n : {NodeIndex::a, NodeIndex::b}) {
            if (!from.reports[at(n)]) continue;
            Reconciler& r = nodes_[at(n)].emplace(n, Incarnation{1});
            r.configure(from.spec, now_);
            for (auto const& [name, report] : from.reports[at(n)]->resources) r.assume_restarts(now_, name, report.restarts_in_window);
        }
        settle(false);  // what is under way now is over, as it was meant
        began_ = now_.mono;
        for (auto const& g : from.spec.groups) {
            auto const d = decision_.groups.find(g.name);
            if (d != decision_.groups.end()) result.groups.push_back({g.name, name(d->second.owner), {}, all_online(g), false, false, {}});
        }
        telling_ = true;
    }

    // An operator's word, or why it would be refused.
    std::string command(Command const& c) {
        Decision next = decision_;
        CommandVerdict const v = apply_command(view(), c, next);
        if (!v.accepted) return v.message;
        if (v.changed) decide(std::move(next));
        return {};
    }

    void lose(NodeIndex n) {
        nodes_[at(n)].reset();
        self_ = other(n);
        joined_ = false;
        taken_from_ = n;
        now_.mono = now_.mono + durations_.until_takeover;
        now_.wall_ms += to_ms(durations_.until_takeover);
    }

    void use_up(GroupSpec const& g, ResourceSpec const& r) {
        auto& node = nodes_[at(decision_.groups.at(g.name).owner)];
        node->assume_restarts(now_, r.name, r.restart.limit);
    }

    void run() {
        settle(true);
        for (auto& g : result.groups) {
            GroupSpec const* const spec = find_group(from_.spec, g.name);
            g.to = name(decision_.groups.at(g.name).owner);
            g.is_online = all_online(*spec);
            if (!g.interrupted || !g.is_online) g.back_after = {};
        }
    }

    Forecast result;

private:
    struct Answer {
        Instant at;
        NodeIndex node = NodeIndex::a;
        event::ResourceChanged changed;
    };

    std::string const& name(NodeIndex n) const { return name_of(from_.spec, n); }
    Duration since() const { return now_.mono - began_; }

    PlanView view() const {
        PlanView v{from_.spec};
        for (auto n : {NodeIndex::a, NodeIndex::b})
            if (nodes_[at(n)]) v.reports[at(n)] = &nodes_[at(n)]->report();
        v.self = self_;
        v.joined = joined_;
        v.may_take_over = !joined_ && taken_from_.has_value();
        v.now = now_;
        return v;
    }

    bool all_online(GroupSpec const& g) const {
        auto const& d = decision_.groups.at(g.name);
        auto const& node = nodes_[at(d.owner)];
        if (!node || !d.wanted_online) return false;
        auto const states = node->states();
        return std::all_of(g.resources.begin(), g.resources.end(), [&](ResourceSpec const& r) { return d.held_offline.contains(r.name) || !r.possible[at(d.owner)] || states.at(r.name) == ResourceState::online; });
    }

    // What a node said of it when the forecast was asked for.
    ResourceState reported(NodeIndex n, std::string const& resource) const {
        auto const& all = from_.reports[at(n)]->resources;
        auto const it = all.find(resource);
        return it == all.end() ? ResourceState::unknown : it->second.state;
    }

    ForecastGroup* told_of(std::string const& group) {
        auto const it = std::find_if(result.groups.begin(), result.groups.end(), [&](auto const& g) { return g.name == group; });
        return it == result.groups.end() ? nullptr : &*it;
    }

    void tell(ForecastStep::Kind kind, NodeIndex n, std::string const& group, std::string const& resource, std::string why = {}) {
        if (!telling_) return;
        result.steps.push_back({kind, since(), name(n), group, resource, std::move(why)});
        if (auto* const g = told_of(group); g && kind != ForecastStep::Kind::owner) g->interrupted = true;
    }

    void decide(Decision next) {
        DecisionId const id{decision_.id.term, decision_.id.index + 1};
        for (auto const& [group, d] : next.groups) {
            auto const old = decision_.groups.find(group);
            if (old == decision_.groups.end() || old->second.owner == d.owner) continue;
            tell(ForecastStep::Kind::owner, d.owner, group, {}, d.cause);
            if (!taken_from_) free_at_[group] = now_.mono + durations_.hand_over;
            if (auto* const g = told_of(group)) g->interrupted = g->interrupted || g->was_online;
        }
        decision_ = std::move(next);
        decision_.id = id;
    }

    void perform(NodeIndex n, effect::ResourceAction const& a) {
        GroupSpec const& g = *find_by_name(from_.spec, a.resource).group;
        auto const answer = [&](Instant at, ResourceState state) {
            event::ResourceChanged changed;
            changed.resource = a.resource;
            changed.action = a.action;
            changed.state = state;
            changed.restart_here = state != ResourceState::failed;
            if (state == ResourceState::failed) changed.message = "it is failed there now";
            pending_.push_back({at, n, std::move(changed)});
        };
        ResourceState const was = reported(n, a.resource);
        switch (a.kind) {
        case ActionKind::prepare: break;
        case ActionKind::probe: answer(now_.mono, was == ResourceState::online || was == ResourceState::online_pending ? ResourceState::online : ResourceState::offline); break;
        case ActionKind::start: {
            tell(ForecastStep::Kind::start, n, g.name, a.resource);
            auto const measured = durations_.online.find(a.resource);
            auto const free_at = free_at_.find(g.name);
            Instant const from = free_at == free_at_.end() ? now_.mono : std::max(now_.mono, free_at->second);
            bool const fails = was == ResourceState::failed;  // what failed there fails there
            answer(telling_ && measured != durations_.online.end() ? from + measured->second : from, fails ? ResourceState::failed : ResourceState::online);
            break;
        }
        case ActionKind::stop:
        case ActionKind::kill:
            tell(a.kind == ActionKind::stop ? ForecastStep::Kind::stop : ForecastStep::Kind::kill, n, g.name, a.resource);
            answer(last_to_stop(n, g, a.resource) ? whole_stop_ends(g) : now_.mono, ResourceState::offline);
        }
    }

    // A group's stop was measured as a whole: the last of it ends when all of that has passed.
    Instant whole_stop_ends(GroupSpec const& g) {
        auto const measured = durations_.offline.find(g.name);
        auto const begun = stopping_since_.try_emplace(g.name, now_.mono).first->second;
        return telling_ && measured != durations_.offline.end() ? std::max(now_.mono, begun + measured->second) : now_.mono;
    }

    bool last_to_stop(NodeIndex n, GroupSpec const& g, std::string const& resource) {
        auto const& d = decision_.groups.at(g.name);
        bool const whole = d.draining_to || !d.wanted_online || d.owner != n;
        if (!whole) return false;
        stopping_since_.try_emplace(g.name, now_.mono);
        auto const states = nodes_[at(n)]->states();
        return std::all_of(g.resources.begin(), g.resources.end(), [&](ResourceSpec const& r) { return r.name == resource || states.at(r.name) == ResourceState::offline; });
    }

    bool step_node(NodeIndex n) {
        auto& node = nodes_[at(n)];
        if (!node) return false;
        Rights rights;
        rights.may_run = rights.may_start = true;
        rights.joined = joined_;
        rights.peer = nodes_[at(other(n))] ? &nodes_[at(other(n))]->report() : nullptr;
        Effects out;
        node->reconcile(now_, rights, &decision_, decision_.making_way, out);
        bool any = node->refresh_report(now_, decision_.id, false, false);
        for (auto const& e : out)
            if (auto const* const a = std::get_if<effect::ResourceAction>(&e)) perform(n, *a), any = true;
        return any;
    }

    bool step_planner() {
        Plan p = plan(view(), decision_);
        if (p.changed) decide(std::move(p.next));
        return p.changed;
    }

    // The next answer, or the next moment at which a reconciler wants to look again. False: there is none worth telling.
    bool pass_time() {
        Instant next = forever;
        for (auto const& a : pending_) next = std::min(next, a.at);
        for (auto n : {NodeIndex::a, NodeIndex::b})
            if (nodes_[at(n)]) next = std::min(next, nodes_[at(n)]->next_wakeup(now_));
        if (next == forever || next > began_ + longest) return false;
        if (!telling_ && pending_.empty()) return false;
        if (next > now_.mono) {
            now_.wall_ms += to_ms(next - now_.mono);
            now_.mono = next;
        }
        for (std::size_t i = 0; i < pending_.size();) {
            if (pending_[i].at > now_.mono) {
                ++i;
                continue;
            }
            Answer const a = std::move(pending_[i]);
            pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
            Effects out;
            if (nodes_[at(a.node)]) nodes_[at(a.node)]->on_changed(now_, a.changed, out);
        }
        for (auto& g : result.groups)
            if (g.interrupted && g.back_after == Duration{} && all_online(*find_group(from_.spec, g.name))) g.back_after = since();
            else if (g.interrupted && !all_online(*find_group(from_.spec, g.name))) g.back_after = {};
        return true;
    }

    void settle(bool planning) {
        for (int round = 0; round < most_rounds; ++round) {
            bool any = false;
            for (auto n : {NodeIndex::a, NodeIndex::b}) any = step_node(n) || any;
            if (planning) any = step_planner() || any;
            if (!any && !pass_time()) return;
        }
        result.remarks.push_back("what follows never comes to rest; only its beginning is told");
    }

    ForecastFrom const& from_;
    Durations const& durations_;
    Decision decision_;
    Now now_;
    NodeIndex self_;
    bool joined_;
    std::optional<NodeIndex> taken_from_;
    Instant began_;
    bool telling_ = false;
    std::array<std::optional<Reconciler>, 2> nodes_;
    std::vector<Answer> pending_;
    std::map<std::string, Instant> free_at_, stopping_since_;
};

Forecast refused(std::string why) {
    Forecast f;
    f.refused = std::move(why);
    return f;
}

std::string why_no_loss(ForecastFrom const& from, NodeIndex lost) {
    std::string const& survivor = name_of(from.spec, other(lost));
    if (!from.reports[at(lost)]) return name_of(from.spec, lost) + " is not up now";
    if (!from.reports[at(other(lost))]) return survivor + " is not up now: everything would stop, and stay so until " + name_of(from.spec, lost) + " is back";
    if (!from.disk_votes)
        return "without a usable quorum disk " + survivor + " can't tell a lost node from a cut link: it would stop everything too; see 'clusterctl status'";
    return {};
}

}  // namespace

Forecast forecast(ForecastFrom const& from, WhatIf const& what, Durations const& durations) {
    std::string const& target = what.command.target;
    if (what.kind == WhatIf::Kind::node_lost) {
        auto const lost = find_node(from.spec, target);
        if (!lost) return refused("there is no node '" + target + "'");
        if (auto why = why_no_loss(from, *lost); !why.empty()) return refused(std::move(why));
        World world(from, durations);
        world.lose(*lost);
        world.run();
        return std::move(world.result);
    }
    World world(from, durations);
    Command command = what.command;
    if (what.kind == WhatIf::Kind::used_up) {
        Found const f = find_by_name(from.spec, target);
        if (!f.resource) return refused("'" + target + "' is not a resource");
        if (!from.decision.groups.contains(f.group->name)) return refused("group " + f.group->name + " has no owner yet");
        world.use_up(*f.group, *f.resource);
        command.verb = Verb::fail;
    }
    if (auto why = world.command(command); !why.empty()) return refused(std::move(why));
    world.run();
    return std::move(world.result);
}

Forecast forecast(ForecastInput const& input, WhatIf const& what, Durations const& durations) {
    if (!input.refused.empty()) return refused(input.refused);
    std::array<Report const*, 2> reports{};
    for (std::size_t i = 0; i < reports.size(); ++i)
        if (input.reports[i]) reports[i] = &*input.reports[i];
    return forecast(ForecastFrom{input.config->spec, *input.decision, reports, input.self, input.joined, input.disk_votes, input.now}, what, durations);
}

ForecastInput Node::forecast_input(Now now) const {
    Impl const& n = *impl_;
    ForecastInput input;
    input.config = n.config;
    input.decision = n.replication.acting();
    input.self = n.self();
    input.joined = n.joined();
    input.now = now;
    if (n.membership.role() == Role::seeking || !input.decision || !n.membership.permitted(now)) {
        input.refused = "this node has no quorum at the moment (" + n.membership.last_change() + "), so it can't say; see 'clusterctl status'";
        return input;
    }
    auto const reports = n.known_reports();
    for (std::size_t i = 0; i < reports.size(); ++i)
        if (reports[i]) input.reports[i] = *reports[i];
    if (n.joined() && !input.reports[at(n.peer())]) input.refused = name_of(n.spec(), n.peer()) + " hasn't said yet what it runs; try again in a moment";
    input.disk_votes = n.spec().quorum_disk && n.membership.disk_usable() && (input.decision->stores[2] == 0 || input.decision->stores[2] == n.membership.disk_id());
    return input;
}

}  // namespace clusterd
