// Two nodes, the quorum disk and everything between and under them, in virtual time: what the real Node runs in when it is
// simulated. The random simulator (main.cpp), the recorded traces and the pair matrix drive it.
//
// It promises what the protocol assumes and nothing more: single-sector writes are atomic; a write of a dead process lands before
// the next process's first write; the two clocks' rates differ by at most rho; the guard ends everything between permit end - K
// and permit end while it runs; the gate silences an address at permit end. Everything else may go wrong, by `conditions`.
// Each change is checked against protocol.md's invariants in true time (checks.cpp); a breach throws Violation.
#pragma once

#include "clusterd/core/node.hpp"
#include "tests/sim/random.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd::sim {

using Ns = std::int64_t;  // true time since the simulation's start; no node ever sees it
inline constexpr Ns ms = 1'000'000;
inline constexpr Ns never = INT64_MAX;
inline constexpr std::int64_t wall_start = 1'700'000'000'000;  // what every wall clock shows then, in milliseconds

struct Violation : std::runtime_error {
    Violation(std::string which, std::string const& what) : std::runtime_error(which + ": " + what), invariant(std::move(which)) {}
    std::string invariant;
};

// A value drawn anew each time it is used.
struct Range {
    Ns low = 0, high = 0;
};

enum class Agents : std::uint8_t { truthful, always_ok, always_failed, silent };

// How well everything works at this moment.
struct Conditions {
    struct Disk {
        bool failing = false, hanging = false;
        Range io{2 * ms, 2 * ms};  // one write, or one read
        double error = 0;
        bool loses_next = false;   // the next write of the slot is said to be done, and is not
        bool tears_next = false;   // it fails, and leaves a slot that nobody can read
    };
    std::array<std::array<bool, 2>, 2> cut{};   // [link][sender]: nothing arrives
    std::array<std::array<bool, 2>, 2> hold{};  // [link][sender]: arrives when released, traces only
    Range delay{ms / 2, ms / 2};
    double loss = 0, twice = 0, late = 0;       // of heartbeats; late: up to `latest`
    double overtaken = 0;                       // by the next few
    Ns latest = 3000 * ms;
    Range break_after{1000 * ms, 1000 * ms};    // a cut is noticed by the sync channel
    std::array<Disk, 2> disk;
    Range fsync{3 * ms, 3 * ms};
    double fsync_error = 0;
    Range scheduling{0, 0};                     // how late a timer fires
    Range start{20 * ms, 20 * ms}, stop{20 * ms, 20 * ms};
    Range emergency{30 * ms, 30 * ms};          // of each resource; less than K
    double start_fails = 0, stop_fails = 0, start_hangs = 0, stop_hangs = 0;
    double unkillable = 0;                      // of what is killed: it runs nothing any more, but nothing proves it
    Range dies_after{1000 * ms, 60'000 * ms};   // how long that lasts
    double dies_in_effects = 0;                 // the worker dies between two effects of one step
    bool nothing_may_stop = false;              // invariant 6: no resource that is online may go offline now
    bool winner_keeps_all = false;              // nor on a node that was joined and becomes alone
    std::string only_fault;                     // what is wrong meanwhile, for the message
    std::array<bool, 2> network_well{true, true};
    std::array<bool, 2> healthy{true, true};    // what health agents find
    std::array<Agents, 2> agents{};             // and what they say of it
    std::array<Ns, 2> wall{};                   // how far the wall clock is off
    bool comes_back = false;                    // a node that has left is started again
};

struct Setup {
    ConfigPtr config;
    std::uint64_t seed = 1;
    int links = 1;
    std::array<double, 2> rate{1.0, 1.0};       // of each node's clock
    bool initial_disk = true;                   // the disk was made by `quorum init`
};

// remains: a start or stop failed; something is left. dying: killed, but not gone, as a process that waits for a dead disk: it runs no
// code of its own any more (an address: the gate is closed), and nothing can prove that it has ended.
enum class Truth : std::uint8_t { off, starting, on, stopping, remains, dying };

struct Cluster;

// What a machine really runs for one resource, whatever any node believes.
struct Running {
    ResourceSpec const* spec = nullptr;
    bool address = false;
    Truth truth = Truth::off;
    std::uint64_t serial = 0;  // of the action under way
    struct Queued {
        effect::ResourceAction action;
        std::uint64_t instance = 0;
    };
    std::deque<Queued> queue;  // waiting behind it
    bool busy = false;
    bool died_unseen = false;  // off, but nobody was told
    bool checks = false;
    std::uint64_t checks_serial = 0;
    Ns dies_at = 0;  // dying: when it is gone
    bool dropped = false;  // of a configuration that its node has gone over from
};

struct Machine {
    NodeIndex self = NodeIndex::a;
    bool powered = false;
    // CLOCK_BOOTTIME
    Ns clock_base = 0;
    std::int64_t mono_base = 0;
    double rate = 1.0;
    bool paused = false;   // by its hypervisor: kernel, clock and all
    Ns stale_until = 0;    // woken from that: until then its permit, by a clock that stood still, may hold beside the other's
    Term woke_in = 0;      // or until it acts on a decision of a later term than this: only that tells it what happened meanwhile; 0 = it knows
    std::vector<std::function<void()>> when_woken;
    // the guard, and what it shares with the worker
    bool guard = false, guard_frozen = false;
    std::uint64_t guard_started = 0;  // how often: an Instant means nothing across a boot
    Instant permit_end = long_ago, latest_end = long_ago;  // latest: of all it was ever told, also when given back since
    Incarnation permit_incarnation = 0;  // that got it
    Instant inherited_end = long_ago;    // the permit that a worker goes on with: it may tell the guard once more
    ResumeState resume;
    bool has_resume = false;
    bool check_scheduled = false;
    bool emergency = false, emergency_unproven = false;  // unproven: said so, and goes on
    std::uint64_t emergency_serial = 0;
    // the worker
    std::unique_ptr<Node> node;
    std::uint64_t instance = 0;  // of this process
    Incarnation incarnation = 0;
    bool frozen = false;
    bool left = false;
    std::deque<Event> backlog;   // what waits for a frozen worker
    bool in_step = false;
    Ns tick_at = never;
    std::uint64_t steps_here = 0;  // at one instant, to notice a spin
    Ns steps_at = -1;
    // the state store
    StoreId store = 0;
    Terms terms;
    DecisionPtr stored;
    Uuid cluster{};
    std::deque<effect::Persist> persists;
    bool persisting = false;
    // the disk thread
    bool disk_busy = false;
    std::uint64_t disk_request_id = 0;
    StoreId disk_known = 0;  // the disk this process has read
    std::optional<Slot> wrote;  // its slot, as the disk said it took it: an older one there is a lost write
    std::deque<std::function<void(std::uint64_t)>> disk_queue;
    std::function<void()> ghost;            // a dead process's write that may still land
    std::vector<std::function<void()>> hung;  // what waits for the disk to answer again

    std::map<std::string, Running> running;
    ConfigPtr config;  // that its node went over to
    bool up() const { return node != nullptr; }
};

struct QuorumDisk {
    std::array<Slot, 2> slot;
    std::array<bool, 2> torn{};  // the slot's MAC is bad
    std::array<std::array<DecisionPtr, 2>, 2> area;
    StoreId id = 0;
    Uuid cluster{};
};

struct SyncChannel {
    std::uint64_t id = 0;  // 0 = none
    std::array<std::uint64_t, 2> instance{};
    std::array<bool, 2> up{};
    std::array<Ns, 2> last_arrival{};  // by sender
    std::array<std::deque<SyncMessage>, 2> waiting;
    bool breaking = false;
};

// What the checks remember of the past.
struct Memory {
    struct Known {
        DecisionPtr decision;
        DecisionId base;
        std::uint64_t instance = 0;  // the process that made it
        bool durable = false;        // was stored somewhere: before that, it dies with its process
        std::array<bool, 2> held{};  // by a node's store, maybe one that was lost since
    };
    std::map<DecisionId, Known> decisions;  // every decision ever made, and what its author knew
    DecisionId committed;                   // the newest one a node acted on
    std::array<DecisionId, 2> known{};      // the newest each process has seen
    std::array<DecisionId, 2> acted{}, found{};  // found: in its store when the process started
    std::array<Role, 2> role{};
    std::array<Term, 2> offered{};
    std::array<std::pair<Incarnation, Instant>, 2> last_sent{};
    std::array<Term, 2> told_joined{};               // the highest term it ever said it is joined in
    std::map<Term, std::set<Incarnation>> offered_to;
    std::array<bool, 2> took{};             // took the other's groups over, and is alone since
    struct Given {
        Command command;
        Ns given = 0, ended = never;
        Outcome outcome = Outcome::running;
    };
    std::map<std::string, Given> commands;
    std::map<std::string, std::deque<Ns>> failovers;  // by group: when one by failure was decided, in true time
    Ns wall_stepped = -never;                         // last step of any wall clock
    std::uint64_t came_back = 0;                      // nodes that were started again after they had left
    std::array<Echo, 2> newest_arrived{};             // of each sender's heartbeats
    std::map<std::string_view, std::uint64_t> probes;  // rare cases that happened; names are literals
    std::array<std::set<std::string>, 2> online_when_joined_ended;
    std::set<std::string> dropped;  // resources that some committed configuration did not have, or in another group
    std::map<std::string, ConfigPtr> by_xml;  // as the shell parses them
    std::vector<ConfigPtr> configurations;  // other than the first, that ever counted on a node
};

struct Cluster {
    explicit Cluster(Setup setup);
    ~Cluster();
    Cluster(Cluster const&) = delete;
    Cluster& operator=(Cluster const&) = delete;

    // ---- time
    void run_until(Ns until);
    void at(Ns when, std::function<void()> what);
    void after(Ns delay, std::function<void()> what) { at(now + delay, std::move(what)); }

    // ---- what can be done to it
    void power_on(NodeIndex n);                      // machine, guard and worker: a new incarnation
    void power_cut(NodeIndex n);
    void kill_worker(NodeIndex n, Ns restart_after);
    void follow_worker(NodeIndex n, std::uint64_t incarnation);  // the guard starts it again
    void kill_service(NodeIndex n);                  // worker and guard; start_service() begins anew
    void start_service(NodeIndex n);
    void freeze(NodeIndex n, bool guard_too);
    void thaw(NodeIndex n);
    // As a virtual machine is paused, or moved to another host: nothing of it runs, and its clock stands still. Neither permit, guard nor gate can
    // know; protocol.md promises nothing of the time between its wake-up and that permit's end, but all else.
    void pause_machine(NodeIndex n);
    void wake_machine(NodeIndex n);
    void cut(NodeIndex from, bool on, int link = -1);
    void hold(NodeIndex from, bool on);              // off: all that was held arrives now
    void disk_fails(NodeIndex n, bool on);
    void disk_hangs(NodeIndex n, bool on);
    void change_rate(NodeIndex n, double rate);
    void resource_dies(NodeIndex n, std::string const& resource);
    void resource_sticks(NodeIndex n, std::string const& resource, Ns until);  // fails, and can't be killed
    void network(NodeIndex n, bool well);
    void upgrade(NodeIndex n, Ns takes);             // the worker ends cleanly, and a new one goes on
    void step_wall_clock(NodeIndex n, Ns by);
    void resource_dies_unseen(NodeIndex n, std::string const& resource);
    void command(NodeIndex n, Command const& command);
    void leave(NodeIndex n);
    void force(NodeIndex n);                         // quorum force
    void lose_store(NodeIndex n);                    // a new, empty state store at its next start

    // ---- what is true now
    Instant clock(NodeIndex n) const;
    Instant clock_at(NodeIndex n, Ns when) const;
    Ns true_time(NodeIndex n, Instant i) const;
    Now now_at(NodeIndex n) const;
    char const* bad_front(NodeIndex n) const;
    bool disk_usable(NodeIndex n) const;             // but for `conditions`: it is sound, and the node's process trusts it
    bool permitted(NodeIndex n) const;               // as guard and gate see it
    bool stale(NodeIndex n) const { return machine(n).paused || now < machine(n).stale_until || machine(n).woke_in != 0; }
    bool active(NodeIndex n, std::string const& resource) const;  // does something an outsider could notice
    std::string describe(NodeIndex n) const;
    std::string describe_disk() const;
    std::string describe_decision(DecisionId id) const;
    Machine& machine(NodeIndex n) { return machines[at(n)]; }
    Machine const& machine(NodeIndex n) const { return machines[at(n)]; }
    static std::size_t at(NodeIndex n) { return clusterd::at(n); }

    void note(std::string line);                     // into the log, when it is kept
    void probe(char const* rare) { ++memory.probes[rare]; }
    Ns draw(Range r) { return random.between(r.low, r.high); }
    // The first configuration's: nodes, timing and networks are the same in every other.
    Spec const& spec() const { return setup.config->spec; }

    Setup setup;
    Random random;
    Conditions conditions;
    std::array<Machine, 2> machines;
    QuorumDisk disk;
    SyncChannel sync;
    Memory memory;
    Ns now = 0;
    std::uint64_t steps = 0;
    bool logging = false;
    std::size_t log_limit = 60;
    std::deque<std::string> log;
    std::function<void(std::string const&)> on_note;

private:
    struct Item {
        Ns when = 0;
        std::uint64_t order = 0;
        std::function<void()> what;
        bool operator<(Item const& o) const { return when != o.when ? when > o.when : order > o.order; }
    };
    std::priority_queue<Item> queue_;
    std::uint64_t order_ = 0;
    std::uint64_t next_incarnation_ = 0;
    std::uint64_t next_process_ = 0;
    std::uint64_t next_revert_ = 0;
    std::uint64_t next_store_ = 100;
    struct Held {
        NodeIndex from;
        int link;
        Heartbeat heartbeat;
    };
    std::vector<Held> held_;

    // machine.cpp
    void start_worker(Machine& m, bool resume);
    void end_worker(Machine& m);
    void deliver(Machine& m, Event event);
    void deliver_to(Machine& m, std::uint64_t instance, Event event);
    void step(Machine& m, Event const& event);
    void perform(Machine& m, Effects const& effects);
    void schedule_tick(Machine& m);
    void persist_next(Machine& m);
    void store(Machine& m, effect::Persist const& p);
    void set_permit(Machine& m, Instant end);
    void guard_check(Machine& m);
    void nothing_runs_at(Machine& m, Instant end);
    void start_emergency(Machine& m, bool by_guard);
    friend struct Perform;

    // disk.cpp
    void disk_request(Machine& m, std::function<void(std::uint64_t request)> run);
    void disk_next(Machine& m);
    void settle_ghost(Machine& m);
    void write_slot(NodeIndex n, Slot const& slot);
    void disk_cycle(Machine& m, effect::DiskCycle const& e);
    void disk_read(Machine& m, effect::DiskRead const& e);
    void disk_store(Machine& m, effect::DiskStoreDecision const& e);
    void disk_load(Machine& m, effect::DiskLoadDecisions const& e);
    void read_back(Machine& m, std::uint64_t request, event::CycleDone done);
    void disk_io(Machine& m, std::uint64_t request, bool is_write, std::function<void()> effect, std::function<void(bool)> then);
    void disk_done(Machine& m, std::uint64_t request, Event event);

    // network.cpp
    void send_heartbeat(Machine& m, Heartbeat const& h);
    void arrive(NodeIndex from, int link, Heartbeat const& h);
    bool open(NodeIndex from) const;
    void sync_poll();
    void sync_send(Machine& m, SyncMessage const& message);
    void sync_arrive(std::uint64_t id, NodeIndex from, SyncMessage message);
    void sync_pump(std::uint64_t id, NodeIndex from);
    void sync_break(bool at_once);
    int downs_owed_ = 0;

    // resources.cpp
    void act(Machine& m, effect::ResourceAction const& a);
    void act_next(Machine& m, Running& r);
    void act_now(Machine& m, Running& r, Running::Queued const& q);
    bool kill(Machine& m, Running& r);
    void emergency_over(Machine& m, std::uint64_t serial, bool late);
    void report(Machine& m, Running const& r, Running::Queued const& q, ResourceState state, char const* message);
    void finish(Machine& m, std::string const& name, std::uint64_t serial, std::function<void(Running&)> what);
    void set_truth(Machine& m, Running& r, Truth truth);
    void run_checks(Machine& m, effect::Checks const& c);
    void check_once(Machine& m, std::string const& name, std::uint64_t serial, std::size_t which);
    void everything_off(Machine& m, bool addresses_too);

    // configurations.cpp
    void configured(Machine& m, bool at_start);
    static std::string const& what_it_holds(ResourceSpec const& r);
    void check_held_once() const;
    void revert(Machine& m, effect::RevertConfiguration const& e);

    // checks.cpp
    void after_step(Machine& m);
    void role_changed(Machine& m, Role from, Role to);
    void check_acted(Machine& m, bool starts);
    void check_takeover(Machine& m, Decision const& before, Decision const& d);
    void check_permit(Machine& m, Instant end);
    void check_two_owners(std::string const& resource);
    void check_start(Machine& m, Running const& r);
    void check_stop(Machine& m, Running const& r);
    void learn(Machine& m, DecisionPtr const& d);
    void made(Machine& m, DecisionPtr const& d);
    bool descends(DecisionId from, DecisionId ancestor) const;
    void command_update(Machine& m, effect::CommandUpdate const& u);

    // policy_checks.cpp
    static void check_moved(Decision const& before, Decision const& d);
    void check_given_to_paused(Decision const& before, Decision const& d);
    void count_failovers(Decision const& before, Decision const& committed);

    // word_checks.cpp
    void check_sent_once(Machine& m, Heartbeat const& h);
    void check_offer(Machine& m, Heartbeat const& h);
    void check_joined(Machine& m, Heartbeat const& h);
    void watch_heartbeat(Machine& m, Heartbeat const& h);
    void watch_slot(Machine& m, Slot const& s);
};

// Throws where an operator's last word does not stand in the newest committed decision. At the end of a run.
void check_last_words(Cluster& c);

std::string to_string(DecisionId id);
char const* to_string(Role r);
char const* to_string(ResourceState s);
char const* name_of(NodeIndex n);

}  // namespace clusterd::sim
