// What a node says about itself and its pair. Reads, decides nothing.
#include "clusterd/core/names.hpp"
#include "clusterd/core/node_impl.hpp"

#include <algorithm>

namespace clusterd {

namespace {

GroupState state_of(GroupSpec const& g, Report const* r) {
    int online = 0, offline = 0, up = 0, down = 0, failed = 0, unknown = 0;
    for (auto const& spec : g.resources) {
        auto const it = r ? r->resources.find(spec.name) : decltype(r->resources.find(spec.name)){};
        auto const s = r && it != r->resources.end() ? it->second.state : ResourceState::unknown;
        switch (s) {
        case ResourceState::online: ++online; break;
        case ResourceState::offline: ++offline; break;
        case ResourceState::online_pending: ++up; break;
        case ResourceState::offline_pending: ++down; break;
        case ResourceState::failed: ++failed; break;
        case ResourceState::unknown: ++unknown; break;
        }
    }
    if (down > 0) return GroupState::offline_pending;
    if (up > 0) return GroupState::online_pending;
    if (failed > 0 && online == 0) return GroupState::failed;
    if (unknown > 0) return GroupState::unknown;
    if (online > 0) return offline + failed > 0 ? GroupState::partial_online : GroupState::online;
    return GroupState::offline;
}

NodeState peer_state(Membership const& m, Now now) {
    if (m.peer_heard(now)) return m.peer().role == Role::seeking ? NodeState::seeking : NodeState::up;
    return m.role() == Role::alone ? NodeState::down : NodeState::unknown;
}

QuorumState quorum_state(Membership const& m, Spec const& spec, Now now, std::array<StoreId, 3> const& listed) {
    if (!spec.quorum_disk) return QuorumState::none;
    if (m.disk_busy() && now.mono - m.disk_busy_since() > spec.timing.permit) return QuorumState::failed;
    if (!m.disk_usable()) return QuorumState::failed;
    if (listed[2] != 0 && m.disk_id() != 0 && listed[2] != m.disk_id()) return QuorumState::failed;
    if (m.disk_busy() && now.mono - m.disk_busy_since() > spec.timing.permit / 5) return QuorumState::slow;
    return m.cycle_p99() > spec.timing.permit / 5 ? QuorumState::slow : QuorumState::ok;
}

void fill_groups(Node::Impl const& n, Now now, Status& s);

}  // namespace

Status Node::status(Now now) const {
    Impl const& n = *impl_;
    Membership const& m = n.membership;
    Spec const& spec = n.spec();
    DecisionPtr const& acting = n.replication.acting();
    Status s;
    s.cluster = spec.cluster;
    s.self = n.self();
    s.role = m.role();
    s.decision = id_of(acting);
    if (acting) s.origin = acting->origin, s.confirm_until = acting->unconfirmed.until_wall_ms;
    s.term = m.term();
    // What membership has last looked at may be over by now: a status is asked for at any time.
    bool const permitted = m.permitted(now);
    if (m.role() != Role::seeking && permitted) s.leader = m.role() == Role::alone ? n.self() : leader_of(m.term());
    s.permit = m.permit_source(now);
    s.permit_remaining_ms = permitted ? to_ms(m.permit_end() - now.mono) : 0;
    for (auto i : {NodeIndex::a, NodeIndex::b}) {
        NodeStatus& node = s.nodes[at(i)];
        node.name = name_of(spec, i);
        bool const own = i == n.self();
        node.incarnation = own ? m.incarnation() : m.peer_incarnation();
        node.state = own ? (m.role() == Role::seeking ? NodeState::seeking : NodeState::up) : peer_state(m, now);
        node.paused = acting && acting->paused[at(i)];
        if (node.paused && node.state == NodeState::up) node.state = NodeState::paused;
        node.flapping = acting && flaps(*acting, i, now.wall_ms);
        node.leaving = own ? n.leaving : n.reports[at(i)] && n.reports[at(i)]->leaving;
        for (auto const& l : spec.nodes[at(i)].links) node.links.push_back({l.address, false, -1});
    }
    s.quorum.disk = spec.quorum_disk.value_or("");
    s.quorum.state = quorum_state(m, spec, now, acting ? acting->stores : std::array<StoreId, 3>{});
    if (s.quorum.state == QuorumState::failed) s.quorum.message = m.disk_error();
    if (s.quorum.state == QuorumState::failed && s.quorum.message.empty()) s.quorum.message = "does not answer";
    s.quorum.latency_ms = m.cycle_p99().count() == 0 ? -1 : to_ms(m.cycle_p99());
    if (spec.quorum_disk) {
        s.quorum.slots[at(n.self())] = m.own_slot();
        s.quorum.slots[at(n.peer())] = m.peer_slot();
    }
    fill_groups(n, now, s);
    if (m.worst_margin() != Duration::max()) s.worst_margin_ms = to_ms(m.worst_margin());
    if (m.forced()) s.warnings.push_back("runs by 'clusterctl quorum force', without the quorum disk and without its peer");
    if (n.gave_up) s.warnings.push_back("gave up its permit, because " + n.unstoppable + " can't be stopped here: end what is left of it by hand, or restart the machine");
    else if (n.giving_up) s.warnings.push_back(n.unstoppable + " can't be stopped here: what can moves to " + name_of(spec, n.peer()) + ", then this node gives up its permit");
    if (m.peer_heard(now) && m.peer().abstains && !s.nodes[at(n.peer())].leaving)
        s.warnings.push_back(name_of(spec, n.peer()) + " gave up its permit, because something can't be stopped there: see 'clusterctl status' on it");
    if (!n.replication.blocked().empty()) s.warnings.push_back(n.replication.blocked());
    for (std::size_t i = 0; i < n.networks.size(); ++i)
        if (n.networks[i] == 0) s.warnings.push_back("network " + spec.networks[i].name + " (" + spec.networks[i].interface + ") is down on this node");
    Timing const& t = spec.timing;
    Duration const need = 2 * t.suspect + 2 * m.cycle_p99() + m.fsync_p99() + t.kill;
    if (need >= t.permit)
        s.warnings.push_back("the quorum disk or the state directory is slow for these timings (a cycle takes " + std::to_string(to_ms(m.cycle_p99())) + " ms, an fsync " +
                             std::to_string(to_ms(m.fsync_p99())) + " ms): see 'clusterctl show timing', or use a longer permit");
    return s;
}

namespace {

void fill_groups(Node::Impl const& n, Now now, Status& s) {
    auto const reports = n.known_reports();
    DecisionPtr const& acting = n.replication.acting();
    for (auto const& g : n.spec().groups) {
        GroupStatus group;
        group.name = g.name;
        group.failover_limit = g.failover_limit;
        Report const* r = &n.reconciler.report();
        GroupDecision const* d = nullptr;
        if (acting) {
            auto const it = acting->groups.find(g.name);
            if (it != acting->groups.end()) d = &it->second;
        }
        std::int64_t stale = 0;
        if (d) {
            group.owner = d->owner;
            group.draining_to = d->draining_to;
            group.wanted_online = d->wanted_online;
            group.cause = d->cause;
            group.maintenance_until = d->maintenance_until;
            group.failovers_in_window = static_cast<int>(d->failovers.size());
            r = reports[at(d->owner)];
            if (!r && n.reports[at(d->owner)]) stale = std::max<std::int64_t>(1, to_ms(now.mono - n.membership.peer_last_heard()));
        }
        for (auto const& spec : g.resources) {
            ResourceStatus e;
            e.name = spec.name;
            e.type = spec.type;
            e.stale_ms = stale;
            if (r) {
                auto const it = r->resources.find(spec.name);
                if (it != r->resources.end()) e.report = it->second;
            } else {
                e.report.message = "its node hasn't been heard";
            }
            group.resources.push_back(std::move(e));
        }
        group.state = d ? state_of(g, r) : GroupState::offline;
        s.groups.push_back(std::move(group));
    }
}

}  // namespace

}  // namespace clusterd
