// Carries a scenario out: the safety phase, in which anything of its list may happen, and the liveness phase, in which nothing new
// happens and everything wanted must come online in time. Also shrinks a failing one.
#include "tests/sim/scenario.hpp"

#include "clusterd/core/names.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace clusterd::sim {

namespace {

char const* kind_name(Kind k) {
    static char const* const names[] = {"link cut", "link cut one way", "one link cut", "heartbeats lost", "disk fails", "disk hangs", "disk slow",
                                        "store slow", "worker killed", "worker frozen", "everything frozen", "service killed", "power cut", "leave",
                                        "state store lost", "a resource dies", "a resource can't be killed", "unhealthy", "network down", "clock rate", "dies between effects",
                                        "command", "heartbeats reordered", "disk loses a write", "disk tears a slot", "wall clock set", "health agents lie",
                                        "starts hang", "stops hang", "a resource dies unseen", "upgrade", "another configuration", "the machine is paused"};
    return names[static_cast<int>(k)];
}

bool store_counts(Cluster const& c, NodeIndex n) {
    auto const found = c.memory.decisions.find(c.memory.committed);
    return found != c.memory.decisions.end() && found->second.decision->stores[at(n)] == c.machine(n).store;
}

class Player {
public:
    Player(Cluster& cluster, Scenario const& scenario) : c_(cluster), s_(scenario) {}

    void schedule() {
        Random r(s_.seed * 2 + 2);
        c_.at(r.between(0, 2000) * ms, [this] { c_.power_on(NodeIndex::a); });
        c_.at(r.between(0, 2000) * ms, [this] { c_.power_on(NodeIndex::b); });
        for (auto const& f : s_.faults) c_.at(f.at, [this, &f] { each(f, &Player::begin); });
    }

    // Everything but `rest` is well from now on.
    void heal() {
        c_.note("-- the faults stop; what stays: " + std::string(s_.rest.name));
        over_ = true;
        Conditions calm = s_.conditions;
        calm.loss = calm.twice = calm.late = calm.fsync_error = calm.start_fails = calm.stop_fails = calm.unkillable = calm.dies_in_effects = 0;
        calm.overtaken = calm.start_hangs = calm.stop_hangs = 0;
        calm.wall = c_.conditions.wall;
        Timing const& t = c_.spec().timing;
        calm.scheduling.high = std::min<Ns>(calm.scheduling.high, t.heartbeat.count() / 10);
        for (auto& d : calm.disk) d.error = 0, d.io = {ms, std::min<Ns>(d.io.high, t.permit.count() / 60)}, d.failing = d.hanging = false;
        calm.fsync = {ms, std::min<Ns>(calm.fsync.high, t.permit.count() / 30)};
        calm.only_fault = c_.conditions.only_fault;
        calm.comes_back = true;  // whoever was told to leave, and couldn't as long as something was left, leaves now
        for (NodeIndex n : {NodeIndex::a, NodeIndex::b}) c_.disk_hangs(n, false);
        c_.conditions = calm;
        for (NodeIndex n : {NodeIndex::a, NodeIndex::b}) {
            c_.wake_machine(n);
            c_.thaw(n);
            c_.network(n, true);
            if (!s_.rest.up[at(n)]) {
                c_.power_cut(n);
            } else {
                c_.power_on(n);
                c_.start_service(n);
            }
            c_.cut(n, !s_.rest.link[at(n)]);
            c_.conditions.disk[at(n)].failing = !s_.rest.disk[at(n)];
            for (auto& [name, r] : c_.machine(n).running)
                if (r.truth == Truth::dying) r.dies_at = c_.now;
        }
        if (s_.rest.sticks >= 0) stick(s_.rest.sticks == 0 ? NodeIndex::a : NodeIndex::b);
    }

    // Its groups must come online on the other node all the same.
    void stick(NodeIndex n) {
        for (auto const& g : c_.spec().groups) {
            std::string const& name = g.resources[s_.seed % g.resources.size()].name;
            if (c_.machine(n).running.at(name).truth != Truth::on) continue;
            c_.resource_sticks(n, name, never);
            c_.probe("something can't be stopped for ever");
        }
    }

private:
    static std::size_t at(NodeIndex n) { return clusterd::at(n); }
    using Act = void (Player::*)(Fault const&, NodeIndex);

    void each(Fault const& f, Act act) {
        if (over_) return;
        if (c_.logging && f.kind != Kind::command) c_.note("-- " + describe(f));
        if (s_.mode == Mode::disk_only || s_.mode == Mode::link_only) guard_against_loss(f);
        if (f.which == 2) {
            (this->*act)(f, NodeIndex::a);
            (this->*act)(f, NodeIndex::b);
        } else {
            (this->*act)(f, f.which == 0 ? NodeIndex::a : NodeIndex::b);
        }
    }

    // Invariant 6 is promised from a settled state on.
    void guard_against_loss(Fault const& f) {
        bool const joined = c_.memory.role[0] == Role::joined && c_.memory.role[1] == Role::joined;
        c_.conditions.only_fault = kind_name(f.kind);
        c_.conditions.nothing_may_stop = s_.mode == Mode::disk_only && joined;
        c_.conditions.winner_keeps_all = s_.mode == Mode::link_only && joined;
    }

    void later(Fault const& f, std::function<void()> undo) {
        c_.after(f.lasts, [this, undo = std::move(undo)] {
            if (!over_) undo();
        });
    }

    void begin(Fault const& f, NodeIndex n) {
        Machine& m = c_.machine(n);
        auto& disk = c_.conditions.disk[at(n)];
        if (m.paused && f.kind != Kind::power_cut && f.kind != Kind::cut_both && f.kind != Kind::cut_one_way) return;
        switch (f.kind) {
        case Kind::pause_machine:
            c_.pause_machine(n);
            later(f, [this, n] { c_.wake_machine(n); });
            break;
        case Kind::cut_both:
        case Kind::cut_one_way:
        case Kind::cut_one_link: cut_links(f, n); break;
        case Kind::loss:
            c_.conditions.loss = static_cast<double>(f.detail % 90) / 100;
            later(f, [this] { c_.conditions.loss = s_.conditions.loss; });
            break;
        case Kind::disk_fails:
            c_.disk_fails(n, true);
            later(f, [this, n] { c_.disk_fails(n, false); });
            break;
        case Kind::disk_hangs:
            c_.disk_hangs(n, true);
            later(f, [this, n] { c_.disk_hangs(n, false); });
            break;
        case Kind::disk_slow:
            disk.io = {ms, static_cast<Ns>(f.detail % static_cast<std::uint64_t>(2 * c_.spec().timing.permit.count()))};
            later(f, [this, n] { c_.conditions.disk[at(n)].io = s_.conditions.disk[at(n)].io; });
            break;
        case Kind::store_slow:
            c_.conditions.fsync = {ms, static_cast<Ns>(f.detail % static_cast<std::uint64_t>(2 * c_.spec().timing.permit.count()))};
            later(f, [this] { c_.conditions.fsync = s_.conditions.fsync; });
            break;
        case Kind::clock_rate: c_.change_rate(n, 1.0 + (static_cast<double>(f.detail % 1000) / 1000 - 0.5) * 0.0098); break;
        case Kind::network_down:
            c_.network(n, false);
            later(f, [this, n] { c_.network(n, true); });
            break;
        case Kind::die_in_effects:
            c_.conditions.dies_in_effects = 0.001 * static_cast<double>(f.detail % 20);
            later(f, [this] { c_.conditions.dies_in_effects = 0; });
            break;
        case Kind::apply:
        case Kind::command: {
            Command command = f.command;
            if (f.which == 2 && n == NodeIndex::b) break;  // one operator, one node
            c_.command(n, command);
            break;
        }
        case Kind::reordered:
            c_.conditions.overtaken = static_cast<double>(10 + f.detail % 80) / 100;
            later(f, [this] { c_.conditions.overtaken = 0; });
            break;
        case Kind::lost_write: disk.loses_next = true; break;
        case Kind::torn_write: disk.tears_next = true; break;
        case Kind::wall_clock: step_wall_clock(f, n); break;
        default: processes(f, n, m); break;
        }
    }

    void resources(Fault const& f, NodeIndex n) {
        auto const& g = c_.spec().groups[f.detail % c_.spec().groups.size()];
        std::string const& name = g.resources[(f.detail >> 8) % g.resources.size()].name;
        switch (f.kind) {
        case Kind::unhealthy:
            c_.conditions.healthy[at(n)] = false;
            later(f, [this, n] { c_.conditions.healthy[at(n)] = true; });
            break;
        case Kind::resource_dies: c_.resource_dies(n, name); break;
        case Kind::resource_sticks: c_.resource_sticks(n, name, c_.now + 10'000 * ms + 20 * f.lasts); break;
        case Kind::agents_lie:
            c_.conditions.agents[at(n)] = static_cast<Agents>(1 + f.detail % 3);
            later(f, [this, n] { c_.conditions.agents[at(n)] = Agents::truthful; });
            break;
        case Kind::starts_hang:
            c_.conditions.start_hangs = 0.5;
            later(f, [this] { c_.conditions.start_hangs = s_.conditions.start_hangs; });
            break;
        case Kind::stops_hang:
            c_.conditions.stop_hangs = 0.5;
            later(f, [this] { c_.conditions.stop_hangs = s_.conditions.stop_hangs; });
            break;
        case Kind::resource_dies_unseen: c_.resource_dies_unseen(n, name); break;
        default: break;
        }
    }

    // From a small correction to a clock that lost its battery.
    void step_wall_clock(Fault const& f, NodeIndex n) {
        constexpr Ns second = 1000 * ms, year = 365 * 86'400 * second;
        static constexpr std::array<Ns, 6> steps{2 * second, -2 * second, 3600 * second, -3600 * second, year, -year};
        c_.step_wall_clock(n, steps[f.detail % steps.size()]);
    }

    void cut_links(Fault const& f, NodeIndex n) {
        bool const both = f.kind == Kind::cut_both;
        int const link = f.kind == Kind::cut_one_link ? static_cast<int>(f.detail % 2) : -1;
        for (NodeIndex from : {n, other(n)}) {
            if (from != n && !both) break;
            c_.cut(from, true, link);
            later(f, [this, from, link] { c_.cut(from, false, link); });
        }
    }

    void processes(Fault const& f, NodeIndex n, Machine& m) {
        switch (f.kind) {
        case Kind::kill_worker: c_.kill_worker(n, std::min<Ns>(f.lasts, 2000 * ms)); break;
        case Kind::freeze_worker:
        case Kind::freeze_all:
            c_.freeze(n, f.kind == Kind::freeze_all);
            later(f, [this, n] { c_.thaw(n); });
            break;
        case Kind::upgrade:  // both: one after the other, as an operator does it
            if (f.which == 2 && n == NodeIndex::b) break;
            c_.upgrade(n, static_cast<Ns>(50 + f.detail % 500) * ms);
            if (f.which != 2) break;
            later(f, [this, n] {
                if (c_.machine(n).node) c_.probe("both were upgraded, one after the other");
                c_.upgrade(other(n), 200 * ms);
            });
            break;
        case Kind::kill_service:
            c_.kill_service(n);
            later(f, [this, n] { c_.start_service(n); });
            break;
        case Kind::power_cut:
            c_.power_cut(n);
            later(f, [this, n] { c_.power_on(n); });
            break;
        case Kind::leave:
            if (c_.now > s_.safety_ends - 90'000 * ms) break;  // it may take a minute: not into the liveness phase
            c_.leave(n);
            c_.after(f.lasts + 5000 * ms, [this, n] {
                if (!over_) c_.start_service(n);
            });
            break;
        case Kind::lose_store:
            if (!m.powered || !counts(other(n)) || f.which == 2) break;  // two lost stores need an operator: quorum force
            c_.power_cut(n);
            c_.lose_store(n);
            later(f, [this, n] { c_.power_on(n); });
            break;
        default: resources(f, n); break;
        }
    }

    // Its store is one of those that the newest decision lists, and holds that decision.
    bool counts(NodeIndex n) const { return store_counts(c_, n) && id_of(c_.machine(n).stored) >= c_.memory.committed; }

    Cluster& c_;
    Scenario const& s_;
    bool over_ = false;
};

// ---- liveness -------------------------------------------------------------------------------------------------------------------

// Why not everything wanted is online; empty = it is.
std::string missing(Cluster& c, Scenario const& s) {
    DecisionPtr newest;
    for (auto const& m : c.machines)
        if (m.node && c.permitted(m.self) && id_of(m.node->decision()) >= id_of(newest)) newest = m.node->decision();
    if (!newest) return "no node has a permit and a decision";
    if (!newest->making_way.empty()) return "something makes way for a configuration";
    bool const maintained = std::any_of(newest->groups.begin(), newest->groups.end(), [](auto const& g) { return g.second.maintenance_until != 0; });
    if (newest->unconfirmed.until_wall_ms != 0 && !maintained) return "a configuration waits to be confirmed or taken back";
    for (auto const& g : newest->config->spec.groups) {
        auto const it = newest->groups.find(g.name);
        if (it == newest->groups.end()) return "group " + g.name + " has no owner";
        GroupDecision const& d = it->second;
        if (!d.wanted_online) continue;
        if (d.maintenance_until != 0) {
            c.probe("a group is in maintenance at the end");
            continue;
        }
        Machine const& m = c.machine(d.owner);
        if (!m.node || !c.permitted(d.owner)) {
            if (newest->paused[clusterd::at(other(d.owner))]) continue;  // a paused node takes nothing over
            return "group " + g.name + " belongs to " + name_of(d.owner) + ", which has no permit";
        }
        if (s.resource_trouble) continue;  // what failed too often stays failed
        bool const sticks = s.rest.sticks == static_cast<int>(clusterd::at(d.owner));
        if (sticks && newest->paused[clusterd::at(other(d.owner))]) continue;  // nobody could take it
        std::set<std::string> held;  // with what needs it, also what a later configuration brought
        for (auto const& name : d.held_offline)
            if (find_by_name(newest->config->spec, name).group == &g) held.merge(with_dependents(g, name));
        for (auto const& r : g.resources)
            if (!held.contains(r.name) && (!m.running.contains(r.name) || m.running.at(r.name).truth != Truth::on)) return r.name + " is not online on " + name_of(d.owner);
    }
    return {};
}

bool serviceable(Cluster const& c, Scenario const& s) {
    bool const linked = s.rest.link[0] && s.rest.link[1] && s.rest.up[0] && s.rest.up[1];
    bool const sound = c.disk_usable(NodeIndex::a) && c.disk_usable(NodeIndex::b);
    bool const all_well = linked && s.rest.disk[0] && s.rest.disk[1] && sound;
    if (all_well) return true;
    // A torn slot, or one that lost a write, can be all that is left of the disk: then it takes the link.
    bool reached = linked;
    for (auto n : {NodeIndex::a, NodeIndex::b}) reached = reached || (s.rest.up[clusterd::at(n)] && s.rest.disk[clusterd::at(n)] && c.disk_usable(n));
    if (!reached || (s.rest.sticks >= 0 && !sound)) return false;  // a permit is given up only where the disk can decide
    // With less it takes a cluster that knows itself, and stores that count.
    auto const found = c.memory.decisions.find(c.memory.committed);
    bool const disk_counts = found != c.memory.decisions.end() && found->second.decision->stores[2] == c.disk.id;
    auto const counts = [&](NodeIndex n) { return store_counts(c, n) && c.machine(n).stored; };  // one that never stored any is blank to its node
    return disk_counts && counts(NodeIndex::a) && counts(NodeIndex::b);
}

// What the faults left behind: a worker that is about to be started again, and what was begun when the store or the disk was slow.
void let_settle(Cluster& c, Scenario const& s) {
    Ns const until = c.now + 2 * c.spec().timing.permit.count() + 2000 * ms;
    std::array<std::uint64_t, 2> writing{}, asking{};
    for (auto const& m : c.machines) {
        writing[clusterd::at(m.self)] = m.persisting ? m.persists.front().ticket : 0;
        asking[clusterd::at(m.self)] = m.disk_request_id;
    }
    auto const unsettled = [&](Machine const& m) {
        auto const n = clusterd::at(m.self);
        return (s.rest.up[n] && !m.node) || (m.persisting && m.persists.front().ticket == writing[n]) || (m.disk_busy && m.disk_request_id == asking[n]);
    };
    while (c.now < until && (unsettled(c.machines[0]) || unsettled(c.machines[1]))) c.run_until(c.now + 20 * ms);
}

// An operator made something fail, which then waits for its next try: 5 s, and twice as long each time.
bool made_to_fail(Cluster const& c) {
    return std::any_of(c.memory.commands.begin(), c.memory.commands.end(), [](auto const& x) { return x.second.command.verb == Verb::fail; });
}

void check_liveness(Cluster& c, Scenario const& s) {
    let_settle(c, s);  // first: a write that is under way may still be lost
    if (!serviceable(c, s)) return c.probe("liveness not asked: too little is left");
    Timing const& t = c.spec().timing;
    Ns const cycle = 2 * c.conditions.disk[0].io.high, fsync = c.conditions.fsync.high;
    // A start or stop that hung in the safety phase is waited for until its own time-out.
    // What can't be stopped takes its own time-outs (3 s to stop, 10 s to kill), and 20 s for the rest to move away.
    Ns const hung = s.resource_trouble || s.rest.sticks >= 0 || made_to_fail(c) ? 75'000 * ms : 0;
    Ns const starts = 3 * (c.conditions.start.high + c.conditions.stop.high);
    Ns const bound = t.permit_with_drift().count() * 101 / 100 + 2 * t.suspect.count() + 4 * cycle + 6 * fsync + starts + 4 * t.heartbeat.count() + 400 * ms + hung;
    Ns from = c.now;
    std::string why = "not looked at";
    std::uint64_t came_back = c.memory.came_back;
    for (Ns step = 20 * ms; c.now < from + bound; c.run_until(c.now + step)) {
        if (std::exchange(came_back, c.memory.came_back) != c.memory.came_back) from = c.now;
        if (why = missing(c, s); why.empty() && c.now > from + bound / 2) break;
    }
    if (!why.empty()) {
        for (auto n : {NodeIndex::a, NodeIndex::b}) c.note(c.describe(n));
        c.note(c.describe_disk());
        for (auto const& m : c.machines)
            c.note(std::string(name_of(m.self)) + (m.stored ? " has stored " + to_string(m.stored->id) : " has stored nothing") +
                   (store_counts(c, m.self) ? "" : ", its store isn't listed") + "; the disk for it: " + (c.bad_front(m.self) ? c.bad_front(m.self) : "well"));
        throw Violation("5", "with " + std::string(s.rest.name) + ": after " + std::to_string(bound / ms) + " ms " + why);
    }
    c.probe("liveness reached");
    Ns const stays = 5 * t.permit.count();
    for (Ns const until = c.now + stays; c.now < until; c.run_until(c.now + t.suspect.count()))
        if (why = missing(c, s); !why.empty() && !s.resource_trouble && !s.commands && s.rest.up[0] && s.rest.up[1]) {
            // A failback or an unfinished move may still be under way; it has its own time.
            c.run_until(c.now + bound);
            if (why = missing(c, s); !why.empty()) throw Violation("5", "with " + std::string(s.rest.name) + ": it does not last: " + why);
        }
}

}  // namespace

std::string describe(Fault const& f) {
    char const* const who[] = {"A", "B", "both"};
    return std::to_string(f.at / ms) + " ms: " + kind_name(f.kind) + ", " + who[f.which] + ", for " + std::to_string(f.lasts / ms) + " ms";
}

Result run(Scenario const& s, bool logging) {
    Cluster c(s.setup);
    c.conditions = s.conditions;
    c.logging = logging;
    Result result;
    try {
        Player player(c, s);
        player.schedule();
        c.run_until(s.safety_ends);
        player.heal();
        check_liveness(c, s);
        check_last_words(c);
    } catch (Violation const& v) {
        result.failed = true;
        result.invariant = v.invariant;
        result.what = v.what();
        result.at = c.now;
        if (logging) {
            for (auto n : {NodeIndex::a, NodeIndex::b}) c.note(c.describe(n));
            c.note(c.describe_disk());
        }
    }
    result.simulated = c.now;
    result.steps = c.steps;
    result.digest = c.random.next();
    result.probes = std::move(c.memory.probes);
    result.log = std::move(c.log);
    return result;
}

// Leaves faults out, in ever smaller pieces, as long as the same invariant is still broken.
Scenario shrink(Scenario s, Result const& failure, int runs) {
    if (failure.invariant != "5" && failure.invariant != "word") {
        s.safety_ends = std::max(s.safety_ends, failure.at);
        std::erase_if(s.faults, [&](Fault const& f) { return f.at > failure.at; });
    }
    for (std::size_t piece = std::max<std::size_t>(1, s.faults.size() / 2); runs > 0;) {
        bool smaller = false;
        for (std::size_t from = 0; from < s.faults.size() && runs > 0;) {
            Scenario less = s;
            auto const first = less.faults.begin() + static_cast<std::ptrdiff_t>(from);
            less.faults.erase(first, first + static_cast<std::ptrdiff_t>(std::min(piece, s.faults.size() - from)));
            --runs;
            if (Result const r = run(less, false); r.failed && r.invariant == failure.invariant) {
                s = std::move(less);
                smaller = true;
            } else {
                from += piece;
            }
        }
        if (piece == 1 && !smaller) break;
        if (!smaller) piece = std::max<std::size_t>(1, piece / 2);
    }
    return s;
}

}  // namespace clusterd::sim
