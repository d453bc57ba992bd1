// The quorum disk's part of membership: the slot, the cycle, and what arbitration concludes from a read (protocol.md,
// "Arbitration", steps 1 to 3). The rest of the class is in membership.cpp.
#include "clusterd/core/membership.hpp"

#include <algorithm>

namespace clusterd {

namespace {
constexpr Duration health_read_pace = std::chrono::seconds(1);
}

// ---- the quorum disk ---------------------------------------------------------------------------------------------------------

Slot Membership::next_slot(Now now) const {
    Slot s = own_slot_;
    s.incarnation = self_.incarnation;
    s.beat = own_slot_.beat + 1;
    s.state = Role::seeking;
    s.alone_term = alone_term_;
    // Given only once all is certainly stopped, and naming only what was really joined or alone.
    s.stopped_term = role_ == Role::seeking && !around.anything_running && !permitted(now) ? was_in_ : 0;
    if (around.disk_newest > s.newest) {
        s.newest = around.disk_newest;
        s.area = around.disk_area;
    }
    s.wall_ms = now.wall_ms;
    return s;
}

// Higher than every number seen; chosen anew where a higher one appeared before anything was written with it.
void Membership::choose_claim() {
    bool const written = claim_ != 0 && alone_term_ >= claim_;
    if (claim_ != 0 && (written || claim_ > foreign_)) return;
    claim_ = next_term(self_.node, std::max(wanted_.highest, foreign_));
    wanted_.highest = claim_;
    wanted_.alone = std::max(wanted_.alone, claim_);
}

void Membership::start_cycle_if_due(Now now, Effects& out) {
    if (!self_.has_disk || disk_busy()) return;
    bool const decision_waits = role_ == Role::alone && around.disk_newest > own_slot_.newest;
    if (role_ == Role::joined && !seed_due()) return;
    if (now.mono < next_cycle_ && !decision_waits) return;
    if (!own_slot_read_ || reread_) return;  // a new incarnation reads its own slot first: start_read_if_due
    Flight f;
    f.stint = stint_;
    f.step = step_;
    switch (role_) {
    case Role::joined:
        f.seed = true;
        f.mine = next_slot(now);
        break;
    case Role::alone:
        if (!forced_ && !disk_is_a_vote()) return;  // another disk answers in its place: the permit runs out
        f.mine = next_slot(now);
        f.mine.state = Role::alone;
        break;
    case Role::seeking:
        if (accepting_ != 0) return;
        if (now.mono - std::max(last_echo_, started_) < around.timing.suspect && (last_echo_ < started_ || rejoin_possible())) return;
        if (step_ == Step::two) {
            choose_claim();
            if (durable_.highest < claim_ || durable_.alone < claim_) return;
            alone_term_ = claim_;
            f.mine = next_slot(now);
            f.mine.state = Role::alone;
        } else {
            f.mine = next_slot(now);
        }
        break;
    }
    f.id = next_id_++;
    own_slot_ = f.mine;  // written or not: the beat is used up, and the alone-term may be on the disk from now on
    flight_ = f;
    disk_since_ = now.mono;
    out.push_back(effect::DiskCycle{f.id, f.mine});
}

void Membership::start_read_if_due(Now now, Effects& out) {
    if (!self_.has_disk || disk_busy()) return;
    bool const first = !own_slot_read_ || reread_;
    bool const cycling = role_ == Role::alone || (role_ == Role::seeking && !echo_fresh(now));  // a cycle reads as well
    if (now.mono < next_read_ || (cycling && !first)) return;
    read_id_ = next_id_++;
    disk_since_ = now.mono;
    next_read_ = now.mono + health_read_pace;
    out.push_back(effect::DiskRead{read_id_});
}

void Membership::on_read(Now now, event::DiskReadDone const& done, Effects& out) {
    lapse(now);
    if (done.id != read_id_) return;
    read_id_ = 0;
    disk_ok_ = done.ok;
    disk_error_ = done.error;
    if (done.ok) {
        reread_ = false;
        if (!own_slot_read_ || done.disk != disk_id_) meet_disk(done);
        disk_id_ = done.disk;
        disk_cluster_ = done.cluster;
        disk_fresh_ = !done.own.newest.exists() && !done.peer.newest.exists();
        shown_ = done.peer;
        see_term(std::max({done.own.alone_term, done.own.stopped_term, done.peer.alone_term, done.peer.stopped_term}));
    } else if (!own_slot_read_ || reread_) {
        next_read_ = now.mono + around.timing.heartbeat;
    }
    advance(now, out);
}

// The first read of a disk by this process, or of another one in its place: my slot is what it says, but for what never goes back.
void Membership::meet_disk(event::DiskReadDone const& done) {
    ++disks_seen_;
    own_slot_read_ = true;
    auto const beat = std::max(own_slot_.beat, done.own.beat);
    own_slot_ = done.own;
    own_slot_.beat = beat;
    written_area_ = done.own.area;
    alone_term_ = std::max(alone_term_, done.own.alone_term);
    was_in_ = std::max(was_in_, done.own.alone_term);
    wanted_.alone = std::max(wanted_.alone, alone_term_);
    around.disk_newest = {};
    confirmed_ = {};
    seeded_ = false;
}

// Kept from the completion of the first read, in this stint, that showed it as it is.
void Membership::note_peer_slot(Now now, Slot const& slot) {
    shown_ = slot;
    if (peer_slot_known_ && slot == peer_slot_) return;
    peer_slot_ = slot;
    peer_slot_known_ = true;
    peer_slot_seen_ = now.mono;
}

void Membership::on_cycle(Now now, event::CycleDone const& done, Effects& out) {
    lapse(now);
    if (done.id == 0 || done.id != flight_.id) return;
    Flight const f = flight_;
    flight_ = {};
    disk_ok_ = done.ok;
    disk_error_ = done.error;
    next_cycle_ = std::max(now.mono, done.started + around.timing.heartbeat);
    if (!done.ok) {
        reread_ = true;
        next_read_ = next_cycle_;
        advance(now, out);
        return;
    }
    cycles_.add(now.mono - done.started);
    written_area_ = f.mine.area;
    see_term(std::max(done.peer.alone_term, done.peer.stopped_term));
    disk_fresh_ = disk_fresh_ && !f.mine.newest.exists() && !done.peer.newest.exists();
    if (f.seed) {
        seeded_ = seeded_ || f.mine.newest.exists();
    } else if (f.stint == stint_) {  // else it was started in another role: it changes nothing
        note_peer_slot(now, done.peer);
        if (role_ == Role::alone) decide_alone(now, done, out);
        else if (role_ == Role::seeking && f.step == Step::two) decide_step_two(now, done, out);
        else if (role_ == Role::seeking) decide_step_one(now, done);
        if (role_ == Role::alone && permitted(now)) confirmed_ = f.mine.newest;
    }
    advance(now, out);
}

void Membership::decide_step_one(Now now, event::CycleDone const& done) {
    Slot const& y = peer_slot_;
    if (!baseline_known_) {
        baseline_known_ = true;
        baseline_beat_ = y.beat;
    }
    if (y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)) return;
    if (!may_claim() || accepting_ != 0) return;
    choose_claim();  // stored while it waits, so that step 2 costs no fsync
    if (less_fit() && y.beat < baseline_beat_ + 2) {
        Instant const until = preference_deadline();
        if (now.mono < until) {
            next_cycle_ = std::min(next_cycle_, until);
            return;
        }
    }
    step_ = Step::two;
    next_cycle_ = now.mono;
}

void Membership::decide_step_two(Now now, event::CycleDone const& done, Effects& out) {
    Slot const& y = peer_slot_;
    bool const lost = y.alone_term > alone_term_;
    if (y.state == Role::alone && !retired(y.alone_term) && !quiet(done.started)) {
        if (lost) step_ = Step::one;  // the higher repeats, the lower goes back; neither has a permit
    } else if (lost) {
        step_ = Step::one;
    } else if (now.mono < done.started + P() && may_claim()) {
        become_alone(now, done.started, out);
        return;
    }
    if (step_ == Step::one) claim_ = 0;
}

void Membership::decide_alone(Now now, event::CycleDone const& done, Effects& out) {
    if (peer_slot_.alone_term > alone_term_) {
        void_permit(out);
        out.push_back(effect::EmergencyStop{"the peer claimed the quorum disk with a higher term"});
        seek(now, "the peer claimed the quorum disk with a higher term");
        return;
    }
    if (now.mono < done.started + P() && disk_is_a_vote()) {
        renew_permit(now, done.started + P(), out);
        forced_ = false;  // from here on the disk says so
    }
    next_cycle_ = std::max(now.mono, done.started + std::max(around.timing.heartbeat, P() / 10));
}

}  // namespace clusterd
