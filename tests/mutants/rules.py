"""The rules of docs/protocol.md, each broken in one way: what is left out or changed, and where in clusterd/core.

An edit is (file, text, instead). The part of the text in «» is what is replaced; the rest only says where it is. It is an expression, or,
where it ends with a semicolon, statements. The text must occur once in its file. plant.py puts all edits into one copy of the core, and
a number chosen at the start of a program says which mutant it runs (chosen.cpp).
"""

MEMBERSHIP, ARBITRATION, REPLICATION = "membership.cpp", "arbitration.cpp", "replication.cpp"
NODE, ADOPTION, CHANGE, DEPARTURE = "node.cpp", "node_adoption.cpp", "node_change.cpp", "node_departure.cpp"
PLANNER, RECONCILER = "planner.cpp", "reconciler.cpp"

ORDER = []  # names; a mutant's number is its place here, from 1
MUTANTS = {}  # name: (what it does, edits)


def mutant(name, what, *edits):
    assert name not in MUTANTS
    ORDER.append(name)
    MUTANTS[name] = (what, edits)


# ---- the permit ----------------------------------------------------------------------------------------------------------------

mutant("no-rho", "waits P where it must wait P(1+rho)",
       ("spec.hpp", "return «permit + permit * rho_permille / 1000»;", "permit"))
mutant("permit-from-receipt", "a grant's permit counts from its receipt, not from the echoed send time",
       (MEMBERSHIP, "renew_permit(now, «h.echo.sent» + P(), out);", "now.mono"))
mutant("echo-counts-while-not-joined", "a late grant renews the permit of a node that seeks",
       (MEMBERSHIP, "if («role_ == Role::joined») {\n        r_last_ = now.mono;", "role_ != Role::alone"))
mutant("echo-of-a-seeking-peer-grants", "any echo is a grant, whatever role it comes from",
       (MEMBERSHIP, "bool const grants = «h.role == Role::joined» && h.own == joined_term_;", "true"))
mutant("grant-of-another-term-counts", "a grant of any term renews the permit",
       (MEMBERSHIP, "bool const grants = h.role == Role::joined && «h.own == joined_term_»;", "true"))
mutant("echo-of-another-incarnation-counts", "a grant that echoes a predecessor's heartbeat counts",
       (MEMBERSHIP, "if («h.echo.incarnation != self_.incarnation» || h.echo.sent > now.mono) return;", "false"))
mutant("echo-from-the-future-counts", "a grant that echoes a time that hasn't come yet counts",
       (MEMBERSHIP, "if (h.echo.incarnation != self_.incarnation || «h.echo.sent > now.mono») return;", "false"))
mutant("grant-of-another-process-counts", "joined with one incarnation, it takes grants of any",
       (MEMBERSHIP, "if («h.incarnation != joined_with_») return;", "false"))
mutant("r-last-not-moved", "hearing the peer while joined doesn't move r_last",
       (MEMBERSHIP, "«r_last_ = now.mono;»\n        heard_while_joined", ""))
mutant("r-last-not-moved-by-joining", "joining doesn't move r_last",
       (MEMBERSHIP, "«r_last_ = last_grant_ = now.mono;»", "last_grant_ = now.mono;"))
mutant("r-last-not-at-the-start", "a new process doesn't count its own start as r_last",
       (MEMBERSHIP, "«last_joined_ = stored.joined;»\n    alone_term_", "last_joined_ = stored.joined; r_last_ = long_ago;"))
mutant("r-last-forgotten-by-a-resume", "a worker that goes on forgets r_last",
       (MEMBERSHIP, "«r_last_ = resume.r_last;»", "r_last_ = long_ago;"))
mutant("slot-wait-forgotten-by-a-resume", "a worker that goes on alone forgets since when it has seen the peer's slot",
       (MEMBERSHIP, "«takeover_slot_seen_ = resume.takeover_slot_seen;»", "takeover_slot_seen_ = long_ago;"))
mutant("suspects-packets-not-grants", "any heartbeat keeps it from suspecting the peer",
       (MEMBERSHIP, "«heard_ = now.mono;»\n    see_term", "heard_ = now.mono; last_grant_ = now.mono;"))
mutant("two-heartbeats-of-one-moment", "two heartbeats may have the same send time",
       (MEMBERSHIP, "now.mono >= next_heartbeat_) && «now.mono > last_sent_») {", "true"))
mutant("alone-beyond-its-permit", "a node stays alone when its permit has ended",
       (MEMBERSHIP, "if («!permitted(now)») seek(now, \"its permit ended", "false"))
mutant("worker-doesn't-stop-anything", "the worker forgets the emergency stop at permit end - K",
       (NODE, "bool const due = «end > long_ago» && now.mono", "false"))
mutant("runs-until-the-very-end", "resources are still started within the last K of the permit",
       (NODE, "return !emergency && now.mono < «membership.permit_end() - spec().timing.kill»;", "membership.permit_end()"))
mutant("permit-given-back-in-silence", "guard and gate aren't told that the permit is given up",
       (MEMBERSHIP, "permit_end_ = long_ago;\n    «out.push_back(effect::Permit{long_ago});»", "static_cast<void>(out);"))

# ---- whose heartbeat it is -------------------------------------------------------------------------------------------------------

mutant("unproven-incarnation-counts", "an incarnation counts as the peer's before it has echoed this node's",
       (MEMBERSHIP, "if («!names_me») {\n            if (greeting_", "false"))
mutant("former-incarnation-counts", "a late packet of an incarnation that is over makes it the peer again",
       (MEMBERSHIP, "if («std::find(former_.begin(), former_.end(), h.incarnation) != former_.end()») return;", "false"))
mutant("joined-with-whoever-comes", "stays joined when the peer is another incarnation",
       (MEMBERSHIP, "if («role_ == Role::joined && joined_with_ != h.incarnation») seek", "false"))
mutant("peer-that-left-stays-joined", "stays joined when the peer shows that it left the term",
       (MEMBERSHIP, "if («granted_term_ == joined_term_ && newer») seek", "false"))

# ---- the slot and the cycle --------------------------------------------------------------------------------------------------------

mutant("write-counts-from-its-end", "a disk permit counts from the cycle's end, not from its write's start",
       (ARBITRATION, "become_alone(now, «done.started», out);", "now.mono"),
       (ARBITRATION, "renew_permit(now, «done.started» + P(), out);", "now.mono"),
       (ARBITRATION, "if («now.mono < done.started + P()» && disk_is_a_vote()) {", "true"),
       (ARBITRATION, "} else if («now.mono < done.started + P()» && may_claim()) {", "true"))
mutant("read-counts-from-its-start", "the waits count from the start of the cycle that read the slot first, not from its end",
       (ARBITRATION, "note_peer_slot(«now», done.peer);", "Now{done.started}"))
mutant("last-read-counts-from-its-end", "a slot is quiet up to the end of the last read, not to its cycle's start",
       (ARBITRATION, "!retired(y.alone_term) && !quiet(«done.started»)) return;", "now.mono"),
       (ARBITRATION, "!retired(y.alone_term) && !quiet(«done.started»)) {\n        if (lost)", "now.mono"))
mutant("failed-cycle-counts-as-read", "a cycle that failed counts as one that read an empty slot",
       (ARBITRATION, "if («!done.ok») {\n        reread_ = true;", "false"))
mutant("no-read-after-an-error", "it writes again after an error without having read",
       (ARBITRATION, "if (!done.ok) {\n        «reread_ = true;»", ""))
mutant("own-slot-not-learned", "a new process doesn't learn its alone-term from its slot",
       (ARBITRATION, "«alone_term_ = std::max(alone_term_, done.own.alone_term);»", ""))
mutant("alone-term-goes-back", "a seeking node's slot forgets its alone-term",
       (ARBITRATION, "s.alone_term = «alone_term_»;", "role_ == Role::alone || step_ == Step::two ? alone_term_ : Term{0}"))
mutant("late-alone-cycle-counts-after-joining", "a cycle that was started in another role counts",
       (ARBITRATION, "} else if («f.stint == stint_») {", "true"))
mutant("area-that-the-slot-names-is-overwritten", "a decision is written over the one that the slot names",
       (REPLICATION, "= «membership.own_slot().area == 0 ? 1 : 0»;", "membership.own_slot().area == 0 ? 0 : 1"))
mutant("area-of-an-unsettled-slot-is-written", "a decision is written while it isn't certain which area the slot names",
       (REPLICATION, "if (!wants_disk || «!membership.slot_settled()» || disk_store_id_", "false"))

# ---- the stop mark -----------------------------------------------------------------------------------------------------------------

mutant("stop-mark-while-running", "the slot says stopped while something runs",
       (ARBITRATION, "s.stopped_term = «role_ == Role::seeking && !around.anything_running && !permitted(now)» ?", "role_ == Role::seeking"))
mutant("stop-mark-with-a-permit", "the slot says stopped while the permit holds",
       (ARBITRATION, "!around.anything_running && «!permitted(now)» ?", "true"))
mutant("stop-mark-while-not-found-out", "what isn't found out yet counts as not running",
       (RECONCILER, "[](Local const* l) { return «active(l->state)» || l->action != 0; });", "l->state == ResourceState::online"))
mutant("stop-mark-names-a-term-only-seen", "the mark names the highest term seen, not one it was joined or alone in",
       (ARBITRATION, "!permitted(now) ? «was_in_» : 0;", "wanted_.highest"))
mutant("stop-mark-names-an-incarnation", "the mark counts for the peer's incarnation, whatever the term",
       (MEMBERSHIP, "peer_slot_.stopped_term > 0 && «peer_slot_.stopped_term >= peer_slot_.alone_term &&\n                        peer_slot_.stopped_term >= last_joined_»;",
        "peer_slot_.incarnation == peer_incarnation_"))
mutant("stop-mark-below-the-last-joined-term-counts", "the mark counts though this node was joined in a higher term since",
       (MEMBERSHIP, "«peer_slot_.stopped_term >= last_joined_»;", "true"))
mutant("stop-mark-below-the-alone-term-counts", "the mark counts though the peer claimed a higher term since",
       (MEMBERSHIP, "peer_slot_.stopped_term > 0 && «peer_slot_.stopped_term >= peer_slot_.alone_term» &&", "true"))
mutant("last-joined-term-forgotten", "a new process doesn't know in which term its predecessor was joined",
       (MEMBERSHIP, "«last_joined_ = stored.joined;»\n    alone_term_", "last_joined_ = 0;"))

# ---- terms and arbitration -----------------------------------------------------------------------------------------------------------

mutant("terms-without-parity", "both nodes may choose the same term",
       ("ids.hpp", "return «leader_of(next) == n ? next : next + 1»;", "(static_cast<void>(n), next)"),
       ("ids.hpp", "«constexpr Term next_term»", "inline Term next_term"))
mutant("term-chosen-before-the-read", "the term is chosen before step 1 has read anything, and kept though a higher one appears",
       (ARBITRATION, "«if (accepting_ != 0) return;»", "if (accepting_ != 0) return;\n        if (claim_ == 0) choose_claim();"),
       (ARBITRATION, "if (claim_ != 0 && «(written || claim_ > foreign_)») return;", "(static_cast<void>(written), true)"))
mutant("claim-not-stored-first", "`alone` is written before its term is stored",
       (ARBITRATION, "choose_claim();\n            «if (durable_.highest < claim_ || durable_.alone < claim_) return;»", ""))
mutant("claim-neither-stored-nor-learned", "`alone` is written before its term is stored, and a new process doesn't learn it from its slot",
       (ARBITRATION, "choose_claim();\n            «if (durable_.highest < claim_ || durable_.alone < claim_) return;»", ""),
       (ARBITRATION, "«alone_term_ = std::max(alone_term_, done.own.alone_term);»", ""),
       (ARBITRATION, "see_term(«std::max({done.own.alone_term, done.own.stopped_term, done.peer.alone_term, done.peer.stopped_term})»);",
        "std::max({done.peer.alone_term, done.peer.stopped_term})"))
mutant("step-1-blind-to-alone", "step 1 doesn't wait for a peer that is alone",
       (ARBITRATION, "«if (y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)) return;»", ""))
mutant("step-2-blind-to-alone", "step 2 doesn't see that the peer is alone",
       (ARBITRATION, "if («y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)») {\n        if (lost)", "false"))
mutant("step-2-blind-to-higher", "step 2 doesn't see that the peer's alone-term is higher",
       (ARBITRATION, "bool const lost = «y.alone_term > alone_term_»;", "false"))
mutant("step-2-without-its-read", "step 2 doesn't look at what it reads",
       (ARBITRATION, "if («y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)») {\n        if (lost)", "false"),
       (ARBITRATION, "bool const lost = «y.alone_term > alone_term_»;", "false"))
mutant("alone-blind-to-higher", "a node that is alone doesn't see that the peer's alone-term is higher",
       (ARBITRATION, "if («peer_slot_.alone_term > alone_term_») {", "false"))
mutant("waits-carried-over", "what was read before this seeking counts for its waits",
       (MEMBERSHIP, "«peer_slot_known_ = false;\n    peer_slot_seen_ = forever;»", ""))
mutant("retired-without-a-grant", "an alone-term is retired by joining, without a grant of the peer's",
       ("membership.hpp", "return alone_term < «granted_term_»;", "joined_term_"))
mutant("less-fit-goes-at-once", "the less fit node doesn't let the other go first",
       (ARBITRATION, "if («less_fit() && y.beat < baseline_beat_ + 2») {", "false"))
mutant("blank-disk-votes", "a disk that isn't listed gives permits",
       (ARBITRATION, "if (now.mono < done.started + P() && «disk_is_a_vote()») {", "true"),
       (ARBITRATION, "if («!forced_ && !disk_is_a_vote()») return;", "false"))
mutant("blank-store-claims", "a node whose store isn't listed enters step 2",
       (MEMBERSHIP, "return «(listed() || no_cluster_yet())» && disk_is_a_vote()", "true"))
mutant("forced-against-a-living-peer", "a forced node stays alone though the peer shows that it has a right",
       (MEMBERSHIP, "if («forced_ && h.role != Role::seeking») {", "false"))

# ---- takeover ------------------------------------------------------------------------------------------------------------------------

mutant("takeover-without-slot-wait", "takes over without waiting for what the peer may hold from the disk",
       (MEMBERSHIP, "return «std::max(by_link, takeover_slot_seen_ + P_drift())»;", "by_link"))
mutant("takeover-without-link-wait", "takes over without waiting for what the peer may hold from this node's grants",
       (MEMBERSHIP, "Instant const by_link = «r_last_ + P_drift()»;", "alone_since_"))
mutant("takeover-at-once", "the planner takes over as soon as it is alone",
       (PLANNER, "if («!view_.may_take_over» || !able(g, self)) return;", "false"))

# ---- rejoin --------------------------------------------------------------------------------------------------------------------------

mutant("offer-said-before-stored", "an offer is sent before its term is stored",
       (MEMBERSHIP, "bool const said = offer_.term != 0 && «durable_.highest >= offer_.term && durable_.joined >= offer_.term»;", "true"))
mutant("offer-accepted-before-stored", "an offer is taken before its term is stored",
       (MEMBERSHIP, "«if (durable_.highest < accepting_ || durable_.joined < accepting_) return;»", ""))
mutant("offer-below-the-stored-term-accepted", "an offer below a term that it has stored is taken",
       (MEMBERSHIP, "leader_of(t) == h.from && «t >= wanted_.highest && t > was_in_ && t > alone_term_» &&", "true"),
       (MEMBERSHIP, "if («wanted_.highest > t || alone_term_ >= t») return;", "false"))
mutant("offer-to-another-incarnation-accepted", "an offer that was made to its predecessor is taken",
       (MEMBERSHIP, "bool const good = t != 0 && «h.offer.to == self_.incarnation && h.echo.incarnation == self_.incarnation» &&", "true"))
mutant("joined-before-the-grant", "the offerer is joined once the peer has seen its offer, before it grants",
       (MEMBERSHIP, "role_ != Role::joined && «h.role == Role::joined && h.own == offer_.term» &&", "h.highest >= offer_.term"))
mutant("offer-never-void", "an offer that the peer can't take any more isn't replaced",
       (MEMBERSHIP, "} else if («offer_.term != 0 && newer && (h.highest > offer_.term || h.own >= offer_.term)») {", "false"))
mutant("both-offer", "the node with the older decision offers as well",
       (MEMBERSHIP, "return «around.newest > peer_.newest || (around.newest == peer_.newest && first)»;", "(static_cast<void>(first), true)"))
mutant("blank-store-offers", "a node with a blank store makes an offer",
       (MEMBERSHIP, "if («!listed() || !peer_listed() || !peer_.store_listed») return false;", "false"))

# ---- decisions -------------------------------------------------------------------------------------------------------------------------

mutant("started-before-committed", "alone, it acts on a decision that only its own store holds",
       (REPLICATION, "id_of(stored_) >= proposed_->id && «(membership.forced() || membership.confirmed_on_disk() >= proposed_->id)») commit", "true"))
mutant("committed-at-one-store", "a leader acts on a decision as soon as it has stored it itself",
       (REPLICATION, "if («alone_ && proposed_ && id_of(stored_) >= proposed_->id && (membership.forced() || membership.confirmed_on_disk() >= proposed_->id)») commit",
        "proposed_ && id_of(stored_) >= proposed_->id"))
mutant("follower-acts-before-it-stored", "a follower acts on a decision before it has stored it",
       (REPLICATION, "if (m.decision->id > id_of(to_store_)) «to_store_ = m.decision;»", "{ to_store_ = acting_ = m.decision; confirmed_ = true; }"))
mutant("leader-sends-before-it-stored", "the follower gets a decision before the leader has stored it",
       (REPLICATION, "bool const due = proposed_ && «id_of(stored_) >= proposed_->id» && sent_", "true"))
mutant("found-decision-taken-for-committed", "a decision found in the store is acted on",
       (NODE, "acting && «replication.confirmed() && acting->id.term == membership.term()»;", "true"))
mutant("newest-on-disk-not-learned", "a new leader that is alone doesn't learn the disk's newest decision",
       (REPLICATION, "«if (e.newest && e.newest->id > id_of(base_)) base_ = e.newest;»", ""))
mutant("newest-of-follower-not-learned", "a new leader that is joined doesn't learn the follower's newest decision",
       (REPLICATION, "«if (follower_.decision && follower_.decision->id > id_of(base_)) base_ = follower_.decision;\n    if (follower_.stored > id_of(base_)) return;»", ""))
mutant("leads-without-learning", "a new leader that is joined decides before the follower has said what it has",
       (REPLICATION, "leading_ == 0 || learned_ || «follower_.term != leading_») return;", "false"))
mutant("older-term's-decision-stored", "a decision of a term that is over is stored all the same",
       (REPLICATION, "if («id_of(to_store_) != asked_ && to_store_->id.term != membership.term()») to_store_", "false"))
mutant("decision-of-another-term-stored", "a follower stores a decision of a term that it isn't joined in",
       (REPLICATION, "!membership.leads() && «m.term == membership.term()» && m.decision", "true"),
       (REPLICATION, "if («id_of(to_store_) != asked_ && to_store_->id.term != membership.term()») to_store_", "false"))
mutant("follower-gets-the-first-decision-before-the-disk", "a new pair's first decision goes to the follower before it is on the disk",
       (REPLICATION, "bool const disk_first = «membership.around.seed_disk && !membership.seeded()»;", "false"))
mutant("blank-disk-listed-again", "a blank disk is listed though the decision lists one",
       (NODE, "if («listed[2] == 0» && membership.disk_fresh())", "true"))

# ---- moves, starts and stops -------------------------------------------------------------------------------------------------------------

mutant("started-while-draining", "a group is started though its decision says draining",
       (RECONCILER, "if (d->owner != self_ || «d->draining_to» || !d->wanted_online) return false;", "decltype(d->draining_to){}"))
mutant("report-of-an-older-decision-counts", "a drained report of an older decision counts",
       (PLANNER, "if (!r || «r->under != plan_.next.id» || !all_stopped(g, *r)) return;", "false"))
mutant("report-of-another-incarnation-counts", "a report of a predecessor counts",
       (NODE, "if (joined() && r && «r->incarnation == membership.peer_incarnation()») known", "true"))
mutant("moved-before-it-stopped", "a group is given to the other node before it is reported offline",
       (PLANNER, "r->under != plan_.next.id || «!all_stopped(g, *r)») return;", "false"))
mutant("moved-in-the-draft", "a report under the last decision counts for what the next one says",
       (NODE, "if (changed) «d.id = next;»", ";"))
mutant("unknown-reported-as-stopped", "a resource whose state isn't known is reported as stopped",
       (RECONCILER, "put(e.stopped, «l->state == ResourceState::offline» && l->action == 0);", "(l->state == ResourceState::offline || l->state == ResourceState::unknown)"))
mutant("started-while-something-ends", "a start asks only for the permit, not for a committed decision of this term",
       (RECONCILER, "l.waits.empty() && needs_met(l) && «rights.may_start» && now.mono >= l.start_after", "rights.may_run"))
mutant("started-before-what-it-needs", "a resource is started before what it depends on is online",
       (RECONCILER, "l.waits.empty() && «needs_met(l)» && rights.may_start", "true"))
mutant("stopped-under-its-dependents", "a resource is stopped before what depends on it",
       (RECONCILER, "if (!(l.wanted && may_stay(l)) && «dependents_stopped(l)») act", "true"))
mutant("emergency-results-believed", "what a stop says counts while the emergency stop takes everything away",
       (NODE, "if («!emergency») reconciler.on_changed(now, e, out);", "true"))
mutant("leaves-while-running", "a node leaves while something runs on it",
       (DEPARTURE, "if (!leaving || left || emergency || «reconciler.anything_running()») return;", "false"))

mutant("forced-for-good", "a forced node that was frozen beyond its permit goes on as forced",
       (MEMBERSHIP, "heartbeat_owed_ = true;\n    «forcing_ = forced_ = false;»", "forcing_ = false;"))

# ---- what can't be stopped -----------------------------------------------------------------------------------------------------

mutant("abstaining-node-takes-an-offer", "a node that gave up its permit takes the peer's offer while its group is still its own",
       (MEMBERSHIP, "t > alone_term_ && «!around.abstains»;", "true"), (MEMBERSHIP, "if (around.abstains || «peer_.abstains» || peer_incarnation_ == 0 ||", "false"))
mutant("peer-waits-for-one-that-abstains", "with an echo it waits for the link, though the peer takes no offer",
       (MEMBERSHIP, "if (peer_incarnation_ == 0 || around.abstains || «peer_.abstains») return false;", "false"))
mutant("gives-up-but-keeps-its-permit", "a node that can't stop something says so, and keeps its permit",
       (DEPARTURE, "«membership.step_down(now, \"it gave up its permit: something here can't be stopped\", out);»", ""))
mutant("killed-in-vain-counts-as-stopped", "what was killed and is still there counts as offline",
       (RECONCILER, "if («e.state == ResourceState::offline») {\n            l.kills = 0;", "e.state == ResourceState::offline || kind == ActionKind::kill"))

# ---- a worker that goes on, a disk that was put in, and policy ------------------------------------------------------------------

mutant("goes-on-without-deciding-anew", "a leader whose worker goes on takes what it stored for committed",
       (NODE, "changed = «replication.base_unproven()»;", "false"), (NODE, "base_now && «!replication.base_unproven()» && queue", "true"))
mutant("former-incarnations-forgotten", "a worker that goes on doesn't know which incarnations of the peer are over",
       (MEMBERSHIP, "«former_ = resume.former;»", ""))
mutant("fresh-disk-left-alone", "a joined pair lets a fresh disk be, so that a node could found the cluster anew on it",
       (NODE, "a.seed_disk = spec().quorum_disk.has_value() && «(replication.new_cluster() || (membership.disk_fresh() && votes))»;", "replication.new_cluster()"))
mutant("unnamed-area-kept", "what lies in an area but wasn't named in time keeps the area from being used again",
       (REPLICATION, "blocked_.clear();\n    «membership.around.disk_newest = {};»", ""))
mutant("nothing-left-isn't-told", "a worker that goes on tells guard and gate only of a permit that is left",
       (NODE, "if («!std::exchange(impl_->permit_told, true)») out.push_back(effect::Permit", "!std::exchange(impl_->permit_told, true) && impl_->membership.permitted(now)"))
mutant("failback-to-a-node-that-flaps", "a node that is lost again and again is given its groups back each time",
       (PLANNER, "&& «!flaps(decision(), to, view_.now.wall_ms)») {", "true"))
mutant("paused-node-is-given-groups", "a paused node is given groups",
       (PLANNER, "g.possible[at(n)] && «!paused(n)» && !leaving(n)", "true"))
mutant("no-failover-limit", "a group fails over as often as it fails",
       (PLANNER, "if («static_cast<int>(seen.failovers.size()) < g.failover_limit») fail_over", "true"))
mutant("offline-does-not-last", "an operator's offline is forgotten with the next decision of another leader",
       (NODE, "changed = replication.base_unproven();\n    Decision d;\n    if (replication.base()) {\n        «d = *replication.base();»", "d = *replication.base(); if (replication.base_unproven()) for (auto& [n, g] : d.groups) g.wanted_online = true;"))
mutant("failed-there-sent-home", "failback sends a group to where it has just failed",
       (PLANNER, "«!failed_there(seen, to)» && !flaps(", "true"))

# ---- another configuration while the cluster runs -------------------------------------------------------------------------------

mutant("way-not-made", "what a new configuration drops or replaces is not taken offline for it",
       (RECONCILER, "!d->held_offline.contains(l->spec->name) && «!making_way.contains(l->spec->name)»;", "true"))
mutant("way-not-waited-for", "a new configuration is decided before what makes way for it is offline",
       (CHANGE, "base->making_way != change->making_way || «!way_is_free(view, *base)») return", "false"))
mutant("way-free-by-an-older-report", "a report under an older decision says that the way is free",
       (CHANGE, "if (!r || «r->under != base.id») return false;", "false"))
mutant("way-free-of-a-lost-node", "what a lost node runs makes way at once, not when its permits are over",
       (CHANGE, "if («!view.may_take_over») return false;", "false"))
mutant("gone-over-while-something-runs", "a node goes over to a configuration while it still runs what that drops",
       (ADOPTION, "emergency || «!reconciler.quiet(making_way)») return;", "false"))
mutant("planned-by-the-old-configuration", "a leader plans by the configuration it went over to, not by that of the decision it goes on from",
       (NODE, "return PlanView{«base && base->config ? base->config->spec : spec()», known_reports()", "spec()"))
mutant("stale-change-kept", "what a lost leader had begun to change is never called off",
       (CHANGE, "if (change || «d.making_way.empty()») return false;", "true"))
mutant("held-forgotten-in-another-group", "an operator's word on a resource is forgotten when that goes to another group",
       (CHANGE, "if (Found const found = find_by_name(spec, name); «found.resource != nullptr»)", "false"))

mutant("compared-with-what-counts", "a second change in one draft is compared with the configuration that counts, not with the one that the draft decides",
       (CHANGE, "ConfigChange const difference = compare(«d.config->spec», c.config->spec);", "view.spec"))
mutant("confirmed-by-nobody", "a configuration on trial stays though nobody confirmed it",
       (CHANGE, "if («now.mono < revert_at») return;\n    revert_at", "true"))
mutant("confirmed-and-taken-back", "a configuration is taken back though it was confirmed",
       (PLANNER, "«d_.unconfirmed = {};»\n        return changed();", ";"))
mutant("trial-outlives-another-apply", "a configuration applied meanwhile is taken back for the one before it that was on trial",
       (CHANGE, "«d.unconfirmed = {};»\n    if (c.confirm_ms > 0)", ";"))
mutant("started-in-maintenance", "what is offline in maintenance is started as ever",
       (RECONCILER, "if («l.hands_off») return look_only(now, l, out);", "false"))
mutant("maintenance-survives-a-takeover", "a group stays in maintenance when its node is lost, so that nobody starts it",
       (PLANNER, "«end_maintenance(g, d, name(from) + \" is gone\");»", ";"))
mutant("fails-over-in-maintenance", "what fails in maintenance counts as a failure",
       (RECONCILER, "if («!l.wanted || l.hands_off») return;", "!l.wanted"))

mutant("taken-over-stopped-in-order", "a node that was paused while the other took over stops what it had in order, and slowly",
       (ADOPTION, "if («!was || !is || emergency || !reconciler.anything_may_be_here()») return;", "true"))
mutant("taken-over-and-not-found-out", "a worker that goes on forgets that the one before it may have started something",
       (NODE, "«reconciler.goes_on();»  // else", ";"))
mutant("taken-over-amid-a-move", "a node that was paused while a group was to move away goes on to stop it slowly, though the other took it over",
       (ADOPTION, "bool const taken = «old != was->groups.end()» &&", "old != was->groups.end() && !old->second.draining_to"))
mutant("decides-below-a-later-term", "a node alone decides on top of what the other one decided in a later term",
       (REPLICATION, "if («e.newest && e.newest->id.term > leading_» && !membership.forced())", "false"))

# Mutants that nothing notices because they break nothing, each with why.
EQUIVALENT = {
    "echo-of-another-incarnation-counts": "whoever grants in this term was joined with this incarnation and echoes no other: on meeting another it seeks, and grants no more",
    "echo-from-the-future-counts": "an echo of this incarnation is of its own clock, which doesn't go back while the incarnation lives: a second lock on the same door",
    "grant-of-another-process-counts": "a heartbeat of another incarnation counts only after `meet`, which makes a joined node seek first",
    "joined-with-whoever-comes": "the other incarnation's grants don't count (`joined_with_`), so the node seeks all the same, `suspect` later",
    "waits-carried-over": "a slot is told by its beat and incarnation: one that is the same in both seekings was not written in between, so the wait is as true as before",
    "r-last-not-at-the-start": "for a process that never had a grant no alone-term is retired, so it waits P(1+rho) from its first look at the peer's slot, and that comes after its start",
    "last-read-counts-from-its-end": "who goes alone does so at the end of the read; what the peer writes after that read it follows by a read of its own, which finds this node alone",
    "stop-mark-below-the-alone-term-counts": "an alone-term that isn't retired keeps the reader in step 1 until its permits are over; one that is retired lies below the joined term, under which no mark counts",
    "blank-store-claims": "the first decision that a store is given lists it; a node that has none knows of no listed disk, so the disk is no vote for it",
    "older-term's-decision-stored": "what was proposed in a term and isn't stored yet is dropped when the term ends: this looks again before each write",
    "decision-of-another-term-stored": "between two terms in which this node follows there is none of its own, so the sender is the leader of both: it stored the decision before it sent it, and builds the later term on it",
    "report-of-another-incarnation-counts": "a report counts for the very decision that it names, and a decision of the new term has no report before the new incarnation's own",
    "emergency-results-believed": "when the emergency stop is done, everything is unknown and found out anew, whatever was believed before",
    "way-free-by-an-older-report": "the list is committed before it is asked for: what the follower had begun before it stored that, it reported on the same channel before it said so",
    "newest-of-follower-not-learned": "whoever makes the offer was alone and has learned it from the disk, or has the newer decision of the two",
}

# Not noticed yet, and not argued either: a test is owed. mutants.py names them at its end and tries them only with --all.
OPEN = {
    "fresh-disk-left-alone",  # found by the simulator once (tests/traces/seeds/02), in a world that is drawn otherwise now
}
