#include "clusterd/core/node.hpp"

#include "clusterd/core/change.hpp"
#include "clusterd/core/names.hpp"
#include "clusterd/core/node_impl.hpp"

#include <algorithm>
#include <utility>

namespace clusterd {

namespace {

Membership make_membership(StartState const& s, Now now) {
    Spec const& spec = (s.stored ? s.stored->config : s.seed)->spec;
    Membership::Self const self{s.self, s.incarnation, s.store, spec.quorum_disk.has_value()};
    if (!s.resume) return Membership(self, s.terms, now);
    return Membership(self, s.terms, *s.resume, now);
}

}  // namespace

Node::Impl::Impl(StartState s, Now now)
    : start(std::move(s)),
      config(start.stored ? start.stored->config : start.seed),
      membership(make_membership(start, now)),
      replication(start.store, start.stored, start.terms),
      reconciler(start.self, start.incarnation),
      last(now) {
    reconciler.configure(spec(), now);
    if (start.resume && start.resume->permit_end > now.mono) reconciler.goes_on();  // else the guard has ended it all
    networks.assign(spec().networks.size(), 1);
    permit_told = !start.resume.has_value();
    surround();
}

// ---- what everyone needs to know of everyone ----------------------------------------------------------------------------------

bool Node::Impl::may_run(Now now) const {
    return !emergency && now.mono < membership.permit_end() - spec().timing.kill;
}

bool Node::Impl::peer_can_take() const {
    if (!joined() || !sync_up || !replication.acting()) return false;
    auto const& r = reports[at(peer())];
    return r && !r->leaving && !r->giving_up && !replication.acting()->paused[at(peer())];
}

Rights Node::Impl::rights(Now now) const {
    Rights r;
    r.may_run = may_run(now);
    DecisionPtr const& acting = replication.acting();
    r.may_start = r.may_run && membership.role() != Role::seeking && acting && replication.confirmed() && acting->id.term == membership.term();
    bool const patient = now.mono - leaving_since < leave_patience;
    r.peer_takes = leaving && peer_can_take() && patient;
    r.leaving_now = leaving && !r.peer_takes;
    r.joined = joined();
    r.peer = known_reports()[at(peer())];
    return r;
}

std::array<Report const*, 2> Node::Impl::known_reports() const {
    std::array<Report const*, 2> known{};
    known[at(self())] = &reconciler.report();
    auto const& r = reports[at(peer())];
    if (joined() && r && r->incarnation == membership.peer_incarnation()) known[at(peer())] = &*r;
    return known;
}

PlanView Node::Impl::plan_view(Now now) const {
    // The planner's configuration is that of the decision it goes on from, whether or not this node has gone over to it yet.
    DecisionPtr const& base = replication.base();
    return PlanView{base && base->config ? base->config->spec : spec(), known_reports(), self(), joined(), membership.may_take_over(now), now};
}

void Node::Impl::surround() {
    auto& a = membership.around;
    a.timing = spec().timing;
    DecisionPtr const& stored = replication.stored();
    a.newest = id_of(stored);
    a.cluster = stored ? stored->cluster : start.cluster;
    a.listed = stored ? stored->stores : std::array<StoreId, 3>{};
    a.fitness.groups_online = reconciler.groups_online();
    a.fitness.networks_down = static_cast<std::uint8_t>(std::count(networks.begin(), networks.end(), 0));
    a.networks = 0;
    for (std::size_t i = 0; i < networks.size() && i < 32; ++i) a.networks |= static_cast<std::uint32_t>(networks[i]) << i;
    a.anything_running = reconciler.anything_running() || emergency;
    a.anything_online = reconciler.anything_online();
    // A fresh disk would let a node that lost its store found the cluster anew, whatever this pair has decided.
    bool const votes = a.listed[2] == 0 || a.listed[2] == membership.disk_id();
    a.seed_disk = spec().quorum_disk.has_value() && (replication.new_cluster() || (membership.disk_fresh() && votes));
}

// ---- the permit's end -----------------------------------------------------------------------------------------------------------

// The worker's own enforcement, the first of several: at permit end - K everything is ended. `from`: effects before it are known.
void Node::Impl::enforce_permit(Now now, Effects& out, std::size_t from) {
    for (auto i = from; i < out.size(); ++i)
        if (std::holds_alternative<effect::EmergencyStop>(out[i])) emergency = true;
    Instant const end = membership.permit_end();
    bool const due = end > long_ago && now.mono >= end - spec().timing.kill && reconciler.anything_running() && emergency_for != end;
    if (emergency || !due) return;
    emergency = true;
    emergency_for = end;
    out.push_back(effect::EmergencyStop{"the permit ends"});
    out.push_back(effect::RecordEvent{Severity::critical, "", "", "the permit ends (" + membership.last_change() + "): everything here is stopped", EventKind::permit_ended, evidence(now)});
}

// ---- decisions --------------------------------------------------------------------------------------------------------------------

// Every store that votes is listed; the first decision after a join lists a new one.
std::array<StoreId, 3> Node::Impl::voters(std::array<StoreId, 3> listed) const {
    if (start.store != 0) listed[at(self())] = start.store;
    if (joined() && replication.follower_store() != 0) listed[at(peer())] = replication.follower_store();
    // Also if it fails just now: not listed with the first decision it would never be, for it isn't fresh afterwards.
    if (listed[2] == 0 && membership.disk_fresh()) listed[2] = membership.disk_id();
    return listed;
}

Decision Node::Impl::draft(bool& changed) const {
    changed = replication.base_unproven();
    Decision d;
    if (replication.base()) {
        d = *replication.base();
    } else {
        d.cluster = membership.disk_id() != 0 ? membership.disk_cluster() : start.fresh_cluster;
        d.config = start.seed;
        changed = true;
    }
    changed = call_off_stale_change(d) || changed;
    auto const stores = voters(d.stores);
    changed = changed || stores != d.stores;
    d.stores = stores;
    if (peer_lost && replication.first_of_term()) d.losses[at(peer())].push_back(last.wall_ms);
    return d;
}

void Node::Impl::answer(Answer const& a, Effects& out) {
    if (a.from_peer) out.push_back(effect::SendSync{a.answer});
    else operations.answered(a.answer, out);
}

void Node::Impl::decide_commands(PlanView const& view, Decision& d, bool& changed, Effects& out) {
    for (auto const& c : queue) {
        Decision tried = d;
        bool const applies = c.verb == Verb::apply;
        CommandVerdict const v = applies ? begin_change(view, c, from_peer.contains(c.id), tried) : apply_command(view, c, tried);
        if (applies && change && change->command.id == c.id) {  // answered when it is decided
            d = std::move(tried);
            changed = true;
            reasons.push_back({Severity::info, "", (c.user.empty() ? std::string("an operator") : c.user) + ": apply: offline first: " + listed(change->making_way) + because(c), EventKind::command});
            continue;
        }
        Answer a{c, from_peer.contains(c.id), {c.id, v.accepted, {}, v.message}};
        if (v.accepted && v.changed) {
            d = std::move(tried);
            changed = true;
            answers.push_back(a);
            GroupSpec const* const group = find_by_name(view.spec, c.target).group;
            reasons.push_back({Severity::info, group ? group->name : "", (c.user.empty() ? std::string("an operator") : c.user) + ": " + word(c.verb) + " " + c.target +
                                                       (c.to.empty() ? "" : " to " + c.to) + because(c), EventKind::command});
        } else {
            a.answer.under = id_of(replication.base());
            answer(a, out);
        }
    }
    queue.clear();
    from_peer.clear();
}

void Node::Impl::drop_answers(Effects& out) {
    for (auto const& a : answers) {
        char const* const why = "the leader changed before it was decided: it may or may not be; see 'clusterctl status'";
        if (!a.from_peer) operations.fail(a.command.id, why, out);  // the peer sees for itself that its leader is lost
    }
    answers.clear();
    reasons.clear();
}

void Node::Impl::lead(Now now, Effects& out) {
    if (DecisionId const id = replication.committed_now(); id.exists() && id == proposal) {
        for (auto const& r : reasons) out.push_back(effect::RecordEvent{r.severity, r.group, "", r.text, r.kind, r.evidence});
        for (auto a : answers) {
            a.answer.under = id;
            answer(a, out);
        }
        reasons.clear();
        answers.clear();
    }
    if (!membership.leads()) {
        drop_answers(out);
        for (auto const& c : queue) answer({c, from_peer.contains(c.id), {c.id, false, {}, "this node leads no more; try again"}}, out);
        queue.clear();
        from_peer.clear();
        drop_change("the leader changed before it was decided, and nothing was changed; try again", out);
        timelines.clear();
        revert_at = forever;
        revert_for = {};
        return;
    }
    if (!replication.may_decide() || !membership.permitted(now)) return;
    drop_answers(out);  // of a proposal that went under with its term
    revert_if_unconfirmed(now, out);
    PlanView const view = plan_view(now);
    reasons.clear();
    // At nearly every step nothing is to be decided: then the decision isn't even copied.
    DecisionPtr const base_now = replication.base();
    bool const to_seed = joined() && membership.around.seed_disk && !membership.seeded();
    bool const as_it_is = base_now && !replication.base_unproven() && queue.empty() && voters(base_now->stores) == base_now->stores && !to_seed &&
                          base_now->making_way.empty() && !change;
    bool changed = false;
    Decision d = as_it_is ? Decision{} : draft(changed);
    changed = changed || to_seed;
    if (!as_it_is && finish_change(view, d)) changed = true;
    decide_commands(view, d, changed, out);
    // What is new in the draft nobody has acted on yet: under its id no report says "stopped", as one under the base's may, from before
    // that group was to be moved. (Seed 10011326: moved in the moment in which its owner began to start it.)
    DecisionId const base = id_of(replication.base());
    DecisionId const next{membership.term(), base.term == membership.term() ? base.index + 1 : 1};
    if (changed) d.id = next;
    Plan p = plan(view, as_it_is ? *base_now : d);
    if (!changed && !p.changed) return;
    if (!p.changed) p.next = std::move(d);
    for (auto& r : p.reasons) {
        if (r.kind == EventKind::takeover) r.evidence = evidence(now);
        reasons.push_back(std::move(r));
    }
    bool const flaps_now = flaps(p.next, peer(), now.wall_ms) && !(replication.base() && flaps(*replication.base(), peer(), now.wall_ms));
    if (flaps_now)
        reasons.push_back({Severity::warning, "", name_of(spec(), peer()) + " was lost " + std::to_string(flaps_at) + " times within an hour: no group fails back to it until an hour is over or an operator says 'clusterctl resume " +
                                                      name_of(spec(), peer()) + "'", EventKind::node_flaps});
    p.next.id = next;
    if (!p.next.config) p.next.config = config;
    proposal = p.next.id;
    replication.propose(std::make_shared<Decision const>(std::move(p.next)));
}

// ---- commands -----------------------------------------------------------------------------------------------------------------

void Node::Impl::route_commands(Effects& out) {
    for (auto& c : operations.unsent()) {
        bool const nothing_decided = !replication.acting();
        if (membership.role() == Role::seeking || nothing_decided) {
            operations.refuse(c.id, "this node has no quorum at the moment (" + membership.last_change() + "), so nothing can be decided; see 'clusterctl status'", out);
        } else if (membership.leads()) {
            queue.push_back(c);
            operations.sent(c.id);
        } else if (sync_up) {
            out.push_back(effect::SendSync{sync::CommandForward{c}});
            operations.sent(c.id);
        } else {
            operations.refuse(c.id, "the leader, " + name_of(spec(), peer()) + ", can't be reached at the moment; try again, or there", out);
        }
    }
}

// ---- resources ------------------------------------------------------------------------------------------------------------------

// A network that is down here and well on the peer fails its addresses: the group is better off there.
void Node::Impl::fail_addresses_of_bad_networks(Now now, Effects& out) {
    if (!joined() || !membership.peer_heard(now)) return;
    for (std::size_t i = 0; i < spec().networks.size() && i < 32; ++i) {
        bool const better_there = networks[i] == 0 && (membership.peer().networks >> i & 1U) != 0;
        if (!better_there) continue;
        NetworkSpec const& n = spec().networks[i];
        for (auto const& g : spec().groups)
            for (auto const& r : g.resources) {
                auto const it = r.attributes.find("interface");
                if (r.type != "ip-address" || it == r.attributes.end() || it->second != n.interface) continue;
                reconciler.fail(now, r.name, "network " + n.name + " is down here and well on " + name_of(spec(), peer()), false, out);
            }
    }
}

// While the peer's permit runs out, what can be found out ahead is: is the address free?
void Node::Impl::prepare_takeover(Now now, Effects& out) {
    Instant const since = membership.seeking_since();
    if (joined() || membership.peer_heard(now) || membership.may_take_over(now) || prepared_for == since || !replication.acting()) return;
    prepared_for = since;
    for (auto const& g : spec().groups) {
        auto const it = replication.acting()->groups.find(g.name);
        if (it == replication.acting()->groups.end() || it->second.owner != peer()) continue;
        for (auto const& r : g.resources)
            if (r.type == "ip-address") out.push_back(effect::ResourceAction{ActionKind::prepare, r.name, 0, r.online_timeout});
    }
}

void Node::Impl::report(Now now, Effects& out) {
    DecisionId const under = replication.confirmed() ? id_of(replication.acting()) : DecisionId{};
    if (!reconciler.refresh_report(now, under, leaving, giving_up)) return;
    if (sync_up) out.push_back(effect::SendSync{reconciler.report()});
}

void Node::Impl::tell_role(Now now, Effects& out) {
    if (told_any_role && told_role == membership.role()) return;
    told_any_role = true;
    told_role = membership.role();
    char const* const words[] = {"seeks the peer and the quorum disk", "is alone and goes on", "is joined with its peer"};
    EventKind const kinds[] = {EventKind::seeking, EventKind::alone, EventKind::joined};
    out.push_back(effect::RecordEvent{told_role == Role::joined ? Severity::info : Severity::warning, "", "",
                                      name_of(spec(), self()) + " " + words[static_cast<int>(told_role)] + ": " + membership.last_change(),
                                      kinds[static_cast<int>(told_role)], evidence(now)});
    if (told_role == Role::seeking) operations.leader_lost(out);
}

// ---- every step -----------------------------------------------------------------------------------------------------------------

void Node::Impl::settle(Now now, Effects& out) {
    // Each round may enable the next (a decision commits, is adopted, starts something, changes the report ...).
    for (int round = 0; round < 8; ++round) {
        auto const before_round = out.size();
        surround();
        membership.advance(now, out);
        note_loss();
        replication.advance(now, membership, sync_up, out);
        adopt(now, out);
        find_unstoppable(now);
        give_up_if_stuck(now, out);
        route_commands(out);
        lead(now, out);
        enforce_permit(now, out, before_round);
        fail_addresses_of_bad_networks(now, out);
        if (!emergency) reconciler.reconcile(now, rights(now), replication.acting().get(), making_way, out);
        prepare_takeover(now, out);
        report(now, out);
        tell_role(now, out);
        if (replication.acting()) timelines.observe(now, spec(), *replication.acting(), known_reports(), out);
        operations.observe({spec(), replication.acting().get(), known_reports(), now, config}, out);
        leave_if_done(now, out);
        // A heartbeat says how things are: it enables nothing.
        auto const enables = [](Effect const& e) { return !std::holds_alternative<effect::SendHeartbeat>(e); };
        if (out.size() >= before_round && std::none_of(out.begin() + static_cast<std::ptrdiff_t>(before_round), out.end(), enables)) break;
    }
}

void Node::Impl::on(Now, event::Tick const&, Effects&) {}
void Node::Impl::on(Now now, event::HeartbeatReceived const& e, Effects& out) { membership.on_heartbeat(now, e.heartbeat, out); }

void Node::Impl::on(Now, event::SyncUp const&, Effects& out) {
    sync_up = true;
    replication.on_sync_up();
    out.push_back(effect::SendSync{reconciler.report()});
}

void Node::Impl::on(Now, event::SyncDown const&, Effects& out) {
    sync_up = false;
    if (!membership.leads()) operations.leader_lost(out);
}

void Node::Impl::on(Now now, event::SyncReceived const& e, Effects& out) {
    if (auto const* m = std::get_if<sync::FollowerState>(&e.message)) replication.on_sync(now, *m, membership, out);
    else if (auto const* s = std::get_if<sync::StoreDecision>(&e.message)) replication.on_sync(now, *s, membership, out);
    else if (auto const* d = std::get_if<sync::DecisionStored>(&e.message)) replication.on_sync(now, *d, membership);
    else if (auto const* r = std::get_if<Report>(&e.message)) {
        auto& known = reports[at(peer())];
        if (r->node == peer() && (!known || known->incarnation != r->incarnation || r->sequence > known->sequence)) known = *r;
    } else if (auto const* c = std::get_if<sync::CommandForward>(&e.message)) {
        if (membership.leads()) {
            queue.push_back(c->command);
            from_peer.insert(c->command.id);
        } else {
            out.push_back(effect::SendSync{sync::CommandAnswer{c->command.id, false, {}, "the leader changed; try again"}});
        }
    } else if (auto const* a = std::get_if<sync::CommandAnswer>(&e.message)) operations.answered(*a, out);
    else if (auto const* h = std::get_if<sync::History>(&e.message)) out.push_back(effect::RecordFailover{h->record, false});
}

void Node::Impl::on(Now now, event::Persisted const& e, Effects& out) {
    if (replication.on_persisted(now, e, out)) {
        surround();
        membership.persisted(now, replication.durable(), replication.last_persist(), out);
    }
}

void Node::Impl::on(Now now, event::CycleDone const& e, Effects& out) { membership.on_cycle(now, e, out); }
void Node::Impl::on(Now now, event::DiskReadDone const& e, Effects& out) { membership.on_read(now, e, out); }
void Node::Impl::on(Now now, event::DiskDecisionStored const& e, Effects&) { replication.on_disk_stored(now, e, membership); }
void Node::Impl::on(Now now, event::DiskDecisionsLoaded const& e, Effects&) { replication.on_loaded(now, e, membership); }

void Node::Impl::on(Now now, event::ResourceChanged const& e, Effects& out) {
    if (!emergency) reconciler.on_changed(now, e, out);  // else all of it is found out again afterwards
}
void Node::Impl::on(Now now, event::HealthResult const& e, Effects& out) {
    if (!emergency) reconciler.on_health(now, e, out);
}

void Node::Impl::on(Now, event::NetworkState const& e, Effects& out) {
    if (e.network < 0 || static_cast<std::size_t>(e.network) >= networks.size()) return;
    auto& well = networks[static_cast<std::size_t>(e.network)];
    if (well == (e.well ? 1 : 0)) return;
    well = e.well ? 1 : 0;
    out.push_back(effect::RecordEvent{e.well ? Severity::info : Severity::warning, "", "",
                                      "network " + spec().networks[static_cast<std::size_t>(e.network)].name + (e.well ? " is well again" : " is down here") + (e.message.empty() ? "" : ": " + e.message), e.well ? EventKind::network_up : EventKind::network_down});
}

void Node::Impl::on(Now now, event::CommandGiven const& e, Effects& out) {
    Command c = e.command;
    // "The other node" is settled where the command is given: it must not turn into the way back if it is asked twice.
    if (c.verb == Verb::move && c.to.empty() && replication.acting()) {
        auto const it = replication.acting()->groups.find(c.target);
        if (it != replication.acting()->groups.end()) c.to = name_of(spec(), other(it->second.owner));
    }
    std::set<std::string> groups;
    if (c.config) groups = compare(spec(), c.config->spec).groups;
    operations.given(std::move(c), now, std::move(groups));
    (void)out;
}
void Node::Impl::on(Now, event::CommandAbandoned const& e, Effects&) { operations.abandoned(e.id); }

void Node::Impl::on(Now now, event::EmergencyStopped const& e, Effects& out) {
    emergency = false;
    reconciler.forget_states(now, e.proven, e.proven ? "stopped at the permit's end" : e.message);
    out.push_back(effect::RecordEvent{e.proven ? Severity::warning : Severity::critical, "", "", e.proven ? "everything here is stopped" : "not everything could be proven stopped: " + e.message,
                                      e.proven ? EventKind::all_stopped : EventKind::not_all_stopped});
}

void Node::Impl::on(Now now, event::LeaveRequested const&, Effects& out) {
    if (leaving) return;
    leaving = true;
    leaving_since = now.mono;
    out.push_back(effect::RecordEvent{Severity::info, "", "", name_of(spec(), self()) + " is being stopped: its groups move away or go offline", EventKind::node_stopping});
}
void Node::Impl::on(Now now, event::Forced const& e, Effects& out) {
    gave_up = membership.around.abstains = false;  // the operator answers for what is left here
    membership.force(now);
    out.push_back(effect::RecordEvent{Severity::critical, "", "", (e.user.empty() ? std::string("an operator") : e.user) + " forces quorum on " + name_of(spec(), self()), EventKind::quorum_forced, evidence(now)});
}
void Node::Impl::on(Now, event::Measured const& e, Effects&) { membership.around.scheduling_delay_us = e.scheduling_delay_us; }

// ---- Node -----------------------------------------------------------------------------------------------------------------------

Node::Node(StartState start, Now now) : impl_(std::make_unique<Impl>(std::move(start), now)) {}
Node::~Node() = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(Node&&) noexcept = default;

Effects Node::step(Now now, Event const& event) {
    Effects out;
    out.reserve(4);  // seldom more
    impl_->last = now;
    impl_->surround();
    if (!std::exchange(impl_->permit_told, true)) out.push_back(effect::Permit{impl_->membership.permitted(now) ? impl_->membership.permit_end() : long_ago});
    impl_->membership.advance(now, out);  // what time has ended is ended before the event is looked at
    impl_->enforce_permit(now, out, 0);
    std::visit([&](auto const& e) { impl_->on(now, e, out); }, event);
    impl_->enforce_permit(now, out, 0);
    impl_->settle(now, out);
    return out;
}

Instant Node::next_wakeup() const {
    Impl const& i = *impl_;
    Instant at = std::min(i.membership.next_wakeup(i.last), i.reconciler.next_wakeup(i.last));
    auto const later = [&](Instant t) {
        if (t > i.last.mono) at = std::min(at, t);
    };
    later(i.replication.next_wakeup());
    if (i.reconciler.anything_running()) later(i.membership.permit_end() - i.spec().timing.kill);
    later(i.revert_at);
    if (i.giving_up) later(i.giving_up_since + move_patience);
    if (i.leaving && !i.left) later(i.marked_since == long_ago ? i.leaving_since + leave_patience : i.marked_since + mark_patience);
    return at;
}

ResumeState Node::resume_state() const { return impl_->membership.resume(impl_->last); }
Spec const& Node::spec() const { return impl_->spec(); }
ConfigPtr Node::config() const { return impl_->config; }
Instant Node::permit_end() const { return impl_->membership.permit_end(); }
bool Node::idle() const { return !impl_->reconciler.anything_running() && !impl_->emergency; }
DecisionId Node::stored_id() const { return id_of(impl_->replication.stored()); }
DecisionId Node::peer_newest() const { return impl_->membership.peer().newest; }
DecisionPtr Node::decision() const { return impl_->replication.acting(); }

}  // namespace clusterd
