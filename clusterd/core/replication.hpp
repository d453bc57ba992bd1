// Replication decides when a decision is stored, committed and may be acted on; and, on the leader, when the next may be made.
//
// protocol.md, "Decisions": a new leader has its term at two of three stores, then takes the newest decision of those two, then
// stores decisions of its own term, its own disk first. Committed = stored durably at two of three.
// node.cpp drives it; membership says who leads and which terms are durable.
#pragma once

#include "clusterd/core/membership.hpp"

#include <deque>

namespace clusterd {

class Replication {
public:
    Replication(StoreId store, DecisionPtr stored, Terms terms);

    // ---- events
    // True where something became durable: terms() is then what membership must be told.
    bool on_persisted(Now now, event::Persisted const& e, Effects& out);
    void on_sync(Now now, sync::FollowerState const& m, Membership const& membership, Effects& out);
    void on_sync(Now now, sync::StoreDecision const& m, Membership const& membership, Effects& out);
    void on_sync(Now now, sync::DecisionStored const& m, Membership const& membership);
    void on_sync_up() { told_term_ = 0; sent_ = {}; }
    void on_loaded(Now now, event::DiskDecisionsLoaded const& e, Membership const& membership);
    void on_disk_stored(Now now, event::DiskDecisionStored const& e, Membership& membership);
    // Asks for what is owed: stores, loads, messages. Call at the end of every step.
    void advance(Now now, Membership& membership, bool sync_up, Effects& out);

    // ---- the leader
    bool may_decide() const { return leading_ != 0 && learned_ && !proposed_; }
    bool first_of_term() const { return may_decide() && id_of(base_).term != leading_; }
    // Nobody knows whether base() was ever committed: it is by the next decision. Also in the middle of a term, by a process that goes
    // on as the leader of its predecessor's.
    bool base_unproven() const { return may_decide() && !base_committed_; }
    DecisionPtr const& base() const { return base_; }  // what the next decision is built on; null: none was ever made
    StoreId follower_store() const { return follower_.store; }
    bool new_cluster() const { return new_cluster_; }  // the decision under way is a cluster's first
    void propose(DecisionPtr decision);
    std::string const& blocked() const { return blocked_; }  // why nothing can be decided; empty: no reason

    // ---- everyone
    DecisionPtr const& stored() const { return stored_; }  // newest durable here
    DecisionPtr const& acting() const { return acting_; }  // newest this node may act on
    // acting() was committed, as far as this process knows first hand: starts need that. A decision merely found in the store at
    // a start may never have been committed.
    bool confirmed() const { return confirmed_; }
    Terms const& durable() const { return durable_; }
    Duration last_persist() const { return last_persist_; }
    DecisionId committed_now();  // the decision that became committed since the last call, else {}
    Instant next_wakeup() const { return retry_at_; }

private:
    struct Ticket {
        std::uint64_t number = 0;
        Terms terms;
        DecisionPtr decision;
        Instant asked;
    };

    void follow_membership(Membership& membership);
    void learn_from_follower(Membership const& membership);
    void persist_what_is_owed(Now now, Membership const& membership, Effects& out);
    void commit(Now now, DecisionPtr const& d);
    void place_on_disk(Now now, Membership& membership, Effects& out);
    void tell_peer(Membership const& membership, bool sync_up, Effects& out);

    StoreId store_;
    DecisionPtr stored_, acting_;
    Terms durable_;
    bool confirmed_ = false;

    // storing
    std::deque<Ticket> tickets_;
    std::uint64_t next_ticket_ = 1;
    Terms asked_terms_;
    DecisionPtr to_store_;   // newest that is to be stored here
    DecisionId asked_;       // newest that was asked to be
    Instant retry_at_ = forever;
    Duration last_persist_{0};

    // leading
    Term leading_ = 0;       // the term this node leads in; 0 = none
    bool alone_ = false;
    bool learned_ = false;   // the newest decision of the two stores is known: base_
    DecisionPtr base_;
    bool base_committed_ = false;  // by this process
    DecisionPtr proposed_;   // being committed
    bool new_cluster_ = false;
    sync::FollowerState follower_;  // the last one heard
    DecisionId sent_;        // to the follower, over this channel
    std::uint64_t load_id_ = 0, disk_store_id_ = 0, next_disk_id_ = 1;
    std::uint64_t disks_seen_ = 0;
    DecisionId on_disk_;     // newest put into my area there
    DecisionId disk_storing_;  // being put there, whatever is proposed by now
    Instant load_after_ = long_ago, disk_store_after_ = long_ago;
    DecisionId committed_now_;
    std::string blocked_;

    // following
    Term told_term_ = 0;     // the leader of this term was told what is stored here
    DecisionId acknowledged_;
};

}  // namespace clusterd
