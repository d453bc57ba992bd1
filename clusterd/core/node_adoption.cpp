// A decision that this node acts on from now on: what it means for what runs here, for the configuration that counts here, and for the time
// lines of what it moves. Called in every round of Node::step, by settle().
#include "clusterd/core/node_impl.hpp"

#include "clusterd/core/change.hpp"
#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd {

// A decision is newly acted on: what was moved by it gets its timeline, and its configuration counts as soon as it may.
void Node::Impl::adopt(Now now, Effects& out) {
    DecisionPtr const acting = replication.acting();
    if (acting != before) {
        if (membership.leads() && acting) begin_timelines(now, before.get(), *acting);
        stop_what_was_taken_over(before.get(), acting.get(), out);
        before = acting;
        making_way = what_makes_way(*config, acting.get());
    }
    go_over(now, out);
}

// The other node takes over only when this one's permits are certainly over, and then nothing runs here any more. Where something does, this
// node's clock stood still meanwhile (a virtual machine that was paused), and what it believed of its permit was never so: it ends at once.
void Node::Impl::stop_what_was_taken_over(Decision const* was, Decision const* is, Effects& out) {
    if (!was || !is || emergency || !reconciler.anything_may_be_here()) return;
    for (auto const& [name, d] : is->groups) {
        auto const old = was->groups.find(name);
        bool const taken = old != was->groups.end() && old->second.owner == self() && d.owner == peer();  // one on its way there, too: it was still here
        if (!taken || is->id.term <= was->id.term) continue;
        GroupSpec const* const g = find_group(spec(), name);
        bool const here = g && std::any_of(g->resources.begin(), g->resources.end(), [&](ResourceSpec const& r) { return !reconciler.quiet({r.name}); });
        if (!here) continue;
        emergency = true;
        out.push_back(effect::EmergencyStop{name_of(spec(), peer()) + " has taken over"});
        out.push_back(effect::RecordEvent{Severity::critical, name, "", name_of(spec(), peer()) + " took group " + name + " over while it still ran here: everything here is stopped. Was this machine paused? "
                                                                    "A paused machine's permit stands still with it: see docs/guide.md, \"Paused or snapshotted virtual machines\"", EventKind::taken_over_while_running});
        return;
    }
}

void Node::Impl::begin_timelines(Now now, Decision const* old, Decision const& decision) {
    for (auto const& [name, d] : decision.groups) {
        GroupDecision const* was = nullptr;
        if (old) {
            auto const it = old->groups.find(name);
            if (it != old->groups.end()) was = &it->second;
        }
        if (!was) continue;
        if (d.draining_to && was->draining_to != d.draining_to) {
            timelines.begin(now, name, d.owner, *d.draining_to, d.cause, now.mono, {});
        } else if (d.owner != was->owner && d.owner == self() && membership.role() == Role::alone) {  // also out of a drain
            Instant const heard = membership.r_last(), seeking = std::max(membership.seeking_since(), heard);
            Instant const alone = std::max(membership.alone_since(), seeking);
            Instant const allowed = std::clamp(membership.takeover_at(), alone, now.mono);
            timelines.begin(now, name, was->owner, d.owner, d.cause, heard,
                            {{"detect", to_ms(seeking - heard)}, {"arbitrate", to_ms(alone - seeking)}, {"permit wait", to_ms(allowed - alone)}, {"decide", to_ms(now.mono - allowed)}});
        }
    }
}

// To the configuration of the decision acted on. A node that was away while it was decided may still be ending, or finding out about,
// what it drops: that is done first, under the configuration that knows it.
void Node::Impl::go_over(Now now, Effects& out) {
    DecisionPtr const& acting = replication.acting();
    if (!acting || !acting->config || acting->config->hash == config->hash || emergency || !reconciler.quiet(making_way)) return;
    bool const other_networks = acting->config->spec.networks != spec().networks;
    config = acting->config;
    reconciler.configure(spec(), now);
    if (other_networks) networks.assign(spec().networks.size(), 1);
    making_way = acting->making_way;
    out.push_back(effect::RecordEvent{Severity::info, "", "", "the configuration of decision " + std::to_string(acting->id.term) + "." + std::to_string(acting->id.index) + " counts now", EventKind::config_counts});
}

}  // namespace clusterd
