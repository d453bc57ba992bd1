#include "clusterd/core/replication.hpp"

#include <algorithm>
#include <utility>

namespace clusterd {

namespace {
constexpr Duration store_retry = std::chrono::milliseconds(500);
constexpr Duration disk_retry = std::chrono::milliseconds(100);
}  // namespace

Replication::Replication(StoreId store, DecisionPtr stored, Terms terms)
    : store_(store), stored_(stored), acting_(stored), durable_(terms), asked_terms_(terms), to_store_(stored), asked_(id_of(stored)) {}

// ---- storing --------------------------------------------------------------------------------------------------------------------

void Replication::persist_what_is_owed(Now now, Membership const& membership, Effects& out) {
    if (now.mono < retry_at_ && retry_at_ != forever) return;
    Terms const& wanted = membership.wanted_terms();
    // A decision is stored only while this node is a member of its term: whoever leads a later one has learned, or will learn,
    // what is stored here, and must not miss anything.
    if (id_of(to_store_) != asked_ && to_store_->id.term != membership.term()) to_store_ = tickets_.empty() ? stored_ : tickets_.back().decision;
    if (wanted == asked_terms_ && id_of(to_store_) == asked_) return;
    retry_at_ = forever;
    asked_terms_ = wanted;
    asked_ = id_of(to_store_);
    tickets_.push_back({next_ticket_++, asked_terms_, to_store_, now.mono});
    out.push_back(effect::Persist{tickets_.back().number, asked_terms_, to_store_});
}

bool Replication::on_persisted(Now now, event::Persisted const& e, Effects& out) {
    while (!tickets_.empty() && tickets_.front().number < e.ticket) tickets_.pop_front();
    if (tickets_.empty() || tickets_.front().number != e.ticket) return false;
    Ticket const t = tickets_.front();
    tickets_.pop_front();
    if (!e.ok) {
        if (tickets_.empty()) {  // a later one carries all of it again
            asked_terms_ = durable_;
            asked_ = id_of(stored_);
            retry_at_ = now.mono + store_retry;
        }
        out.push_back(effect::RecordEvent{Severity::critical, "", "", "the state directory can't be written: " + e.error + "; nothing new can be decided or joined until it can", EventKind::state_unwritable});
        return false;
    }
    durable_.highest = std::max(durable_.highest, t.terms.highest);
    durable_.joined = std::max(durable_.joined, t.terms.joined);
    durable_.alone = std::max(durable_.alone, t.terms.alone);
    if (id_of(t.decision) > id_of(stored_)) stored_ = t.decision;
    last_persist_ = now.mono - t.asked;
    return true;
}

// ---- the leader ------------------------------------------------------------------------------------------------------------------

// Another term, or the same one in another way: whatever was under way is void, and the newest decision has to be learned.
void Replication::follow_membership(Membership& membership) {
    Term const leads = membership.leads() ? membership.term() : 0;
    bool const alone = membership.role() == Role::alone;
    if (leads == leading_ && alone == alone_) return;
    leading_ = leads;
    alone_ = alone;
    learned_ = false;
    base_ = nullptr;
    base_committed_ = false;
    proposed_ = nullptr;
    new_cluster_ = false;
    sent_ = {};
    blocked_.clear();
    membership.around.disk_newest = {};  // what lies in an area but wasn't named in time: the area is free again
    // What was to be stored but isn't yet belongs to a term that is over.
    to_store_ = tickets_.empty() ? stored_ : tickets_.back().decision;
}

// May come before the grant that makes this node the leader: kept until then.
void Replication::on_sync(Now, sync::FollowerState const& m, Membership const&, Effects&) { follower_ = m; }

void Replication::learn_from_follower(Membership const& membership) {
    if (membership.role() != Role::joined || leading_ == 0 || learned_ || follower_.term != leading_) return;
    base_ = stored_;
    if (follower_.decision && follower_.decision->id > id_of(base_)) base_ = follower_.decision;
    if (follower_.stored > id_of(base_)) return;  // it has a newer one and didn't send it: no base to build on
    learned_ = true;
    new_cluster_ = !base_;
}

void Replication::on_loaded(Now now, event::DiskDecisionsLoaded const& e, Membership const& membership) {
    if (e.id != load_id_) return;
    load_id_ = 0;
    if (!e.ok) {
        load_after_ = now.mono + disk_retry;
        blocked_ = "the newest decision can't be read from the quorum disk: " + e.error;
        return;
    }
    if (membership.role() != Role::alone || leading_ == 0 || learned_) return;
    if (e.newest && e.newest->id.term > leading_ && !membership.forced()) {  // the peer has decided since: the next cycle shows its claim, and ends this one's
        load_after_ = now.mono + disk_retry;
        blocked_ = "the other node has decided with a higher term meanwhile";
        return;
    }
    base_ = stored_;
    if (e.newest && e.newest->id > id_of(base_)) base_ = e.newest;
    learned_ = true;
    new_cluster_ = !base_;
    blocked_.clear();
}

void Replication::propose(DecisionPtr decision) {
    proposed_ = decision;
    to_store_ = std::move(decision);
}

// Alone: the disk is the second store. Joined, in a cluster's first decision: the disk has to know that there is one.
void Replication::place_on_disk(Now now, Membership& membership, Effects& out) {
    bool const wants_disk = proposed_ && (alone_ || membership.around.seed_disk) && id_of(stored_) >= proposed_->id;
    if (!wants_disk || !membership.slot_settled() || disk_store_id_ != 0 || now.mono < disk_store_after_ || on_disk_ >= proposed_->id) return;
    disk_store_id_ = next_disk_id_++;
    disk_storing_ = proposed_->id;
    std::uint8_t const area = membership.own_slot().area == 0 ? 1 : 0;  // never the one my slot names
    out.push_back(effect::DiskStoreDecision{disk_store_id_, proposed_, area});
}

void Replication::on_disk_stored(Now now, event::DiskDecisionStored const& e, Membership& membership) {
    if (e.id != disk_store_id_) return;
    disk_store_id_ = 0;
    if (!e.ok) {
        disk_store_after_ = now.mono + disk_retry;
        blocked_ = "the decision can't be written to the quorum disk: " + e.error;
        return;
    }
    blocked_.clear();
    on_disk_ = disk_storing_;
    if (!proposed_ || proposed_->id != disk_storing_) return;  // of a term or a proposal that is over: it is named by no slot
    membership.around.disk_newest = disk_storing_;
    membership.around.disk_area = e.area;
}

void Replication::on_sync(Now now, sync::DecisionStored const& m, Membership const& membership) {
    if (membership.role() != Role::joined || leading_ == 0 || m.term != leading_ || !proposed_ || m.id != proposed_->id) return;
    if (id_of(stored_) >= proposed_->id) commit(now, proposed_);
}

void Replication::commit(Now, DecisionPtr const& d) {
    DecisionPtr const kept = d;
    acting_ = base_ = kept;
    base_committed_ = true;
    confirmed_ = true;
    blocked_.clear();
    committed_now_ = kept->id;
    proposed_ = nullptr;
    new_cluster_ = false;
}

DecisionId Replication::committed_now() { return std::exchange(committed_now_, DecisionId{}); }

// ---- the follower ------------------------------------------------------------------------------------------------------------------

void Replication::on_sync(Now, sync::StoreDecision const& m, Membership const& membership, Effects&) {
    bool const mine = membership.role() == Role::joined && !membership.leads() && m.term == membership.term() && m.decision &&
                      m.decision->id.term == m.term;
    if (!mine) return;
    if (m.decision->id > id_of(to_store_)) to_store_ = m.decision;
    if (m.decision->id <= id_of(stored_)) acknowledged_ = {};  // it asks again: answer again
}

void Replication::tell_peer(Membership const& membership, bool sync_up, Effects& out) {
    if (membership.role() != Role::joined || !sync_up) return;
    Term const term = membership.term();
    if (leading_ != 0) {
        bool const due = proposed_ && id_of(stored_) >= proposed_->id && sent_ != proposed_->id;
        bool const disk_first = membership.around.seed_disk && !membership.seeded();
        if (due && !disk_first) {
            sent_ = proposed_->id;
            out.push_back(effect::SendSync{sync::StoreDecision{term, proposed_}});
        }
        return;
    }
    if (told_term_ != term) {
        told_term_ = term;
        acknowledged_ = {};
        out.push_back(effect::SendSync{sync::FollowerState{term, id_of(stored_), stored_, store_}});
    }
    // What the leader of this term has stored and this node has stored, too, is committed.
    if (stored_ && stored_->id.term == term && acknowledged_ != stored_->id) {
        acknowledged_ = stored_->id;
        acting_ = stored_;
        confirmed_ = true;
        out.push_back(effect::SendSync{sync::DecisionStored{term, stored_->id}});
    }
}

// ---- every step --------------------------------------------------------------------------------------------------------------------

void Replication::advance(Now now, Membership& membership, bool sync_up, Effects& out) {
    follow_membership(membership);
    if (membership.disks_seen() != disks_seen_) {
        disks_seen_ = membership.disks_seen();
        on_disk_ = {};
    }
    learn_from_follower(membership);
    if (leading_ != 0 && alone_ && !learned_ && membership.forced() && (load_id_ == 0 || !membership.disk_usable())) {
        base_ = stored_;  // the operator was shown what the disk may know beyond it
        learned_ = true;
        new_cluster_ = !base_;
    }
    if (leading_ != 0 && alone_ && !learned_ && load_id_ == 0 && now.mono >= load_after_) {
        load_id_ = next_disk_id_++;
        out.push_back(effect::DiskLoadDecisions{load_id_});
    }
    persist_what_is_owed(now, membership, out);
    place_on_disk(now, membership, out);
    tell_peer(membership, sync_up, out);
    if (alone_ && proposed_ && id_of(stored_) >= proposed_->id && (membership.forced() || membership.confirmed_on_disk() >= proposed_->id)) commit(now, proposed_);
}

}  // namespace clusterd
