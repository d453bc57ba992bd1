// How a node gives up what it has: because it is stopped (SIGTERM), or because something on it can't be; and when its peer is lost.
// Part of Node; called by node.cpp at every step.
#include "clusterd/core/names.hpp"
#include "clusterd/core/node_impl.hpp"

#include <algorithm>

namespace clusterd {

// Wanted here, killed in vain, and possible on a peer that could have it: that group would be blocked for as long as this node holds a
// permit. Where nobody could take it, giving up would only end the rest as well.
void Node::Impl::find_unstoppable(Now now) {
    bool const was = giving_up;
    giving_up = false;
    if (gave_up || !reconciler.anything_unstoppable() || !peer_can_take() || !spec().quorum_disk || !membership.peer().disk_ok || !membership.peer_heard(now)) return;
    auto const in_this_term = [&](DecisionId id) { return id.term == membership.term(); };
    if (!in_this_term(replication.acting()->id) || !in_this_term(reports[at(peer())]->under)) return;  // it has just joined: not settled yet
    for (auto const& g : spec().groups) {
        auto const it = replication.acting()->groups.find(g.name);
        if (it == replication.acting()->groups.end() || it->second.owner != self() || !it->second.wanted_online || !g.possible[at(peer())]) continue;
        std::string const resource = reconciler.unstoppable(g);
        if (resource.empty() || (!it->second.draining_to && it->second.held_offline.contains(resource))) continue;
        giving_up = true;
        unstoppable = resource + " of group " + g.name;
    }
    if (giving_up && !was) giving_up_since = now.mono;
}

bool Node::Impl::others_moved_away() const {
    return std::none_of(spec().groups.begin(), spec().groups.end(), [&](GroupSpec const& g) {
        auto const it = replication.acting()->groups.find(g.name);
        return it != replication.acting()->groups.end() && it->second.owner == self() && g.possible[at(peer())] && reconciler.unstoppable(g).empty();
    });
}

// design.md, "Failure policy": where even killing can't be proven, the node gives up its permit instead of blocking for ever. The
// peer then goes to the quorum disk and takes over once this permit is over; what was killed runs no code of its own any more, and
// the gate is closed. This node takes part again once nothing is left.
void Node::Impl::give_up_if_stuck(Now now, Effects& out) {
    if (gave_up) {
        if (emergency || reconciler.anything_running()) return;
        gave_up = false;
        membership.around.abstains = false;
        out.push_back(effect::RecordEvent{Severity::info, "", "", "nothing is left of " + unstoppable + ": " + name_of(spec(), self()) + " takes part again", EventKind::takes_part_again});
        return;
    }
    if (!giving_up || (!others_moved_away() && now.mono - giving_up_since < move_patience)) return;
    giving_up = false;
    gave_up = true;
    membership.around.abstains = true;
    std::erase_if(out, [](Effect const& e) { return std::holds_alternative<effect::Permit>(e); });  // a renewal by this very step
    membership.step_down(now, "it gave up its permit: something here can't be stopped", out);
    out.push_back(effect::EmergencyStop{"the permit is given up"});
    emergency = true;
    out.push_back(effect::RecordEvent{Severity::critical, "", "", unstoppable + " can't be stopped here: " + name_of(spec(), self()) + " gives up its permit, so that " +
                                                                      name_of(spec(), peer()) + " can take over. End what is left by hand, or restart the machine", EventKind::gives_up});
}

void Node::Impl::leave_if_done(Now now, Effects& out) {
    if (!leaving || left || emergency || reconciler.anything_running()) return;
    Rights const r = rights(now);
    if (r.peer_takes && replication.acting()) {
        for (auto const& g : spec().groups) {
            auto const it = replication.acting()->groups.find(g.name);
            if (it != replication.acting()->groups.end() && it->second.owner == self() && g.possible[at(peer())]) return;
        }
    }
    // The leader stays until what it handed over is online there: it tells the tale, and its grants keep the other's permit.
    bool const patient = now.mono - leaving_since < leave_patience;
    if (joined() && membership.leads() && timelines.any() && patient) return;
    if (joined()) {
        left = true;
        out.push_back(effect::Left{});
        return;
    }
    if (marked_since == long_ago) {  // the disk is told that everything here is stopped: the peer needn't wait
        marked_since = now.mono;
        membership.around.abstains = true;
        membership.step_down(now, "leaves", out);
        membership.advance(now, out);
    }
    bool const marked = !spec().quorum_disk || membership.stop_marked();
    if (marked || now.mono - marked_since >= mark_patience) {
        left = true;
        out.push_back(effect::Left{});
    }
}

void Node::Impl::note_loss() {
    switch (membership.role()) {
    case Role::joined: was_joined = true; peer_lost = false; break;
    case Role::seeking: peer_lost = false; break;
    case Role::alone:
        if (!was_joined) break;
        was_joined = false;
        bool const left_cleanly = reports[at(peer())] && reports[at(peer())]->leaving;
        peer_lost = !left_cleanly && !membership.peer().abstains;
    }
}

}  // namespace clusterd
