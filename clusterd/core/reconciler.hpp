// The reconciler compares what this node runs with what the decision wants of it, and works towards it: puts online, takes
// offline, restarts, gives up. It also counts failures (design.md, "Failure policy").
//
// Level-triggered: reconcile() looks at everything each time, so a lost message costs time and nothing else.
// Promise: nothing is started without Rights.may_start, which the caller gives only with a valid permit and under a committed
// decision of the term the node is joined or alone in.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/status.hpp"

#include <deque>
#include <map>

namespace clusterd {

struct Rights {
    bool may_run = false;    // the permit holds, and it isn't about to end
    bool may_start = false;  // and the decision acted on is of the present term
    bool leaving_now = false;  // a clean stop, and no able peer takes the groups
    bool peer_takes = false;   // leaving, but the peer takes what is possible there
    bool joined = false;       // the peer is a member, too
    Report const* peer = nullptr;  // what it says it runs; null: nothing yet
};

class Reconciler {
public:
    Reconciler(NodeIndex self, Incarnation incarnation) : self_(self), incarnation_(incarnation) {}
    Reconciler(Reconciler const&) = delete;
    Reconciler& operator=(Reconciler const&) = delete;

    // A new configuration: resources that go on keep their state; new ones, and those that start anew, are to be found out.
    void configure(Spec const& spec, Now now);
    // Of these nothing does, or may do, anything here. Names it doesn't know do nothing.
    bool quiet(std::set<std::string> const& resources) const;
    // `making_way`: not wanted, whatever the decision says of their group.
    void reconcile(Now now, Rights const& rights, Decision const* decision, std::set<std::string> const& making_way, Effects& out);

    void on_changed(Now now, event::ResourceChanged const& e, Effects& out);
    void on_health(Now now, event::HealthResult const& e, Effects& out);
    // Everything was ended from outside (emergency stop): what is true now has to be found out.
    void forget_states(Now now, bool proven, std::string const& why);
    void fail(Now now, std::string const& resource, std::string const& why, bool restart_here, Effects& out);

    bool anything_running() const;  // or being started, stopped, or not known
    bool anything_online() const;   // or being started or stopped, as far as known
    // As anything_online(), and what isn't found out counts, too, where something may have been started since all was last proven to be stopped.
    bool anything_may_be_here() const { return unseen_ ? anything_running() : anything_online(); }
    void goes_on() { unseen_ = true; }  // a worker before this one, of the same incarnation, may have started things
    std::uint32_t groups_online() const;
    Instant next_wakeup(Now now) const;
    Report const& report() const { return report_; }
    // Of the group: a resource that was killed in vain, so that nothing proves that it has ended. Empty: none.
    std::string unstoppable(GroupSpec const& g) const;
    bool anything_unstoppable() const;
    // For a forecast: so many restarts of it are used.
    void assume_restarts(Now now, std::string const& resource, int used);
    bool refresh_report(Now now, DecisionId under, bool leaving, bool giving_up);  // true: it changed
    std::map<std::string, ResourceState> states() const;

private:
    struct Local;
    struct Needs {  // ResourceSpec::depends with its names looked up
        Dependency::Kind kind = Dependency::Kind::all;
        Local const* local = nullptr;  // of a name
        std::vector<Needs> children;
    };
    struct Local {
        ResourceSpec const* spec = nullptr;
        GroupSpec const* group = nullptr;
        Needs needs;
        std::vector<Local const*> dependents;  // everything that needs it, directly or not
        ResourceReport* told = nullptr;        // its part of report_
        ResourceState state = ResourceState::unknown;
        std::string message;
        std::int64_t since_wall_ms = 0;
        std::uint64_t action = 0;  // under way; 0 = none
        ActionKind kind = ActionKind::probe;
        std::deque<Instant> restarts;  // within spec->restart.period
        Instant not_before = long_ago;   // pace of repeated probes and kills
        Instant start_after = long_ago;  // restart delay
        bool gave_up = false;           // restarts used up: failed until retry_at, reset, or another owner
        Instant retry_at = forever;
        std::int64_t retry_wall_ms = 0;
        Duration backoff{0};           // of the retries; begins anew once it ran well for restart.period
        Instant online_since = long_ago;
        int kills = 0;                  // attempts to end it in a row, without success: a stop, then kills
        int not_found_out = 0;          // probes in a row that didn't tell
        bool checks_run = false;
        std::vector<Health> health;
        std::vector<int> failed_in_row, unknown_in_row;
        std::uint64_t fail_order = 0, reset_order = 0;
        bool orders_known = false;
        bool wanted = false;
        bool maintained = false;  // its group is in maintenance: it isn't started
        bool hands_off = false;   // and here, and it may stay: it is looked at and left alone
        std::string waits;  // for which group its own waits, for people; empty: it doesn't
    };

    struct Group {
        GroupSpec const* spec = nullptr;
        std::vector<Local*> members;  // in the file's order
        Instant yields_until = forever;  // to groups of higher priority that start, too; forever: to none
    };

    static std::string evidence(Now now, Local const& l);  // evidence.cpp

    // group_order.cpp: `after` and `priority`
    void order_groups(Now now, Rights const& rights, Decision const* decision);
    static void let_wait(Group const& g, std::string const& why);
    GroupSpec const* waited_for(GroupSpec const& g, Rights const& rights, Decision const& decision) const;
    bool comes_online(GroupSpec const& first, Rights const& rights, Decision const& decision) const;
    static bool on_its_way(Group const& g);
    static bool begun(Group const& g);

    void resolve();  // every pointer between groups_, locals_ and report_
    Needs resolved(Dependency const& d) const;
    template <class There>
    static bool fulfilled(Needs const& n, There const& there);
    bool group_is_mine(GroupSpec const& g, Rights const& rights, GroupDecision const* d) const;
    void mark_wanted(Group const& g, Rights const& rights, GroupDecision const* d, std::set<std::string> const& making_way);
    void count_time(Now now, Local& l, GroupDecision const* d, Effects& out);
    void take_orders(Now now, Local& l, GroupDecision const& d, bool mine, Effects& out);
    static bool hands_off(Rights const& rights, GroupDecision const* d, NodeIndex self);
    void look_only(Now now, Local& l, Effects& out);
    void drive(Now now, Local& l, Rights const& rights, Effects& out);
    bool dependents_stopped(Local const& l) const;
    bool needs_met(Local const& l) const;     // what it needs is online: it may be started
    bool may_stay(Local const& l) const;      // what it needs is online or being found out: no reason to stop it
    void act(Now now, Local& l, ActionKind kind, Effects& out);
    void set_state(Now now, Local& l, ResourceState s, std::string message, Effects& out);
    void run_checks(Local& l, bool run, Effects& out);
    void failed(Now now, Local& l, std::string const& why, bool restart_here, Effects& out);
    void forgive(Local& l);
    Health health_of(Local const& l) const;
    ResourceState shown_state(Local const& l) const;

    NodeIndex self_;
    Incarnation incarnation_;
    std::map<std::string, Local> locals_;
    std::vector<GroupSpec> specs_;  // own copy: Local and Group point into it
    std::vector<Group> groups_;     // as specs_; every step looks at all of them, so nothing is looked up by name
    std::vector<Local*> all_;       // as locals_
    Report report_;
    bool reshaped_ = false;         // report_ lists other resources than it did when it was last told
    std::uint64_t next_action_ = 1;
    bool unseen_ = false;
};

}  // namespace clusterd
