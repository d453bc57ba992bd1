// The inside of Node, shared by node.cpp (what happens), node_adoption.cpp (a decision is acted on), node_change.cpp (a new configuration),
// node_departure.cpp (how it goes) and node_status.cpp (what is said about it).
// For no one else.
#pragma once

#include "clusterd/core/membership.hpp"
#include "clusterd/core/node.hpp"
#include "clusterd/core/operations.hpp"
#include "clusterd/core/planner.hpp"
#include "clusterd/core/reconciler.hpp"
#include "clusterd/core/replication.hpp"
#include "clusterd/core/timeline.hpp"

namespace clusterd {

inline constexpr Duration leave_patience = std::chrono::seconds(60);  // for groups that are to move away
inline constexpr Duration move_patience = std::chrono::seconds(20);   // before a permit is given up, for what can still be stopped to move away
inline constexpr Duration revert_pace = std::chrono::seconds(5);       // of tries to take an unconfirmed configuration back
inline constexpr Duration mark_patience = std::chrono::seconds(1);    // for the quorum disk to take the stop mark

struct Node::Impl {
    Impl(StartState s, Now now);

    StartState start;
    ConfigPtr config;  // that counts now
    Membership membership;
    Replication replication;
    Reconciler reconciler;
    Timelines timelines;
    Operations operations;
    Now last;

    bool sync_up = false;
    std::array<std::optional<Report>, 2> reports;
    std::vector<Command> queue;  // to the leader (this node): not decided yet
    struct Answer {
        Command command;
        bool from_peer = false;
        sync::CommandAnswer answer;
    };
    std::vector<Answer> answers;        // once the decision under way is committed
    std::vector<Reason> reasons;        // of the decision under way
    DecisionId proposal;                // its id
    void drop_answers(Effects& out);    // what was proposed may or may not be decided
    std::set<std::string> from_peer;    // ids of queued commands that came over the sync channel
    DecisionPtr before;                 // what was acted on until now
    std::set<std::string> making_way;   // what is offline here for a new configuration: for one to be decided, or for the one decided
    struct Change {                     // leader: a new configuration that is decided once what it drops or replaces is offline
        Command command;
        bool from_peer = false;
        std::set<std::string> making_way;
    };
    std::optional<Change> change;
    Instant revert_at = forever;        // leader: when the configuration that counts is taken back, unless it is confirmed
    Hash revert_for{};                  // which that is
    bool revert_told = false;
    Role told_role = Role::seeking;
    bool told_any_role = false;

    bool permit_told = true;            // false: a predecessor's permit, or its end, which it may not have told guard and gate of any more
    bool emergency = false;             // under way
    Instant emergency_for = forever;    // the permit end it was for
    bool leaving = false, left = false;
    bool was_joined = false, peer_lost = false;  // lost: it was joined, and is gone without a word
    Instant leaving_since = long_ago, marked_since = long_ago;
    bool giving_up = false, gave_up = false;  // something here can't be stopped: the rest moves away; and the permit is given up
    std::string unstoppable;                  // what that is: "RESOURCE of group GROUP"
    Instant giving_up_since = long_ago;
    std::vector<std::uint8_t> networks; // 1 = well
    Instant prepared_for = long_ago;    // the seeking that addresses were prepared in
    std::vector<std::string> warnings;

    NodeIndex self() const { return start.self; }
    NodeIndex peer() const { return other(start.self); }
    Spec const& spec() const { return config->spec; }
    bool joined() const { return membership.role() == Role::joined; }
    bool may_run(Now now) const;
    Rights rights(Now now) const;
    bool peer_can_take() const;
    std::array<Report const*, 2> known_reports() const;
    PlanView plan_view(Now now) const;

    void surround();
    void settle(Now now, Effects& out);
    void enforce_permit(Now now, Effects& out, std::size_t from);
    void adopt(Now now, Effects& out);
    void stop_what_was_taken_over(Decision const* was, Decision const* is, Effects& out);
    void go_over(Now now, Effects& out);
    CommandVerdict begin_change(PlanView const& view, Command const& c, bool is_from_peer, Decision& d);
    bool call_off_stale_change(Decision& d) const;
    bool way_is_free(PlanView const& view, Decision const& base) const;
    bool finish_change(PlanView const& view, Decision& d);
    void drop_change(std::string const& why, Effects& out);
    void revert_if_unconfirmed(Now now, Effects& out);
    void lead(Now now, Effects& out);
    Decision draft(bool& changed) const;
    std::array<StoreId, 3> voters(std::array<StoreId, 3> listed) const;
    void decide_commands(PlanView const& view, Decision& d, bool& changed, Effects& out);
    void answer(Answer const& a, Effects& out);
    void begin_timelines(Now now, Decision const* old, Decision const& now_acting);
    void fail_addresses_of_bad_networks(Now now, Effects& out);
    void prepare_takeover(Now now, Effects& out);
    void route_commands(Effects& out);
    void leave_if_done(Now now, Effects& out);
    void note_loss();
    void find_unstoppable(Now now);
    bool others_moved_away() const;
    void give_up_if_stuck(Now now, Effects& out);
    void tell_role(Now now, Effects& out);
    std::string evidence(Now now) const;
    void report(Now now, Effects& out);

    void on(Now now, event::Tick const&, Effects& out);
    void on(Now now, event::HeartbeatReceived const& e, Effects& out);
    void on(Now now, event::SyncUp const&, Effects& out);
    void on(Now now, event::SyncDown const&, Effects& out);
    void on(Now now, event::SyncReceived const& e, Effects& out);
    void on(Now now, event::Persisted const& e, Effects& out);
    void on(Now now, event::CycleDone const& e, Effects& out);
    void on(Now now, event::DiskReadDone const& e, Effects& out);
    void on(Now now, event::DiskDecisionStored const& e, Effects& out);
    void on(Now now, event::DiskDecisionsLoaded const& e, Effects& out);
    void on(Now now, event::ResourceChanged const& e, Effects& out);
    void on(Now now, event::HealthResult const& e, Effects& out);
    void on(Now now, event::NetworkState const& e, Effects& out);
    void on(Now now, event::CommandGiven const& e, Effects& out);
    void on(Now now, event::CommandAbandoned const& e, Effects& out);
    void on(Now now, event::EmergencyStopped const& e, Effects& out);
    void on(Now now, event::LeaveRequested const&, Effects& out);
    void on(Now now, event::Forced const& e, Effects& out);
    void on(Now now, event::Measured const& e, Effects& out);
};

}  // namespace clusterd
