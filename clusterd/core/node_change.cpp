// A new configuration while the cluster runs (clusterctl apply): the leader's part. How each node goes over to it: node_adoption.cpp.
//
// Two decisions. The first leaves the configuration as it is and lists what the new one drops or replaces (Decision::making_way): whoever
// runs something of that takes it offline, by the driver that started it. Once both nodes' reports under that very decision say that it
// is stopped, or the other node is gone and its permits are over, the second names the new configuration.
// The leader keeps the configuration in between in memory only. If it is lost, its follower calls the change off and all that made way
// comes back: an operator who was told nothing has changed nothing.
#include "clusterd/core/node_impl.hpp"

#include "clusterd/core/change.hpp"
#include "clusterd/core/names.hpp"

#include <algorithm>
#include <utility>

namespace clusterd {

namespace {

// What a group's decision says of resources that it has no more. What an operator took offline stays so in another group, too.
void forget_dropped(Spec const& spec, Decision& d) {
    std::set<std::string> held;
    for (auto const& [name, group] : d.groups) held.insert(group.held_offline.begin(), group.held_offline.end());
    for (auto const& name : held)
        if (Found const found = find_by_name(spec, name); found.resource != nullptr)
            if (auto const to = d.groups.find(found.group->name); to != d.groups.end()) to->second.held_offline.insert(name);
    for (auto& [name, group] : d.groups) {
        GroupSpec const* const g = find_group(spec, name);
        if (!g) continue;  // the planner drops it
        auto const has = [g](std::string const& r) { return std::any_of(g->resources.begin(), g->resources.end(), [&](ResourceSpec const& s) { return s.name == r; }); };
        std::erase_if(group.held_offline, [&](std::string const& r) { return !has(r); });
        std::erase_if(group.fail_orders, [&](auto const& e) { return !has(e.first); });
        std::erase_if(group.reset_orders, [&](auto const& e) { return !has(e.first); });
    }
}

void decide(Command const& c, std::int64_t wall_ms, Decision& d) {
    d.unconfirmed = {};
    if (c.confirm_ms > 0) d.unconfirmed = {wall_ms + c.confirm_ms, c.confirm_ms, d.config->xml};
    d.origin = {d.origin.revision + 1, wall_ms, c.user, c.reason};
    d.config = c.config;
    d.making_way.clear();
    forget_dropped(c.config->spec, d);
}

}  // namespace

CommandVerdict Node::Impl::begin_change(PlanView const& view, Command const& c, bool is_from_peer, Decision& d) {
    auto const refuse = [](std::string why) { return CommandVerdict{false, false, std::move(why)}; };
    if (!c.config) return refuse(name_of(view.spec, self()) + ", which leads, can't read this configuration: is its clusterd of another version?");
    if (change) return refuse("another change of the configuration is under way" + (change->command.user.empty() ? "" : ", by " + change->command.user) + "; try again when it is done");
    if (c.base != Hash{} && d.config->hash != c.base) return refuse("the configuration was changed by someone else meanwhile: look at the difference again");
    if (c.config->hash == d.config->hash) return {true, false, "this configuration counts already"};
    ConfigChange const difference = compare(d.config->spec, c.config->spec);  // of the draft: another may have been decided in it just now
    if (!difference.fixed.empty()) return refuse("it can't be changed while the cluster runs: " + listed(difference.fixed));
    if (c.confirm_ms > 0 && d.config->xml.size() > longest_unconfirmed_xml)
        return refuse("the configuration that counts is too long to be kept for --confirm (more than " + std::to_string(longest_unconfirmed_xml) + " bytes): apply it without");
    auto const way = difference.makes_way();
    for (auto const& name : way) {
        auto const group = d.groups.find(find_by_name(d.config->spec, name).group->name);
        if (group != d.groups.end() && group->second.maintenance_until != 0)
            return refuse("it takes " + name + " offline, and group " + group->first + " is in maintenance: end that first, with 'clusterctl maintenance off " + group->first + "'");
    }
    if (way.empty()) {
        decide(c, view.now.wall_ms, d);
        return {true, true, {}};
    }
    d.making_way = way;
    change = Change{c, is_from_peer, way};
    return {true, true, {}};
}

// What another leader, or this one's predecessor, had begun.
bool Node::Impl::call_off_stale_change(Decision& d) const {
    if (change || d.making_way.empty()) return false;
    d.making_way.clear();
    return true;
}

bool Node::Impl::way_is_free(PlanView const& view, Decision const& base) const {
    for (auto n : {NodeIndex::a, NodeIndex::b}) {
        if (!view.member(n)) {
            if (!view.may_take_over) return false;
            continue;
        }
        Report const* r = view.reports[at(n)];
        if (!r || r->under != base.id) return false;
        for (auto const& name : base.making_way) {
            auto const it = r->resources.find(name);
            if (it == r->resources.end() || !it->second.stopped) return false;
        }
    }
    return true;
}

// `d` is a copy of the decision that all act on, as it was committed.
bool Node::Impl::finish_change(PlanView const& view, Decision& d) {
    DecisionPtr const& base = replication.base();
    if (!change || !base || base->making_way != change->making_way || !way_is_free(view, *base)) return false;
    decide(change->command, view.now.wall_ms, d);
    answers.push_back({change->command, change->from_peer, {change->command.id, true, {}, {}}});
    reasons.push_back({Severity::info, "", (change->command.user.empty() ? std::string("an operator") : change->command.user) + ": apply: a new configuration" + because(change->command), EventKind::command});
    change.reset();
    return true;
}

// On the leader: what nobody confirmed in time is taken back, by a command like any other. The wall clock says until when, so that a new
// leader knows it, too; a clock that is set back doesn't make it longer than it was to be.
void Node::Impl::revert_if_unconfirmed(Now now, Effects& out) {
    DecisionPtr const& base = replication.base();
    if (!base || base->unconfirmed.until_wall_ms == 0) {
        revert_at = forever;
        revert_for = {};
        return;
    }
    if (revert_for != base->config->hash) {
        Unconfirmed const& u = base->unconfirmed;
        revert_for = base->config->hash;
        revert_told = false;
        revert_at = now.mono + std::chrono::milliseconds(std::clamp<std::int64_t>(u.until_wall_ms - now.wall_ms, 0, u.for_ms));
    }
    if (now.mono < revert_at) return;
    revert_at = now.mono + revert_pace;  // until it is decided: something may be in its way, a maintenance for one
    out.push_back(effect::RevertConfiguration{base->unconfirmed.previous_xml, base->config->hash});
    if (!std::exchange(revert_told, true))
        out.push_back(effect::RecordEvent{Severity::warning, "", "", "the configuration of revision " + std::to_string(base->origin.revision) + " was not confirmed in time: the one before comes back",
                                          EventKind::config_reverted});
}

void Node::Impl::drop_change(std::string const& why, Effects& out) {
    if (!change) return;
    answer({change->command, change->from_peer, {change->command.id, false, {}, why}}, out);
    change.reset();
}

}  // namespace clusterd
