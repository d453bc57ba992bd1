// A machine: power, the guard with its emergency stop, the worker that may crash or freeze, and the state store.
#include "tests/sim/cluster.hpp"

#include <cstdlib>
#include <utility>

namespace clusterd::sim {

// ---- power and processes ----------------------------------------------------------------------------------------------------

void Cluster::power_on(NodeIndex n) {
    Machine& m = machine(n);
    if (m.powered) return;
    m.powered = true;
    m.clock_base = now;
    m.mono_base = random.between(500, 20'000) * ms;  // CLOCK_BOOTTIME begins anew
    note(std::string(name_of(n)) + " is powered on");
    start_service(n);
}

void Cluster::power_cut(NodeIndex n) {
    Machine& m = machine(n);
    if (!m.powered) return;
    note(std::string(name_of(n)) + " loses its power");
    m.paused = false;
    m.stale_until = 0;
    m.woke_in = 0;
    m.when_woken.clear();
    end_worker(m);
    m.powered = m.guard = m.guard_frozen = false;
    m.has_resume = false;
    m.permit_end = m.latest_end = long_ago;
    m.emergency = false;
    ++m.emergency_serial;
    everything_off(m, true);
}

// The guard starts: what an older service left behind is swept before anything is decided.
void Cluster::start_service(NodeIndex n) {
    Machine& m = machine(n);
    if (!m.powered || m.guard) return;
    m.guard = true;
    ++m.guard_started;
    m.guard_frozen = false;
    m.has_resume = false;
    m.permit_end = m.latest_end = long_ago;
    everything_off(m, true);
    start_worker(m, false);
}

void Cluster::kill_service(NodeIndex n) {
    Machine& m = machine(n);
    if (!m.guard) return;
    note(std::string(name_of(n)) + ": guard and worker are killed");
    end_worker(m);
    m.guard = m.guard_frozen = false;
    m.has_resume = false;
    m.emergency = false;
    ++m.emergency_serial;
    everything_off(m, false);  // the processes die with their guard; an address stays until the gate closes
}

void Cluster::kill_worker(NodeIndex n, Ns restart_after) {
    Machine& m = machine(n);
    if (!m.node) return;
    note(std::string(name_of(n)) + ": the worker dies");
    end_worker(m);
    std::uint64_t const incarnation = m.incarnation;
    after(restart_after, [this, n, incarnation] { follow_worker(n, incarnation); });
}

// What the guard does about a dead worker: a new one, as soon as that may be.
void Cluster::follow_worker(NodeIndex n, std::uint64_t incarnation) {
    Machine& x = machine(n);
    if (!x.guard || x.node || x.incarnation != incarnation) return;
    auto const later = [this, n, incarnation](Ns by) { after(by, [this, n, incarnation] { follow_worker(n, incarnation); }); };
    if (x.guard_frozen) return later(10 * ms);
    // Going on as the same incarnation needs all I/O of the dead process to be over; else a new one is begun.
    bool const resume = x.has_resume && !x.ghost && !random.chance(0.1);
    if (x.has_resume && x.ghost && random.chance(0.5)) return later(20 * ms);
    start_worker(x, resume);
}

void Cluster::start_worker(Machine& m, bool resume) {
    m.instance = ++next_process_;
    if (!resume) m.incarnation = 1000 * (++next_incarnation_) + at(m.self) + 1;
    m.frozen = m.left = false;
    m.backlog.clear();
    m.disk_busy = false;
    m.disk_queue.clear();
    m.disk_known = 0;
    m.wrote.reset();
    m.persists.clear();
    m.persisting = false;
    m.tick_at = never;
    StartState s;
    s.self = m.self;
    s.incarnation = m.incarnation;
    s.seed = setup.config;
    s.terms = m.terms;
    s.stored = m.stored;
    s.store = m.store;
    s.cluster = m.cluster;
    s.fresh_cluster[0] = 9;
    m.inherited_end = long_ago;
    if (resume) {
        s.resume = m.resume;
        m.inherited_end = m.resume.permit_end;
        probe("worker goes on as the same incarnation");
        if (m.resume.role == Role::alone) probe("goes on while alone");
        if (m.resume.role == Role::joined) probe("goes on while joined");
    }
    note(std::string(name_of(m.self)) + (resume ? ": the worker goes on, incarnation " : ": a worker starts, incarnation ") +
         std::to_string(m.incarnation));
    Now const t = now_at(m.self);
    m.node = std::make_unique<Node>(std::move(s), t);
    configured(m, true);
    memory.known[at(m.self)] = id_of(m.stored);  // what the dead one knew beyond its store died with it
    memory.acted[at(m.self)] = {};
    memory.found[at(m.self)] = id_of(m.stored);
    memory.role[at(m.self)] = resume ? m.resume.role : Role::seeking;
    if (!resume) memory.took[at(m.self)] = false;
    std::uint64_t const instance = m.instance;
    for (int i = 0; i < static_cast<int>(spec().networks.size()); ++i)
        deliver_to(m, instance, event::NetworkState{i, conditions.network_well[at(m.self)], {}});
    deliver_to(m, instance, event::Tick{});
}

void Cluster::end_worker(Machine& m) {
    if (!m.node) return;
    m.node.reset();
    m.frozen = false;
    m.backlog.clear();
    ++m.disk_request_id;  // what the disk still does for it reaches nobody
    if (m.persisting && random.chance(0.5) && !m.persists.empty()) {  // the write under way may be complete all the same
        store(m, m.persists.front());
    }
    m.persists.clear();
    m.persisting = false;
    for (auto& [name, running] : m.running) ++running.checks_serial, running.checks = false;
    if (sync.id != 0) sync_break(true);
}

// As at SIGHUP, or when the package is upgraded: what the worker has begun to write it completes, and nothing else stops.
void Cluster::upgrade(NodeIndex n, Ns takes) {
    Machine& m = machine(n);
    if (!m.node || m.frozen || m.in_step) return;
    probe("a worker was upgraded");
    note(std::string(name_of(n)) + " is upgraded");
    if (m.ghost) {
        auto const write = std::move(m.ghost);
        m.ghost = nullptr;
        write();
    }
    for (auto const& p : m.persists) store(m, p);
    m.persists.clear();
    end_worker(m);
    after(takes, [this, n, incarnation = m.incarnation] { follow_worker(n, incarnation); });
}

void Cluster::step_wall_clock(NodeIndex n, Ns by) {
    probe(by < 0 ? "a wall clock was set back" : "a wall clock was set forward");
    note(std::string(name_of(n)) + ": its wall clock is set " + (by < 0 ? "back" : "forward") + " by " + std::to_string(std::abs(by) / (1000 * ms)) + " s");
    conditions.wall[at(n)] += by;
    memory.wall_stepped = now;
}

void Cluster::freeze(NodeIndex n, bool guard_too) {
    Machine& m = machine(n);
    if (!m.node || m.frozen) return;
    note(std::string(name_of(n)) + (guard_too ? ": everything of ours is frozen" : ": the worker is frozen"));
    m.frozen = true;
    m.guard_frozen = guard_too;
}

void Cluster::thaw(NodeIndex n) {
    Machine& m = machine(n);
    if (m.paused || (!m.frozen && !m.guard_frozen)) return;
    note(std::string(name_of(n)) + " wakes up");
    bool const guard_slept = m.guard_frozen;
    m.guard_frozen = false;
    m.frozen = false;
    if (guard_slept && m.guard && clock(n) >= m.permit_end - spec().timing.kill) {
        everything_off(m, true);  // the guard has the higher priority: it stops what still runs before anything else
        deliver(m, event::EmergencyStopped{});
    }
    if (!m.node) return;
    std::uint64_t const instance = m.instance;
    deliver_to(m, instance, event::Tick{});
    auto waiting = std::move(m.backlog);
    m.backlog.clear();
    for (auto& e : waiting) deliver_to(m, instance, std::move(e));
}

void Cluster::pause_machine(NodeIndex n) {
    Machine& m = machine(n);
    if (!m.powered || !m.guard || !m.node || m.paused) return;
    note(std::string(name_of(n)) + ": the machine is paused");
    m.mono_base = clock(n).ns;
    m.clock_base = now;
    m.paused = m.frozen = m.guard_frozen = true;
}

void Cluster::wake_machine(NodeIndex n) {
    Machine& m = machine(n);
    if (!m.paused) return;
    m.paused = false;
    m.clock_base = now;
    if (permitted(n)) probe("a paused machine woke with a permit");
    // One that it takes from what had reached it before, by an echo of its own old time, is as false as one that it woke with.
    m.stale_until = true_time(n, clock(n) + spec().timing.permit_with_drift());
    m.woke_in = std::max<Term>(1, m.resume.highest);
    note(std::string(name_of(n)) + ": the machine goes on");
    if (m.permit_end != long_ago && !m.check_scheduled) {
        m.check_scheduled = true;
        at(true_time(n, m.permit_end - spec().timing.kill), [this, &m] { guard_check(m); });
    }
    for (auto& what : std::exchange(m.when_woken, {})) what();
    thaw(n);
}

void Cluster::lose_store(NodeIndex n) {
    Machine& m = machine(n);
    if (m.node) return;
    note(std::string(name_of(n)) + ": its state store is lost, a new one is made");
    m.store = ++next_store_;
    m.terms = {};
    m.stored = nullptr;
    m.cluster = {};
}

// ---- events and effects ------------------------------------------------------------------------------------------------------

void Cluster::deliver(Machine& m, Event event) {
    if (!m.node) return;
    if (m.frozen) {
        if (m.backlog.size() < 500) m.backlog.push_back(std::move(event));
        return;
    }
    if (m.in_step) return after(0, [this, &m, i = m.instance, e = std::move(event)]() mutable { deliver_to(m, i, std::move(e)); });
    step(m, event);
}

void Cluster::deliver_to(Machine& m, std::uint64_t instance, Event event) {
    if (m.node && m.instance == instance) deliver(m, std::move(event));
}

void Cluster::step(Machine& m, Event const& event) {
    ++steps;
    if (m.steps_at != now) m.steps_at = now, m.steps_here = 0;
    if (++m.steps_here > 2000) throw Violation("spin", std::string(name_of(m.self)) + " takes thousands of steps in one instant");
    if (auto const* s = std::get_if<event::SyncReceived>(&event)) {
        if (auto const* f = std::get_if<sync::FollowerState>(&s->message)) learn(m, f->decision);
    }
    if (auto const* l = std::get_if<event::DiskDecisionsLoaded>(&event); l && l->ok) learn(m, l->newest);
    Now const t = now_at(m.self);
    m.in_step = true;
    Effects const effects = m.node->step(t, event);
    m.resume = m.node->resume_state();  // in the guard's memory before anything is done
    m.has_resume = true;
    Role const before = memory.role[at(m.self)];
    if (m.node->config() != m.config) configured(m, false);
    after_step(m);
    perform(m, effects);
    m.in_step = false;
    if ((logging || on_note) && m.node && m.resume.role != before) note(describe(m.self));
    if (m.node) schedule_tick(m);
}

struct Perform {
    Cluster& c;
    Machine& m;
    void operator()(effect::SendHeartbeat const& e) const { c.send_heartbeat(m, e.heartbeat); }
    void operator()(effect::SendSync const& e) const {
        if (auto const* d = std::get_if<sync::StoreDecision>(&e.message)) c.made(m, d->decision);
        c.sync_send(m, e.message);
    }
    void operator()(effect::Persist const& e) const {
        c.made(m, e.decision);
        m.persists.push_back(e);
        if (!m.persisting) c.persist_next(m);
    }
    void operator()(effect::DiskCycle const& e) const { c.disk_cycle(m, e); }
    void operator()(effect::DiskRead const& e) const { c.disk_read(m, e); }
    void operator()(effect::DiskStoreDecision const& e) const {
        c.made(m, e.decision);
        c.disk_store(m, e);
    }
    void operator()(effect::DiskLoadDecisions const& e) const { c.disk_load(m, e); }
    void operator()(effect::Permit const& e) const { c.set_permit(m, e.end); }
    void operator()(effect::ResourceAction const& e) const { c.act(m, e); }
    void operator()(effect::Checks const& e) const { c.run_checks(m, e); }
    void operator()(effect::EmergencyStop const& e) const {
        if (c.logging) c.note(std::string(name_of(m.self)) + " stops everything: " + e.reason);
        c.start_emergency(m, false);
    }
    void operator()(effect::RevertConfiguration const& e) const { c.revert(m, e); }
    void operator()(effect::CommandUpdate const& e) const { c.command_update(m, e); }
    void operator()(effect::RecordEvent const& e) const {
        if (c.logging) c.note(std::string(name_of(m.self)) + " says: " + e.message + (e.resource.empty() ? "" : " [" + e.resource + "]"));
    }
    void operator()(effect::RecordFailover const& e) const {
        c.probe("failover recorded");
        if (c.logging) c.note(std::string(name_of(m.self)) + " records a failover of " + e.record.group + ": " + e.record.cause);
    }
    void operator()(effect::Left const&) const {
        m.left = true;
        c.probe("clean leave");
    }
};

void Cluster::perform(Machine& m, Effects const& effects) {
    std::uint64_t const instance = m.instance;
    for (auto const& e : effects) {
        if (conditions.dies_in_effects > 0 && random.chance(conditions.dies_in_effects)) {
            probe("worker died between two effects");
            m.in_step = false;
            kill_worker(m.self, random.between(20, 400) * ms);
            return;
        }
        std::visit(Perform{*this, m}, e);
        if (m.instance != instance || !m.node) return;
    }
    if (m.left) {
        note(std::string(name_of(m.self)) + " has left");
        for (auto const& [name, running] : m.running)
            if (active(m.self, name)) throw Violation("leave", std::string(name_of(m.self)) + " left while it runs " + name);
        m.in_step = false;
        kill_service(m.self);
        if (!conditions.comes_back) return;
        ++memory.came_back;
        after(1000 * ms, [this, &m] { start_service(m.self); });
    }
}

void Cluster::schedule_tick(Machine& m) {
    Ns const next = std::max(true_time(m.self, m.node->next_wakeup()), now + 1000);
    if (next >= m.tick_at || next == never) return;
    m.tick_at = next;
    after(next - now + draw(conditions.scheduling), [this, &m, instance = m.instance, next] {
        if (!m.node || m.instance != instance || m.tick_at != next) return;
        m.tick_at = never;
        if (m.frozen) return;
        if (m.node->next_wakeup() > clock(m.self)) return schedule_tick(m);
        deliver_to(m, instance, event::Tick{});
    });
}

void Cluster::store(Machine& m, effect::Persist const& p) {
    m.terms = p.terms;
    if (!p.decision) return;
    if (p.decision->id < id_of(m.stored)) throw Violation("3", std::string(name_of(m.self)) + " stores an older decision over a newer one");
    m.stored = p.decision;
    m.cluster = p.decision->cluster;
    learn(m, p.decision);  // not before: what isn't stored yet may be dropped, by its author and by a follower
    auto const it = memory.decisions.find(p.decision->id);
    if (it != memory.decisions.end()) it->second.durable = it->second.held[at(m.self)] = true;
}

// All that waits is written by one fsync, as store/store.cpp does.
void Cluster::persist_next(Machine& m) {
    if (m.persists.empty()) return;
    m.persisting = true;
    after(draw(conditions.fsync), [this, &m, instance = m.instance, batch = m.persists.size()] {
        if (!m.node || m.instance != instance) return;
        std::vector<effect::Persist> const written(m.persists.begin(), m.persists.begin() + static_cast<std::ptrdiff_t>(batch));
        m.persists.erase(m.persists.begin(), m.persists.begin() + static_cast<std::ptrdiff_t>(batch));
        m.persisting = false;
        bool const ok = !random.chance(conditions.fsync_error);
        for (auto const& p : written)
            if (ok) store(m, p);
        persist_next(m);
        for (auto const& p : written) deliver_to(m, instance, event::Persisted{p.ticket, ok, ok ? "" : "no space left (simulated)"});
    });
}

// ---- the guard -----------------------------------------------------------------------------------------------------------------

void Cluster::set_permit(Machine& m, Instant end) {
    check_permit(m, end);
    m.permit_end = end;
    if (m.woke_in != 0 && m.resume.role == Role::joined) m.stale_until = std::max(m.stale_until, true_time(m.self, end));  // by what had reached it before it was paused
    m.latest_end = std::max(m.latest_end, end);
    m.permit_incarnation = m.incarnation;
    for (auto const& [name, running] : m.running)
        if (running.address && running.truth != Truth::off) check_two_owners(name);
    if (end <= clock(m.self)) {  // given back: the guard ends what still runs, by the end that the permit had
        if (m.guard && !m.guard_frozen) start_emergency(m, false);
        return nothing_runs_at(m, m.latest_end);
    }
    if (m.check_scheduled) return;
    m.check_scheduled = true;
    at(true_time(m.self, end - spec().timing.kill), [this, &m] { guard_check(m); });
}

// At permit end - K, whatever the worker does. A worker that is well has begun the emergency stop itself by then.
void Cluster::guard_check(Machine& m) {
    m.check_scheduled = false;
    if (!m.powered || m.paused || m.permit_end == long_ago) return;  // paused: asked again when it wakes
    // A worker that is well is a moment earlier than its guard, which then finds nothing to do.
    bool const well = m.node && !m.frozen;
    Duration const grace = well ? std::min<Duration>(Duration{conditions.scheduling.high + ms}, spec().timing.kill / 8) : Duration{0};
    Instant const start = m.permit_end - spec().timing.kill + grace;
    if (clock(m.self) < start) {
        m.check_scheduled = true;
        return at(true_time(m.self, start), [this, &m] { guard_check(m); });
    }
    Instant const end = m.permit_end;
    if (m.guard && !m.guard_frozen && !m.emergency) {
        bool runs = false;
        for (auto const& [name, running] : m.running) runs = runs || running.truth != Truth::off;
        if (runs) {
            bool const late = Duration{conditions.scheduling.high} >= spec().timing.kill / 8;
            probe(!well ? "guard stops for a dead or frozen worker" : late ? "guard stops before a worker whose timer is late" : "guard stops before the worker does");
            if (logging && well && !late) note(describe(m.self));
            start_emergency(m, true);
        }
    }
    nothing_runs_at(m, end);
}

void Cluster::nothing_runs_at(Machine& m, Instant end) {
    at(true_time(m.self, end), [this, &m, end, guard = m.guard_started] {
        if (!m.guard || m.guard_started != guard || m.latest_end > end) return;
        if (m.paused) return m.when_woken.push_back([this, &m, end] { nothing_runs_at(m, end); });
        if (clock(m.self) < end) return nothing_runs_at(m, end);  // it was paused meanwhile
        if (m.guard_frozen) return;
        for (auto const& [name, running] : m.running)
            if (!running.address && running.truth != Truth::off && running.truth != Truth::dying)
                throw Violation("4", std::string(name_of(m.self)) + " runs " + name + " at its permit's end");
    });
}

void Cluster::start_emergency(Machine& m, bool by_guard) {
    if (by_guard && logging) note(std::string(name_of(m.self)) + ": the guard stops everything");
    if (m.emergency) return;
    m.emergency = true;
    m.emergency_unproven = false;
    std::uint64_t const serial = ++m.emergency_serial;
    Ns last = 0;
    for (auto& [name, running] : m.running) {
        running.queue.clear();
        ++running.serial;
        running.busy = false;
        if (running.truth == Truth::off) continue;
        Ns const takes = draw(conditions.emergency);
        last = std::max(last, takes);
        after(takes, [this, &m, serial, r = &running] {
            if (m.emergency_serial == serial) kill(m, *r);
        });
    }
    after(last + ms / 10, [this, &m, serial] { emergency_over(m, serial, false); });
}

// The guard looks until all has ended; after 5 s it says that it can't prove it, and goes on looking.
void Cluster::emergency_over(Machine& m, std::uint64_t serial, bool late) {
    if (m.emergency_serial != serial) return;
    bool gone = true;
    for (auto& [name, running] : m.running) gone = kill(m, running) && gone;
    if (!gone) {
        if (!late) {
            after(5000 * ms, [this, &m, serial] {
                if (m.emergency_serial != serial || !m.emergency) return;
                probe("emergency stop not proven");
                m.emergency_unproven = true;
                for (auto& [name, running] : m.running) act_next(m, running);
                if (m.node) deliver(m, event::EmergencyStopped{false, "something was killed, but is still there"});
            });
        }
        return after(1000 * ms, [this, &m, serial] { emergency_over(m, serial, true); });
    }
    m.emergency = false;
    for (auto& [name, running] : m.running) act_next(m, running);
    if (m.node) deliver(m, event::EmergencyStopped{});
}

bool Cluster::permitted(NodeIndex n) const {
    Machine const& m = machine(n);
    return m.powered && clock(n) < m.permit_end;
}

void Cluster::command(NodeIndex n, Command const& c) {
    Machine& m = machine(n);
    if (!m.node || m.frozen) return;
    if (logging) note(std::string("operator at ") + name_of(n) + ": " + c.id + " verb " + std::to_string(static_cast<int>(c.verb)) + " " + c.target);
    if (c.config) memory.by_xml[c.config->xml] = c.config;
    memory.commands[c.id] = Memory::Given{c, now, never, Outcome::running};
    deliver(m, event::CommandGiven{c});
}

void Cluster::force(NodeIndex n) { deliver(machine(n), event::Forced{"root"}); }
void Cluster::leave(NodeIndex n) { deliver(machine(n), event::LeaveRequested{}); }

void Cluster::network(NodeIndex n, bool well) {
    conditions.network_well[at(n)] = well;
    note(std::string(name_of(n)) + (well ? ": its networks are well" : ": its networks are down"));
    for (int i = 0; i < static_cast<int>(spec().networks.size()); ++i) deliver(machine(n), event::NetworkState{i, well, well ? "" : "no carrier"});
}

}  // namespace clusterd::sim
