// The quorum disk as each node's I/O thread meets it: one request at a time, atomic slots, latency, errors, hangs, and a dead
// process's write that still lands before the next process's first one.
#include "tests/sim/cluster.hpp"

#include <utility>

namespace clusterd::sim {

// One request after another, as the I/O thread takes them.
void Cluster::disk_request(Machine& m, std::function<void(std::uint64_t request)> run) {
    m.disk_queue.push_back(std::move(run));
    disk_next(m);
}

void Cluster::disk_next(Machine& m) {
    if (m.disk_busy || m.disk_queue.empty()) return;
    auto const run = std::move(m.disk_queue.front());
    m.disk_queue.pop_front();
    m.disk_busy = true;
    run(++m.disk_request_id);
}

// Before a process does anything with the disk, nothing of an older one is pending any more: the lock of quorum/quorum.cpp.
void Cluster::settle_ghost(Machine& m) {
    if (!m.ghost) return;
    auto const late = std::move(m.ghost);
    m.ghost = nullptr;
    if (random.chance(0.5)) late();
}

// One write or read: its effect happens somewhere within its time. A disk that hangs answers when it hangs no more.
void Cluster::disk_io(Machine& m, std::uint64_t request, bool is_write, std::function<void()> effect, std::function<void(bool)> then) {
    auto& d = conditions.disk[at(m.self)];
    std::uint64_t const instance = m.instance;
    if (d.hanging) {
        if (is_write) m.ghost = effect;
        m.hung.push_back([this, &m, instance, request, is_write, effect, then] {
            if (m.instance == instance && m.disk_request_id == request && m.node) {
                if (is_write) m.ghost = nullptr;
                disk_io(m, request, is_write, effect, then);
            } else if (is_write && m.ghost) {
                auto const late = std::move(m.ghost);
                m.ghost = nullptr;
                if (random.chance(0.5)) probe("dead process's write landed late"), late();
            }
        });
        return;
    }
    Ns const takes = draw(d.io);
    bool const fails = d.failing || random.chance(d.error);
    Ns const lands = fails ? (random.chance(0.1) ? takes : never) : random.between(0, takes);
    if (is_write) m.ghost = effect;
    if (lands != never) {
        after(lands, [this, &m, instance, request, is_write, effect] {
            if (m.instance == instance && m.node && m.disk_request_id == request) {
                if (is_write) m.ghost = nullptr;
                effect();
            } else if (is_write && m.ghost && m.disk_request_id == request + 1) {
                // The process died meanwhile: lost, landed now, or later but before the next first write.
                auto const late = m.ghost;
                std::uint64_t const fate = random.below(3);
                if (fate == 0) m.ghost = nullptr;
                if (fate == 1) m.ghost = nullptr, probe("dead process's write landed late"), late();
                if (fate == 2) {
                    after(random.between(1, 2000) * ms, [this, &m, seen = m.disk_request_id] {
                        if (!m.ghost || m.disk_request_id != seen) return;
                        probe("dead process's write landed late");
                        auto const write = std::move(m.ghost);
                        m.ghost = nullptr;
                        write();
                    });
                }
            }
        });
    }
    after(takes, [this, &m, instance, request, is_write, fails, then] {
        if (!m.node || m.instance != instance || m.disk_request_id != request) {
            if (is_write && fails && m.disk_request_id == request + 1) m.ghost = nullptr;
            return;
        }
        if (is_write && fails) m.ghost = nullptr;
        then(!fails);
    });
}

void Cluster::disk_done(Machine& m, std::uint64_t request, Event event) {
    if (m.disk_request_id != request) return;
    m.disk_busy = false;
    std::uint64_t const instance = m.instance;
    deliver(m, std::move(event));
    if (m.instance == instance && m.node) disk_next(m);
}

// What the session finds wrong with the two slots as they are now; null: nothing. A slot with a bad MAC is read again and again and
// stays bad: that is an unreachable disk, never a free slot. My own slot, older than what the disk said it took, is one that lost it.
char const* Cluster::bad_front(NodeIndex n) const {
    if (disk.torn[0] || disk.torn[1]) return "a slot's MAC is bad";
    std::optional<Slot> const& wrote = machine(n).wrote;
    if (machine(n).disk_known != disk.id) return nullptr;  // another one: nothing was written to it yet
    Slot const& own = disk.slot[at(n)];
    bool const older = wrote && (own.alone_term < wrote->alone_term || (own.incarnation == wrote->incarnation && own.beat < wrote->beat));
    bool const other_one = wrote && own.incarnation != wrote->incarnation;
    return older || other_one ? "my slot isn't what was written: the disk lost the write" : nullptr;
}

bool Cluster::disk_usable(NodeIndex n) const { return !bad_front(n); }

void Cluster::disk_cycle(Machine& m, effect::DiskCycle const& e) {
    watch_slot(m, e.mine);
    disk_request(m, [this, &m, e](std::uint64_t request) {
        event::CycleDone done;
        done.id = e.id;
        done.started = clock(m.self);
        done.ok = false;
        if (m.disk_known != disk.id) {  // as the session does: made anew, so it is read before anything is written to it
            done.error = "it was initialised anew";
            return after(ms, [this, &m, request, done] { disk_done(m, request, done); });
        }
        settle_ghost(m);
        auto& d = conditions.disk[at(m.self)];
        bool const lost = std::exchange(d.loses_next, false), torn = std::exchange(d.tears_next, false);
        auto const write = [this, self = m.self, slot = e.mine, lost, torn] {
            if (lost) return probe("the disk lost a write");
            if (!torn) return write_slot(self, slot);
            disk.torn[at(self)] = true;
            probe("a slot was torn");
        };
        disk_io(m, request, true, write, [this, &m, request, done, slot = e.mine, torn](bool ok) mutable {
            if (ok && !torn) {
                m.wrote = slot;
                return read_back(m, request, done);
            }
            done.error = "write failed (simulated)";
            disk_done(m, request, done);
        });
    });
}

// The cycle's second half: both slots, and mine has to be what was written.
void Cluster::read_back(Machine& m, std::uint64_t request, event::CycleDone done) {
    struct Seen {
        Slot peer;
        char const* bad = nullptr;
    };
    auto seen = std::make_shared<Seen>();
    disk_io(
        m, request, false, [this, self = m.self, seen] { *seen = {disk.slot[at(other(self))], bad_front(self)}; },
        [this, &m, request, done, seen](bool ok) mutable {
            done.ok = ok && !seen->bad;
            if (done.ok) done.peer = seen->peer;
            else done.error = ok ? seen->bad : "read failed (simulated)";
            disk_done(m, request, done);
        });
}

void Cluster::write_slot(NodeIndex n, Slot const& slot) {
    std::size_t const mine = at(n);
    if (slot.newest.exists()) {
        auto const& held = disk.area[mine][slot.area];
        if (!held || held->id != slot.newest)
            throw Violation("3", std::string(name_of(n)) + "'s slot names decision " + to_string(slot.newest) + ", its area holds " + to_string(id_of(held)));
    }
    if (slot.newest < disk.slot[mine].newest) throw Violation("3", std::string(name_of(n)) + "'s slot names an older decision than before");
    if (slot.alone_term < disk.slot[mine].alone_term) throw Violation("2", std::string(name_of(n)) + "'s alone-term goes back on the disk");
    disk.slot[mine] = slot;
    disk.torn[mine] = false;
}

void Cluster::disk_read(Machine& m, effect::DiskRead const& e) {
    disk_request(m, [this, &m, e](std::uint64_t request) {
        settle_ghost(m);
        event::DiskReadDone done;
        done.id = e.id;
        done.started = clock(m.self);
        struct Seen {
            QuorumDisk disk;
            char const* bad = nullptr;
        };
        auto read = std::make_shared<Seen>();
        std::size_t const mine = at(m.self);
        disk_io(
            m, request, false, [this, self = m.self, read] { *read = {disk, bad_front(self)}; },
            [this, &m, request, mine, done, read](bool ok) mutable {
                QuorumDisk const* seen = &read->disk;
                done.ok = ok && seen->id != 0 && !read->bad;
                if (done.ok) {
                    if (m.disk_known != seen->id) m.wrote.reset();
                    m.disk_known = seen->id;
                    done.own = seen->slot[mine];
                    done.peer = seen->slot[1 - mine];
                    done.disk = seen->id;
                    done.cluster = seen->cluster;
                } else {
                    done.error = !ok ? "read failed (simulated)" : read->bad ? read->bad : "the disk is not initialised";
                }
                disk_done(m, request, done);
            });
    });
}

void Cluster::disk_store(Machine& m, effect::DiskStoreDecision const& e) {
    disk_request(m, [this, &m, e](std::uint64_t request) {
        if (m.disk_known != disk.id)
            return after(ms, [this, &m, request, e] { disk_done(m, request, event::DiskDecisionStored{e.id, false, e.area, "it was initialised anew"}); });
        settle_ghost(m);
        if (char const* bad = bad_front(m.self))
            return after(ms, [this, &m, request, e, bad] { disk_done(m, request, event::DiskDecisionStored{e.id, false, e.area, bad}); });
        std::size_t const mine = at(m.self);
        Slot const& named = disk.slot[mine];
        if (named.newest.exists() && named.area == e.area && named.newest != e.decision->id)
            throw Violation("3", std::string(name_of(m.self)) + " overwrites the area on the disk that its slot names");
        disk_io(
            m, request, true, [this, mine, e] { disk.area[mine][e.area] = e.decision; },
            [this, &m, request, mine, e](bool ok) {
                event::DiskDecisionStored done{e.id, ok, e.area, ok ? "" : "write failed (simulated)"};
                if (!ok && random.chance(0.5)) disk.area[mine][e.area] = nullptr;  // torn
                disk_done(m, request, done);
            });
    });
}

void Cluster::disk_load(Machine& m, effect::DiskLoadDecisions const& e) {
    disk_request(m, [this, &m, e](std::uint64_t request) {
        settle_ghost(m);
        auto newest = std::make_shared<DecisionPtr>();
        auto bad = std::make_shared<char const*>(nullptr);
        disk_io(
            m, request, false,
            [this, self = m.self, newest, bad] {
                if (*bad = bad_front(self); *bad) return;
                for (std::size_t n = 0; n < 2; ++n) {
                    Slot const& s = disk.slot[n];
                    if (!s.newest.exists() || s.newest <= id_of(*newest)) continue;
                    auto const& held = disk.area[n][s.area];
                    if (!held || held->id != s.newest) throw Violation("3", "a slot on the disk names a decision that its area does not hold");
                    *newest = held;
                }
            },
            [this, &m, request, e, newest, bad](bool ok) {
                bool const good = ok && !*bad;
                disk_done(m, request, event::DiskDecisionsLoaded{e.id, good, good ? *newest : nullptr, good ? "" : ok ? *bad : "read failed (simulated)"});
            });
    });
}

void Cluster::disk_fails(NodeIndex n, bool on) {
    conditions.disk[at(n)].failing = on;
    note(std::string("the disk ") + (on ? "fails for " : "is well again for ") + name_of(n));
}

void Cluster::disk_hangs(NodeIndex n, bool on) {
    conditions.disk[at(n)].hanging = on;
    note(std::string("the disk ") + (on ? "hangs for " : "answers again for ") + name_of(n));
    if (on) return;
    auto waiting = std::move(machine(n).hung);
    machine(n).hung.clear();
    for (auto& w : waiting) w();
}

}  // namespace clusterd::sim
