#include "clusterd/core/operations.hpp"

#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd {

void Operations::answered(sync::CommandAnswer const& answer, Effects& out) {
    auto const it = open_.find(answer.id);
    if (it == open_.end() || it->second.accepted) return;
    if (!answer.accepted) {
        refuse(answer.id, answer.message, out);
        return;
    }
    it->second.accepted = true;
    it->second.under = answer.under;
    if (!answer.message.empty()) {  // nothing had to be done
        out.push_back(effect::CommandUpdate{answer.id, Outcome::done, answer.message});
        open_.erase(it);
    }
}

std::vector<Command> Operations::unsent() const {
    std::vector<Command> all;
    for (auto const& [id, o] : open_)
        if (!o.sent) all.push_back(o.command);
    return all;
}

void Operations::refuse(std::string const& id, std::string why, Effects& out) {
    if (open_.erase(id) != 0) out.push_back(effect::CommandUpdate{id, Outcome::refused, std::move(why)});
}

void Operations::fail(std::string const& id, std::string why, Effects& out) {
    if (open_.erase(id) != 0) out.push_back(effect::CommandUpdate{id, Outcome::failed, std::move(why)});
}

void Operations::leader_lost(Effects& out) {
    for (auto it = open_.begin(); it != open_.end();) {
        if (it->second.sent && !it->second.accepted) {
            out.push_back(effect::CommandUpdate{it->first, Outcome::failed, "the leader was lost before it answered: look at 'clusterctl status' and give the command again if need be"});
            it = open_.erase(it);
        } else {
            ++it;
        }
    }
}

// ---- what has become of it ------------------------------------------------------------------------------------------------------

namespace {

struct Looked {
    GroupSpec const* group = nullptr;
    ResourceSpec const* resource = nullptr;
    GroupDecision const* decision = nullptr;
    Report const* report = nullptr;  // the owner's
};

Looked look(Operations::View const& v, std::string const& target) {
    Found const f = find_by_name(v.spec, target);
    Looked l{f.group, f.resource, nullptr, nullptr};
    if (!f.group) return l;
    auto const it = v.acting->groups.find(f.group->name);
    if (it == v.acting->groups.end()) return l;
    l.decision = &it->second;
    l.report = v.reports[at(it->second.owner)];
    return l;
}

ResourceReport const* report_of(Looked const& l, std::string const& name) {
    if (!l.report) return nullptr;
    auto const it = l.report->resources.find(name);
    return it == l.report->resources.end() ? nullptr : &it->second;
}

// Everything of the group that isn't held offline is online; `stuck` names what has given up.
bool group_online(Looked const& l, std::string* stuck) {
    bool all = true;
    for (auto const& r : l.group->resources) {
        if (l.decision->held_offline.contains(r.name)) continue;
        auto const* e = report_of(l, r.name);
        all = all && e && e->state == ResourceState::online;
        if (stuck && e && e->state == ResourceState::failed && e->retry_wall_ms != 0) *stuck = r.name + ": " + e->message;
    }
    return all;
}

}  // namespace

Operations::Verdict Operations::judge_online(View const& view, Open const& o) const {
    Looked const l = look(view, o.command.target);
    if (!l.decision) return {Outcome::failed, "it is gone from the configuration"};
    std::string stuck;
    bool done = false;
    if (l.resource) {
        auto const* e = report_of(l, l.resource->name);
        done = e && e->state == ResourceState::online;
        for (auto const& n : with_dependencies(*l.group, l.resource->name)) {
            auto const* d = report_of(l, n);
            if (d && d->state == ResourceState::failed && d->retry_wall_ms != 0) stuck = n + ": " + d->message;
        }
    } else {
        done = group_online(l, &stuck);
    }
    if (done) return {Outcome::done, o.command.target + " is online on " + name_of(view.spec, l.decision->owner)};
    bool const current = l.report && l.report->under >= o.under;
    NodeIndex const elsewhere = other(l.decision->owner);
    bool const moves_yet = l.report && l.report->failed_groups.contains(l.group->name) && view.reports[at(elsewhere)] && l.group->possible[at(elsewhere)] && !view.acting->paused[at(elsewhere)] &&
                           static_cast<int>(l.decision->failovers.size()) < l.group->failover_limit;
    if (current && !stuck.empty() && !l.decision->draining_to && !moves_yet) return {Outcome::failed, stuck};
    if (current && !l.decision->wanted_online) return {Outcome::failed, "it was ordered offline meanwhile"};
    return {};
}

Operations::Verdict Operations::judge_offline(View const& view, Open const& o) const {
    Looked const l = look(view, o.command.target);
    if (!l.decision) return {Outcome::done, "it is gone from the configuration"};
    auto const stopped = [&](std::string const& n) {
        auto const* e = report_of(l, n);
        return e && e->stopped;
    };
    bool done = l.report && l.report->under >= o.under;
    if (l.resource) {
        for (auto const& n : with_dependents(*l.group, l.resource->name)) done = done && stopped(n);
    } else {
        for (auto const& r : l.group->resources) done = done && stopped(r.name);
    }
    if (done) return {Outcome::done, o.command.target + " is offline"};
    bool const reversed = l.decision->wanted_online && (!l.resource || !l.decision->held_offline.contains(l.resource->name));
    return reversed ? Verdict{Outcome::failed, "it was ordered online meanwhile"} : Verdict{};
}

Operations::Verdict Operations::judge_move(View const& view, Open& o) const {
    Looked const l = look(view, o.command.target);
    if (!l.decision) return {Outcome::failed, "it is gone from the configuration"};
    auto const to = find_node(view.spec, o.command.to);
    std::string stuck;
    bool const online = group_online(l, &stuck);
    if (!online && !o.away) o.away = view.now.mono;
    if (l.decision->owner == to && !l.decision->draining_to) {
        if (!l.decision->wanted_online) return {Outcome::done, o.command.target + " is owned by " + o.command.to + " now, and stays offline"};
        if (online) {
            std::string const away = o.away ? std::to_string(to_ms(view.now.mono - *o.away)) + " ms" : "no measurable time";
            return {Outcome::done, o.command.target + " is online on " + o.command.to + ": the service was away for " + away};
        }
        if (l.report && l.report->under >= o.under && !stuck.empty()) return {Outcome::failed, stuck};
        return {};
    }
    if (l.decision->draining_to != to) return {Outcome::failed, "the move was called off: " + l.decision->cause};
    return {};
}

Operations::Verdict Operations::judge_drained(View const& view, Open const& o) const {
    auto const node = find_node(view.spec, o.command.target);
    bool const pausing = o.command.verb == Verb::pause;
    if (!node) return {Outcome::failed, "it is gone from the configuration"};
    std::string const said = o.command.target + (pausing ? " is paused" : " is resumed");
    bool const moves = pausing ? o.command.drain : o.command.failback;
    if (!moves) return {Outcome::done, said};
    for (auto const& g : view.spec.groups) {
        auto const it = view.acting->groups.find(g.name);
        if (it == view.acting->groups.end()) continue;
        GroupDecision const& d = it->second;
        if (d.draining_to) return {};
        bool const stays = pausing ? d.owner == node && g.possible[at(other(*node))] : d.drained_from == node && d.owner != node && g.possible[at(*node)];
        if (stays) return {Outcome::failed, "group " + g.name + " stays on " + name_of(view.spec, d.owner) + ": " + d.cause};
        std::string stuck;
        Looked const l = look(view, g.name);
        if (d.drained_from == node || (!pausing && d.owner == node)) {
            if (d.wanted_online && !group_online(l, &stuck) && stuck.empty()) return {};
        }
    }
    return {Outcome::done, said + (pausing ? " and drained" : ", and its groups are home")};
}

// Both nodes act on it, and what it changes has found its place: is online, or has failed, or isn't wanted.
Operations::Verdict Operations::judge_applied(View const& view, Open const& o) const {
    if (view.acting->config->hash != o.command.config->hash) return {Outcome::done, "the configuration counted, and was changed again meanwhile"};
    if (view.config->hash != o.command.config->hash) return {};
    for (auto n : {NodeIndex::a, NodeIndex::b})
        if (view.reports[at(n)] && view.reports[at(n)]->under < o.under) return {};
    std::string failed;
    for (auto const& name : o.groups) {
        Looked const l = look(view, name);
        if (!l.group) continue;        // dropped
        if (!l.decision) return {};    // about to be placed
        if (!l.decision->wanted_online) continue;
        if (!l.report) continue;       // its owner is gone, and nobody can take it
        std::string stuck;
        if (group_online(l, &stuck)) continue;
        if (stuck.empty() || l.decision->draining_to) return {};
        failed += (failed.empty() ? "" : "; ") + stuck;
    }
    if (!failed.empty()) return {Outcome::failed, "the configuration counts now, and not all is online: " + failed};
    if (view.acting->unconfirmed.until_wall_ms != 0)
        return {Outcome::done, "the configuration counts now, and is taken back " + std::to_string((o.command.confirm_ms + 999) / 1000) + " s after it was decided, unless you say: clusterctl confirm"};
    return {Outcome::done, "the configuration counts now"};
}

Operations::Verdict Operations::judge(View const& view, Open& o) const {
    switch (o.command.verb) {
    case Verb::online: return judge_online(view, o);
    case Verb::offline: return judge_offline(view, o);
    case Verb::move: return judge_move(view, o);
    case Verb::fail:
    case Verb::reset: {
        Looked const l = look(view, o.command.target);
        if (l.report && l.report->under < o.under) return {};
        return {Outcome::done, o.command.target + (o.command.verb == Verb::fail ? " was made to fail; 'clusterctl status' shows what follows" : ": failures are forgotten")};
    }
    case Verb::pause:
    case Verb::resume: return judge_drained(view, o);
    case Verb::apply: return judge_applied(view, o);
    case Verb::confirm: return {Outcome::done, "confirmed: the configuration stays"};
    case Verb::maintenance: {
        std::string const what = o.command.target.empty() ? "every group" : o.command.target;
        return {Outcome::done, what + (o.command.on ? " is in maintenance: what fails is shown and left alone" : " is in maintenance no more")};
    }
    }
    return {};
}

void Operations::tell_progress(View const& view, Open& o, Effects& out) const {
    Looked const l = look(view, o.command.target);
    if (!l.group || !l.decision) return;
    for (auto n : {NodeIndex::a, NodeIndex::b}) {
        if (!view.reports[at(n)]) continue;
        for (auto const& r : l.group->resources) {
            auto const it = view.reports[at(n)]->resources.find(r.name);
            if (it == view.reports[at(n)]->resources.end()) continue;
            std::string const state = word(it->second.state);
            std::string& told = o.told[name_of(view.spec, n) + "/" + r.name];
            if (told.empty()) {
                told = state;
            } else if (told != state) {
                told = state;
                std::string text = r.name + " " + state + " on " + name_of(view.spec, n);
                if (!it->second.message.empty()) text += ": " + it->second.message;
                out.push_back(effect::CommandUpdate{o.command.id, Outcome::running, text});
            }
        }
    }
}

void Operations::observe(View const& view, Effects& out) {
    if (!view.acting) return;
    for (auto it = open_.begin(); it != open_.end();) {
        Open& o = it->second;
        bool const visible = o.accepted && view.acting->id >= o.under;
        if (o.sent) tell_progress(view, o, out);
        Verdict const v = visible ? judge(view, o) : Verdict{};
        if (v.outcome == Outcome::running) {
            ++it;
            continue;
        }
        out.push_back(effect::CommandUpdate{it->first, v.outcome, v.message});
        it = open_.erase(it);
    }
}

}  // namespace clusterd
