// Membership decides whether this node may have resources online, until when, and when it may take over the peer's groups.
//
// It is protocol.md's permit, slot, arbitration, takeover and rejoin, rule by rule; node.cpp drives it. Pure and copyable: the
// exhaustive test copies it at every branch.
// Promises its safety rests on:
//   1. permit_end is never later than: my heartbeat's send time + P (echoed in a grant of my term), or a disk cycle's start + P;
//   2. nothing of a term is said or written before `durable` covers it;
//   3. may_take_over() is true only when no permit of the peer's from before can still hold.
// The caller owes: advance() (or any on_*) with the present time before any other use, `durable` kept true by persisted(),
// and the outputs performed in order.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/resume.hpp"
#include "clusterd/core/status.hpp"

#include <array>
#include <string>

namespace clusterd {

class Membership {
public:
    // What does not change while an incarnation lives.
    struct Self {
        NodeIndex node = NodeIndex::a;
        Incarnation incarnation = 0;
        StoreId store = 0;
        bool has_disk = true;
    };
    // What the rest of the node knows and membership only reads; the caller keeps it current.
    struct Surroundings {
        Timing timing;
        DecisionId newest;               // newest decision stored (durable)
        Uuid cluster{};
        std::array<StoreId, 3> listed{};  // the stores that decision lists
        DecisionId disk_newest;          // what my slot is to name
        std::uint8_t disk_area = 0;
        Fitness fitness;
        bool anything_running = true;    // some resource may be doing something here: no stopped-term yet
        bool anything_online = false;
        bool seed_disk = false;          // a joined leader of a newly made cluster puts its first decision on the disk
        bool abstains = false;           // leaves, or gave up its permit: makes no offers, takes none, claims nothing
        std::uint32_t networks = 0;
        std::uint32_t scheduling_delay_us = 0;
    };

    Membership(Self self, Terms stored, Now now);
    Membership(Self self, Terms stored, ResumeState const& resume, Now now);

    // ---- events; each may append to `out`
    void on_heartbeat(Now now, Heartbeat const& heartbeat, Effects& out);
    void on_cycle(Now now, event::CycleDone const& done, Effects& out);
    void on_read(Now now, event::DiskReadDone const& done, Effects& out);
    void persisted(Now now, Terms const& durable, Duration took, Effects& out);
    void advance(Now now, Effects& out);
    // The permit is given up: at a clean leave, once nothing runs here any more, or because something here can't be stopped. The
    // slot will carry the stop mark once nothing runs.
    void step_down(Now now, char const* because, Effects& out);
    // An operator takes the responsibility that protocol.md's votes can't: alone without disk and peer, from the moment the term is
    // stored until the disk or the peer answers again. Only while seeking.
    void force(Now now);
    bool forced() const { return forced_; }

    // ---- answers
    Role role() const { return role_; }
    // joined or alone: the term. Seeking: 0.
    Term term() const { return role_ == Role::joined ? joined_term_ : role_ == Role::alone ? alone_term_ : 0; }
    bool leads() const { return role_ == Role::alone || (role_ == Role::joined && leader_of(joined_term_) == self_.node); }
    Instant permit_end() const { return permit_end_; }
    bool permitted(Now now) const { return now.mono < permit_end_; }
    PermitSource permit_source(Now now) const;
    bool may_take_over(Now now) const;
    Instant takeover_at() const;  // the moment rule (c) is fulfilled, if nothing changes; forever: not by time
    Terms const& wanted_terms() const { return wanted_; }  // make these durable
    Instant next_wakeup(Now now) const;
    // My slot as the last successful cycle of this stint as `alone` wrote it: a decision it names is committed.
    DecisionId confirmed_on_disk() const { return role_ == Role::alone ? confirmed_ : DecisionId{}; }
    bool seeded() const { return seeded_; }
    // Rises when another disk answers in the old one's place: what was stored there isn't here.
    std::uint64_t disks_seen() const { return disks_seen_; }
    // The disk holds my stopped-term, written while nothing ran here.
    bool stop_marked() const { return role_ == Role::seeking && flight_.id == 0 && own_slot_.stopped_term != 0 && disk_ok_; }
    bool disk_fresh() const { return disk_fresh_; }
    bool peer_heard(Now now) const;  // a heartbeat of the peer's within `suspect`
    bool disk_usable() const { return disk_ok_; }
    StoreId disk_id() const { return disk_id_; }
    Uuid const& disk_cluster() const { return disk_cluster_; }
    std::string const& disk_error() const { return disk_error_; }
    Heartbeat const& peer() const { return peer_; }          // the last heartbeat of the peer's proven incarnation
    Incarnation peer_incarnation() const { return peer_incarnation_; }
    Incarnation incarnation() const { return self_.incarnation; }
    Instant peer_last_heard() const { return heard_; }
    Slot const& own_slot() const { return own_slot_; }
    // Which area my slot on the disk names is certain: the last write of it is known to have landed.
    bool slot_settled() const { return own_slot_read_ && written_area_ == own_slot_.area; }
    Slot const& peer_slot() const { return shown_; }
    bool disk_busy() const { return flight_.id != 0 || read_id_ != 0; }
    Instant disk_busy_since() const { return disk_since_; }
    Duration cycle_p99() const;
    Duration fsync_p99() const;
    Duration worst_margin() const { return worst_margin_; }  // least of permit_end - now at any renewal; max = none yet
    // For the record of a failover.
    Instant r_last() const { return r_last_; }
    Instant seeking_since() const { return seeking_since_; }
    Instant alone_since() const { return alone_since_; }
    std::string const& last_change() const { return because_; }  // why the role is what it is, for people
    ResumeState resume(Now now) const;

    Surroundings around;

private:
    enum class Step : std::uint8_t { one, two };  // of arbitration
    struct Flight {                               // the disk cycle under way
        std::uint64_t id = 0;                     // 0 = none
        std::uint64_t stint = 0;                  // the stint (role entry) it was started in
        Step step = Step::one;
        bool seed = false;
        Slot mine;
    };
    struct Samples {  // the last durations, for a p99
        std::array<std::int64_t, 64> ns{};
        std::uint32_t count = 0;
        void add(Duration d);
        Duration p99() const;
    };

    Duration P() const { return around.timing.permit; }
    Duration P_drift() const { return around.timing.permit_with_drift(); }
    bool listed() const { return self_.store != 0 && around.listed[at(self_.node)] == self_.store; }
    bool peer_listed() const { return peer_.store != 0 && around.listed[at(other(self_.node))] == peer_.store; }
    bool no_cluster_yet() const { return !around.newest.exists(); }
    bool disk_is_a_vote() const;
    bool seed_due() const { return role_ == Role::joined && around.seed_disk && !seeded_ && around.disk_newest.exists(); }
    bool retired(Term alone_term) const { return alone_term < granted_term_; }
    bool quiet(Instant read_started) const;
    bool echo_fresh(Now now) const;
    bool may_claim() const;
    bool rejoin_possible() const;  // an offer, mine or the peer's, can lead back without the disk
    bool i_offer() const;
    bool less_fit() const;
    Instant preference_deadline() const;
    void see_term(Term t);
    void choose_claim();
    void lapse(Now now);
    void meet(Now now, Heartbeat const& h);
    void seek(Now now, char const* because);
    void become_alone(Now now, Instant started, Effects& out);
    void become_joined(Now now, Term term, char const* because);
    void renew_permit(Now now, Instant end, Effects& out);
    void void_permit(Effects& out);
    void heard_while_joined(Now now, Heartbeat const& h, bool newer, Effects& out);
    void consider_offer_to_me(Now now, Heartbeat const& h);
    void accept_when_durable(Now now, Effects& out);
    void make_offer_if_due(Now now);
    void decide_step_one(Now now, event::CycleDone const& done);
    void decide_step_two(Now now, event::CycleDone const& done, Effects& out);
    void decide_alone(Now now, event::CycleDone const& done, Effects& out);
    void start_cycle_if_due(Now now, Effects& out);
    void start_read_if_due(Now now, Effects& out);
    void go_on_forced(Now now, Effects& out);
    void send_heartbeat(Now now, Effects& out);
    void note_peer_slot(Now now, Slot const& slot);
    void meet_disk(event::DiskReadDone const& done);
    Slot next_slot(Now now) const;

    Self self_;
    Role role_ = Role::seeking;
    Terms wanted_, durable_;
    std::string because_ = "started";

    // permit and last signs of life
    Instant permit_end_ = long_ago;
    Instant started_;
    Instant r_last_;                    // protocol.md, "echo"
    Instant last_grant_ = long_ago;     // receipt of the last fresh grant (or of joining)
    Instant newest_echoed_ = long_ago;  // newest send time of mine that a grant echoed
    Instant last_echo_ = long_ago;      // receipt of the last echo of this incarnation
    Instant heard_ = long_ago;          // receipt of the last heartbeat of the proven peer
    Duration worst_margin_ = Duration::max();

    // the peer
    Heartbeat peer_;                    // last of the proven incarnation
    Incarnation peer_incarnation_ = 0;  // proven: it echoed mine. 0 = none
    Echo greeting_;                     // newest of one that hasn't proved itself
    Incarnation joined_with_ = 0;
    std::array<Incarnation, 4> former_{};  // incarnations of the peer that are over: late packets of theirs mean nothing

    // terms
    Term joined_term_ = 0;   // the last one this process was joined in (0: none yet)
    Term granted_term_ = 0;  // the last one it was joined in *and* received a grant in
    Term last_joined_ = 0;   // like joined_term_, of any incarnation: never lower than what it was joined in
    Term foreign_ = 0;       // highest number seen that isn't my own claim or offer
    Term alone_term_ = 0;   // the highest it wrote `alone` with, any incarnation
    Term was_in_ = 0;       // the highest it was joined or alone in, any incarnation: the stopped-term
    Offer offer_;           // mine; visible only when durable
    Term accepting_ = 0;    // the peer's, being stored

    // arbitration
    std::uint64_t stint_ = 1;  // rises at every role entry
    Step step_ = Step::one;
    Term claim_ = 0;           // step 2's term (chosen; maybe not durable yet)
    Flight flight_;
    std::uint64_t next_id_ = 1;
    std::uint64_t read_id_ = 0;
    Instant disk_since_ = long_ago;
    Instant next_cycle_ = long_ago;
    Instant next_read_ = long_ago;
    Instant next_heartbeat_ = long_ago;
    bool heartbeat_owed_ = true;
    Instant last_sent_ = long_ago;
    bool own_slot_read_ = false;
    Slot own_slot_, peer_slot_;
    bool reread_ = false;            // a cycle failed: who knows what disk answers next
    std::uint8_t written_area_ = 0;  // as the last cycle that succeeded wrote it
    Slot shown_;  // the peer's slot as last read in any role: for people only
    bool peer_slot_known_ = false;      // in this stint
    Instant peer_slot_seen_ = forever;  // completion of the first read, in this stint, that showed it as it is
    bool baseline_known_ = false;
    std::uint64_t baseline_beat_ = 0;
    Instant takeover_slot_seen_ = forever;  // peer_slot_seen_ as step 2 left it
    Term takeover_slot_term_ = 0;           // that slot's alone-term
    DecisionId confirmed_;
    Instant seeking_since_, alone_since_ = long_ago;

    // the disk
    bool forcing_ = false, forced_ = false;  // ordered; and done
    bool disk_ok_ = false, disk_fresh_ = false, seeded_ = false;
    StoreId disk_id_ = 0;
    std::uint64_t disks_seen_ = 0;
    Uuid disk_cluster_{};
    std::string disk_error_ = "not read yet";
    Samples cycles_, fsyncs_;
};

}  // namespace clusterd
