#include "clusterd/core/membership.hpp"

#include <algorithm>

namespace clusterd {

// ---- birth ------------------------------------------------------------------------------------------------------------------

Membership::Membership(Self self, Terms stored, Now now)
    : self_(self), wanted_(stored), durable_(stored), started_(now.mono), r_last_(now.mono), seeking_since_(now.mono) {
    last_joined_ = stored.joined;
    alone_term_ = stored.alone;
    // May name a term an older incarnation only offered: harmless, for whatever this one joins later is higher.
    was_in_ = std::max(stored.joined, stored.alone);
    next_heartbeat_ = now.mono;
}

Membership::Membership(Self self, Terms stored, ResumeState const& resume, Now now) : Membership(self, stored, now) {
    started_ = resume.started;
    r_last_ = resume.r_last;
    role_ = resume.role;
    permit_end_ = resume.permit_end;
    wanted_.highest = std::max(wanted_.highest, resume.highest);
    foreign_ = resume.highest;
    joined_term_ = resume.joined_term;
    granted_term_ = resume.granted_term;
    last_joined_ = std::max(last_joined_, resume.joined_term);
    alone_term_ = std::max(alone_term_, resume.alone_term);
    was_in_ = resume.was_in;
    peer_incarnation_ = resume.peer_incarnation;
    joined_with_ = resume.peer_incarnation;
    peer_.incarnation = resume.peer_incarnation;
    peer_.sent = resume.peer_sent;
    former_ = resume.former;
    last_grant_ = resume.last_grant;
    newest_echoed_ = resume.last_grant_sent;
    own_slot_.beat = resume.beat;
    because_ = "the worker was started again and goes on";
    if (role_ == Role::alone) {
        alone_since_ = now.mono;
        forced_ = resume.forced;
        peer_slot_ = shown_ = resume.peer_slot;
        peer_slot_known_ = true;
        peer_slot_seen_ = resume.peer_slot_seen;
        takeover_slot_seen_ = resume.takeover_slot_seen;
        takeover_slot_term_ = resume.takeover_slot_term;
    }
}

// ---- small answers ----------------------------------------------------------------------------------------------------------

void Membership::Samples::add(Duration d) { ns[count++ % ns.size()] = d.count(); }

Duration Membership::Samples::p99() const {  // of at most 64 samples: the greatest
    auto const n = std::min<std::size_t>(count, ns.size());
    return n == 0 ? Duration{0} : Duration{*std::max_element(ns.begin(), ns.begin() + static_cast<std::ptrdiff_t>(n))};
}

Duration Membership::cycle_p99() const { return cycles_.p99(); }
Duration Membership::fsync_p99() const { return fsyncs_.p99(); }

PermitSource Membership::permit_source(Now now) const {
    if (!permitted(now)) return PermitSource::none;
    return role_ == Role::alone ? PermitSource::alone : PermitSource::joined;
}

bool Membership::peer_heard(Now now) const { return heard_ > long_ago && now.mono - heard_ < around.timing.suspect; }

bool Membership::echo_fresh(Now now) const { return now.mono - last_echo_ < around.timing.suspect; }

// The slot stood still for P(1+rho), seen by a read that began after that time: the read's sample can't be older.
bool Membership::quiet(Instant read_started) const {
    return peer_slot_seen_ != forever && read_started >= peer_slot_seen_ + P_drift();
}

// A disk whose id the newest decision doesn't list is blank: no vote. Before the first decision, one that never held any counts.
bool Membership::disk_is_a_vote() const {
    return no_cluster_yet() ? disk_fresh_ : disk_id_ != 0 && around.listed[2] == disk_id_;
}

// May this node enter step 2? A blank store is no vote, but at the very first start, when there is nothing to forget.
bool Membership::may_claim() const { return (listed() || no_cluster_yet()) && disk_is_a_vote() && !around.abstains; }

bool Membership::rejoin_possible() const {
    if (peer_incarnation_ == 0 || around.abstains || peer_.abstains) return false;
    if (peer_.role == Role::alone) return true;                 // it will offer
    if (listed() && peer_listed() && peer_.store_listed) return true;
    if (!listed() && !no_cluster_yet()) return peer_.store_listed;
    if (no_cluster_yet() && peer_.store_listed) return true;    // it has to be alone first, and then offers
    bool const new_pair = no_cluster_yet() && !peer_.newest.exists();
    return new_pair && (!self_.has_disk || disk_fresh_ || peer_.disk_fresh);
}

bool Membership::i_offer() const {
    if (around.abstains || peer_.abstains || peer_incarnation_ == 0 || peer_.role != Role::seeking || accepting_ != 0) return false;
    switch (role_) {
    case Role::joined: return false;
    case Role::alone: return true;
    case Role::seeking: break;
    }
    bool const first = self_.node == NodeIndex::a;
    if (no_cluster_yet()) {
        if (peer_.newest.exists() || peer_.store_listed) return false;
        if (!self_.has_disk) return first;
        return disk_fresh_ && (first || !peer_.disk_fresh);
    }
    if (!listed() || !peer_listed() || !peer_.store_listed) return false;
    return around.newest > peer_.newest || (around.newest == peer_.newest && first);
}

// Who waits in step 1: fewer networks well, then fewer groups online, then the lower id. Never a rule of safety.
bool Membership::less_fit() const {
    if (joined_term_ == 0 || peer_incarnation_ == 0 || peer_.abstains) return false;
    Fitness const& mine = around.fitness;
    Fitness const& peers = peer_.fitness;
    if (mine.networks_down != peers.networks_down) return mine.networks_down > peers.networks_down;
    if (mine.groups_online != peers.groups_online) return mine.groups_online < peers.groups_online;
    return self_.node == NodeIndex::a;
}

Instant Membership::preference_deadline() const {
    Instant until = r_last_ + P();
    if (around.anything_online) until = std::min(until, permit_end_ - around.timing.kill);
    until = until - around.timing.heartbeat - 3 * cycle_p99();
    if (durable_.alone < claim_ || claim_ <= foreign_) until = until - fsync_p99();
    return until;
}

Instant Membership::takeover_at() const {
    if (role_ != Role::alone) return forever;
    Instant const by_link = r_last_ + P_drift();
    if (retired(takeover_slot_term_)) return by_link;
    if (takeover_slot_seen_ == forever) return forever;
    return std::max(by_link, takeover_slot_seen_ + P_drift());
}

bool Membership::may_take_over(Now now) const {
    if (role_ != Role::alone || !permitted(now)) return false;
    bool const marked = peer_slot_known_ && peer_slot_.stopped_term > 0 && peer_slot_.stopped_term >= peer_slot_.alone_term &&
                        peer_slot_.stopped_term >= last_joined_;
    if (marked || forced_) return true;
    Instant const at = takeover_at();
    return at != forever && now.mono > at;
}

void Membership::see_term(Term t) {
    foreign_ = std::max(foreign_, t);
    wanted_.highest = std::max(wanted_.highest, t);
}

// ---- the permit -------------------------------------------------------------------------------------------------------------

void Membership::renew_permit(Now now, Instant end, Effects& out) {
    if (end <= permit_end_ || end <= now.mono) return;
    if (permit_end_ > now.mono) worst_margin_ = std::min(worst_margin_, permit_end_ - now.mono);
    permit_end_ = end;
    out.push_back(effect::Permit{end});
}

void Membership::void_permit(Effects& out) {
    permit_end_ = long_ago;
    out.push_back(effect::Permit{long_ago});
}

// ---- the doors between the roles --------------------------------------------------------------------------------------------

// Every entry into seeking starts both waits anew: reads made before don't count.
void Membership::seek(Now now, char const* because) {
    role_ = Role::seeking;
    because_ = because;
    ++stint_;
    step_ = Step::one;
    claim_ = 0;
    offer_ = {};
    accepting_ = 0;
    peer_slot_known_ = false;
    peer_slot_seen_ = forever;
    takeover_slot_seen_ = forever;
    baseline_known_ = false;
    confirmed_ = {};
    seeking_since_ = now.mono;
    next_cycle_ = now.mono;
    heartbeat_owed_ = true;
    forcing_ = forced_ = false;
}

void Membership::become_alone(Now now, Instant started, Effects& out) {
    role_ = Role::alone;
    because_ = "won the quorum disk";
    ++stint_;
    was_in_ = std::max(was_in_, alone_term_);
    takeover_slot_seen_ = peer_slot_seen_;
    takeover_slot_term_ = peer_slot_.alone_term;
    alone_since_ = now.mono;
    confirmed_ = own_slot_.newest;
    offer_ = {};
    accepting_ = 0;
    heartbeat_owed_ = true;
    renew_permit(now, started + P(), out);
}

void Membership::become_joined(Now now, Term term, char const* because) {
    role_ = Role::joined;
    because_ = because;
    ++stint_;
    joined_term_ = last_joined_ = term;
    was_in_ = std::max(was_in_, term);
    joined_with_ = peer_incarnation_;
    r_last_ = last_grant_ = now.mono;
    offer_ = {};
    accepting_ = 0;
    claim_ = 0;
    forcing_ = forced_ = false;
    confirmed_ = {};
    next_read_ = now.mono;
    heartbeat_owed_ = true;
}

// What time alone ends. Called before anything else is looked at, so that a process that slept learns it first.
void Membership::lapse(Now now) {
    switch (role_) {
    case Role::alone:
        if (!permitted(now)) seek(now, "its permit ended: the quorum disk did not answer in time");
        break;
    case Role::joined:
        if (now.mono - last_grant_ >= around.timing.suspect) seek(now, "the peer granted nothing for too long");
        break;
    case Role::seeking: break;
    }
}

// ---- heartbeats -------------------------------------------------------------------------------------------------------------

// A heartbeat of an incarnation that isn't known as the peer's: it counts only once it has echoed mine.
void Membership::meet(Now now, Heartbeat const& h) {
    if (peer_incarnation_ != 0) {
        std::rotate(former_.rbegin(), former_.rbegin() + 1, former_.rend());
        former_[0] = peer_incarnation_;
    }
    peer_incarnation_ = h.incarnation;
    peer_ = {};
    peer_.sent = long_ago;
    offer_ = {};
    accepting_ = 0;
    if (role_ == Role::joined && joined_with_ != h.incarnation) seek(now, "the peer was started again");
}

void Membership::on_heartbeat(Now now, Heartbeat const& h, Effects& out) {
    lapse(now);
    if (h.from == self_.node || h.incarnation == 0) return;
    bool const names_me = h.echo.incarnation == self_.incarnation || h.greeting.incarnation == self_.incarnation;
    if (h.incarnation != peer_incarnation_) {
        if (std::find(former_.begin(), former_.end(), h.incarnation) != former_.end()) return;
        if (!names_me) {
            if (greeting_.incarnation != h.incarnation || h.sent > greeting_.sent) greeting_ = {h.incarnation, h.sent};
            return;
        }
        meet(now, h);
    }
    bool const newer = h.sent > peer_.sent;
    if (newer) peer_ = h;
    heard_ = now.mono;
    see_term(std::max({h.highest, h.own, h.offer.term}));
    if (names_me) {
        Instant const sent = h.echo.incarnation == self_.incarnation ? h.echo.sent : h.greeting.sent;
        if (sent <= now.mono) last_echo_ = std::max(last_echo_, sent);
    }
    bool const takes_my_offer = offer_.term != 0 && role_ != Role::joined && h.role == Role::joined && h.own == offer_.term &&
                                h.incarnation == offer_.to;
    if (takes_my_offer) {
        become_joined(now, offer_.term, "the peer took the offer");
    } else if (offer_.term != 0 && newer && (h.highest > offer_.term || h.own >= offer_.term)) {
        offer_ = {};  // void: a higher one is made
    }
    if (forced_ && h.role != Role::seeking) {  // the operator was wrong: somebody has the right, and it isn't this node
        void_permit(out);
        out.push_back(effect::EmergencyStop{"the peer has quorum after all"});
        seek(now, "the peer has quorum after all");
    }
    if (role_ == Role::joined) {
        r_last_ = now.mono;
        heard_while_joined(now, h, newer, out);
    } else if (role_ == Role::seeking && newer) {
        consider_offer_to_me(now, h);
    }
    advance(now, out);
}

void Membership::heard_while_joined(Now now, Heartbeat const& h, bool newer, Effects& out) {
    if (h.incarnation != joined_with_) return;
    bool const grants = h.role == Role::joined && h.own == joined_term_;
    if (!grants) {
        // It granted in this term and does no more: it has left for good, a term is never joined twice.
        if (granted_term_ == joined_term_ && newer) seek(now, "the peer left the term");
        return;
    }
    granted_term_ = joined_term_;
    if (h.echo.incarnation != self_.incarnation || h.echo.sent > now.mono) return;
    if (h.echo.sent > newest_echoed_) {
        newest_echoed_ = h.echo.sent;
        if (now.mono - h.echo.sent < around.timing.suspect) last_grant_ = now.mono;
    }
    renew_permit(now, h.echo.sent + P(), out);
}

void Membership::consider_offer_to_me(Now, Heartbeat const& h) {
    Term const t = h.offer.term;
    bool const good = t != 0 && h.offer.to == self_.incarnation && h.echo.incarnation == self_.incarnation && h.role != Role::joined &&
                      leader_of(t) == h.from && t >= wanted_.highest && t > was_in_ && t > alone_term_ && !around.abstains;
    if (!good) {
        accepting_ = 0;
        return;
    }
    accepting_ = t;
    wanted_.highest = std::max(wanted_.highest, t);
    wanted_.joined = std::max(wanted_.joined, t);
    offer_ = {};
}

void Membership::accept_when_durable(Now now, Effects&) {
    if (accepting_ == 0 || role_ != Role::seeking) return;
    if (durable_.highest < accepting_ || durable_.joined < accepting_) return;
    Term const t = accepting_;
    accepting_ = 0;
    if (wanted_.highest > t || alone_term_ >= t) return;  // something newer came while it was stored
    become_joined(now, t, "took the peer's offer");
}

void Membership::make_offer_if_due(Now now) {
    if (!echo_fresh(now) || !i_offer()) {
        offer_ = {};
        return;
    }
    if (offer_.term != 0 && offer_.to == peer_incarnation_) return;
    Term const t = next_term(self_.node, std::max(wanted_.highest, foreign_));
    offer_ = {t, peer_incarnation_};
    wanted_.highest = t;
    wanted_.joined = std::max(wanted_.joined, t);
}

void Membership::send_heartbeat(Now now, Effects& out) {
    Heartbeat h;
    h.from = self_.node;
    h.incarnation = self_.incarnation;
    h.sent = last_sent_ = now.mono;
    h.role = role_;
    h.highest = durable_.highest;
    h.own = role_ == Role::joined ? joined_term_ : was_in_;
    if (peer_incarnation_ != 0 && peer_.sent != long_ago) h.echo = {peer_incarnation_, peer_.sent};
    h.greeting = greeting_.incarnation == peer_incarnation_ ? Echo{} : greeting_;
    bool const said = offer_.term != 0 && durable_.highest >= offer_.term && durable_.joined >= offer_.term;
    if (said) h.offer = offer_;
    h.newest = around.newest;
    h.store = self_.store;
    h.store_listed = listed();
    h.disk_fresh = disk_fresh_;
    h.disk_ok = disk_ok_;
    h.abstains = around.abstains;
    h.cluster = around.cluster;
    h.fitness = around.fitness;
    h.scheduling_delay_us = around.scheduling_delay_us;
    h.networks = around.networks;
    auto const n = cycles_.count;
    h.disk_latency_us = n == 0 ? 0 : static_cast<std::uint32_t>(std::min<std::int64_t>(cycles_.ns[(n - 1) % cycles_.ns.size()] / 1000, 4'000'000'000));
    out.push_back(effect::SendHeartbeat{h});
}

void Membership::step_down(Now now, char const* because, Effects& out) {
    void_permit(out);
    if (role_ != Role::seeking) seek(now, because);
}

void Membership::force(Now now) {
    if (role_ != Role::seeking) return;
    forcing_ = true;
    because_ = "waits to be stored: forced by an operator";
    choose_claim();
    (void)now;
}

void Membership::go_on_forced(Now now, Effects& out) {
    if (forcing_ && role_ == Role::seeking) {
        choose_claim();
        if (durable_.highest < claim_ || durable_.alone < claim_) return;
        alone_term_ = claim_;
        become_alone(now, now.mono, out);
        forcing_ = false;
        forced_ = true;
        because_ = "forced by an operator";
    }
    if (forced_ && permit_end_ - now.mono <= P() - around.timing.heartbeat) renew_permit(now, now.mono + P(), out);
}

// ---- time -------------------------------------------------------------------------------------------------------------------

void Membership::persisted(Now now, Terms const& durable, Duration took, Effects& out) {
    lapse(now);
    fsyncs_.add(took);
    durable_.highest = std::max(durable_.highest, durable.highest);
    durable_.joined = std::max(durable_.joined, durable.joined);
    durable_.alone = std::max(durable_.alone, durable.alone);
    if (offer_.term != 0 || accepting_ != 0) heartbeat_owed_ = true;
    advance(now, out);
}

void Membership::advance(Now now, Effects& out) {
    lapse(now);
    accept_when_durable(now, out);
    go_on_forced(now, out);
    make_offer_if_due(now);
    start_cycle_if_due(now, out);
    start_read_if_due(now, out);
    // Never two of one moment: send times are their order. Nor one from the future: a permit is counted from it.
    if ((heartbeat_owed_ || now.mono >= next_heartbeat_) && now.mono > last_sent_) {
        if (now.mono >= next_heartbeat_) {
            next_heartbeat_ = next_heartbeat_ + around.timing.heartbeat;
            if (next_heartbeat_ <= now.mono) next_heartbeat_ = now.mono + around.timing.heartbeat;
        }
        heartbeat_owed_ = false;
        send_heartbeat(now, out);
    }
}

// Never a moment that has passed and changes nothing: the caller would spin.
Instant Membership::next_wakeup(Now now) const {
    Instant at = heartbeat_owed_ ? last_sent_ + Duration{1} : next_heartbeat_;
    auto const earlier = [&at](Instant t) { at = std::min(at, t); };
    bool const disk_free = self_.has_disk && !disk_busy();
    switch (role_) {
    case Role::joined:
        earlier(last_grant_ + around.timing.suspect);
        if (disk_free && own_slot_read_ && !reread_ && seed_due()) earlier(next_cycle_);
        break;
    case Role::alone:
        earlier(permit_end_);
        if (takeover_at() != forever && takeover_at() >= now.mono) earlier(takeover_at() + Duration{1});
        if (disk_free && own_slot_read_ && !reread_ && (forced_ || disk_is_a_vote())) earlier(next_cycle_);
        break;
    case Role::seeking: {
        bool const waits_for_store = accepting_ != 0 || (step_ == Step::two && claim_ > foreign_ && durable_.alone < claim_);
        if (disk_free && own_slot_read_ && !reread_ && !waits_for_store)
            earlier(std::max(next_cycle_, std::max(last_echo_, started_) + around.timing.suspect));
        break;
    }
    }
    if (disk_free && (role_ == Role::joined || !own_slot_read_ || reread_)) earlier(next_read_);
    return at;
}

ResumeState Membership::resume(Now) const {
    ResumeState r;
    r.self = self_.node;
    r.role = role_;
    r.forced = forced_;
    r.incarnation = self_.incarnation;
    r.peer_incarnation = role_ == Role::joined ? joined_with_ : peer_incarnation_;
    r.peer_sent = peer_.sent;
    r.former = former_;
    r.highest = wanted_.highest;
    r.joined_term = joined_term_;
    r.granted_term = granted_term_;
    r.alone_term = alone_term_;
    r.was_in = was_in_;
    r.permit_end = permit_end_;
    r.r_last = r_last_;
    r.started = started_;
    r.last_grant = last_grant_;
    r.last_grant_sent = newest_echoed_;
    r.beat = own_slot_.beat;
    r.peer_slot = peer_slot_;
    r.peer_slot_seen = peer_slot_seen_;
    r.takeover_slot_seen = takeover_slot_seen_;
    r.takeover_slot_term = takeover_slot_term_;
    r.newest = around.newest;
    return r;
}

}  // namespace clusterd
