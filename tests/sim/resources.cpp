// What really runs on a machine: each resource with its host, which does one action after another, slowly, badly or not at all.
#include "tests/sim/cluster.hpp"

namespace clusterd::sim {

// Does something that an outsider could notice. An address does while its gate is open; a process while its guard runs.
bool Cluster::active(NodeIndex n, std::string const& resource) const {
    Machine const& m = machine(n);
    auto const found = m.running.find(resource);
    if (!m.powered || stale(n) || found == m.running.end() || found->second.truth == Truth::off || found->second.truth == Truth::dying) return false;
    if (found->second.address) return clock(n) < m.permit_end - std::chrono::milliseconds(15);
    return m.guard && !(m.guard_frozen && clock(n) >= m.permit_end);
}

void Cluster::set_truth(Machine& m, Running& r, Truth truth) {
    if (r.truth == truth) return;
    r.died_unseen = false;
    if (logging) {
        static char const* const names[] = {"is off", "is starting", "is online", "is stopping", "left remains", "is killed, but not gone"};
        note(std::string(name_of(m.self)) + ": " + r.spec->name + " " + names[static_cast<int>(truth)]);
    }
    if (r.truth == Truth::on && conditions.nothing_may_stop)
        throw Violation("6", std::string(name_of(m.self)) + " takes " + r.spec->name + " offline, though nothing asked for it but " + conditions.only_fault);
    r.truth = truth;
    if (truth != Truth::off && truth != Truth::dying) check_two_owners(r.spec->name);
}

void Cluster::everything_off(Machine& m, bool addresses_too) {
    for (auto& [name, r] : m.running) {
        ++r.serial;
        r.busy = false;
        r.queue.clear();
        r.checks = false;
        ++r.checks_serial;
        bool const stays = r.truth == Truth::dying && m.powered && r.dies_at > now;  // its kernel keeps it, whoever was its parent
        if (!stays && (addresses_too || !r.address)) set_truth(m, r, Truth::off);
    }
}

// ---- actions --------------------------------------------------------------------------------------------------------------------

void Cluster::act(Machine& m, effect::ResourceAction const& a) {
    auto const found = m.running.find(a.resource);
    if (found == m.running.end() || found->second.dropped) throw Violation("resource", "an action on " + a.resource + ", which is not configured");
    Running& r = found->second;
    if (a.kind == ActionKind::prepare) return;  // only looks; has no answer
    if (a.kind == ActionKind::start) check_start(m, r);
    if (a.kind == ActionKind::stop) check_stop(m, r);
    if (a.kind == ActionKind::kill) {  // ends whatever is under way
        r.queue.clear();
        ++r.serial;
        r.busy = false;
    }
    r.queue.push_back({a, m.instance});
    act_next(m, r);
}

void Cluster::act_next(Machine& m, Running& r) {
    if (r.busy || r.queue.empty() || (m.emergency && !m.emergency_unproven)) return;
    Running::Queued const q = r.queue.front();
    r.queue.pop_front();
    act_now(m, r, q);
}

void Cluster::report(Machine& m, Running const& r, Running::Queued const& q, ResourceState state, char const* message) {
    deliver_to(m, q.instance, event::ResourceChanged{r.spec->name, q.action.action, state, message});
}

void Cluster::finish(Machine& m, std::string const& name, std::uint64_t serial, std::function<void(Running&)> what) {
    Running& r = m.running.at(name);
    if (r.serial != serial || !r.busy) return;
    r.busy = false;
    what(r);
    act_next(m, r);
}

void Cluster::act_now(Machine& m, Running& r, Running::Queued const& q) {
    r.busy = true;
    std::uint64_t const serial = ++r.serial;
    std::string const& name = r.spec->name;
    bool const hangs = random.chance(q.action.kind == ActionKind::start ? conditions.start_hangs : conditions.stop_hangs);
    Ns const timeout = q.action.timeout.count() > 0 ? q.action.timeout.count() : 60'000 * ms;
    auto const end = [&](Ns takes, std::function<void(Running&)> what) {
        after(takes, [this, &m, name, serial, what = std::move(what)] { finish(m, name, serial, what); });
    };
    switch (q.action.kind) {
    case ActionKind::probe:
        end(random.between(ms / 10, 3 * ms), [this, &m, q](Running& x) {
            ResourceState const s = x.truth == Truth::on ? ResourceState::online : x.truth == Truth::off ? ResourceState::offline : ResourceState::failed;
            report(m, x, q, s, "");
        });
        break;
    case ActionKind::start:
        if (r.truth == Truth::dying) throw Violation("resource", std::string(name_of(m.self)) + " starts " + name + " beside what can't be killed");
        if (clock(m.self) >= m.permit_end - spec().timing.kill || m.emergency) {  // the guard starts nothing without a permit, or while it stops
            end(ms / 10, [this, &m, q](Running& x) { report(m, x, q, ResourceState::failed, "refused: no permit"); });
        } else if (r.truth == Truth::on) {
            end(ms / 10, [this, &m, q](Running& x) { report(m, x, q, ResourceState::online, ""); });
        } else if (hangs) {
            probe("a start hung");
            set_truth(m, r, Truth::starting);
            end(timeout, [this, &m, q](Running& x) {
                set_truth(m, x, Truth::remains);
                report(m, x, q, ResourceState::failed, "online timed out");
            });
        } else {
            set_truth(m, r, Truth::starting);
            bool const fails = random.chance(conditions.start_fails);
            end(std::min(timeout, draw(conditions.start)), [this, &m, q, fails](Running& x) {
                if (fails) set_truth(m, x, random.chance(0.5) ? Truth::remains : Truth::off);
                else set_truth(m, x, Truth::on);
                report(m, x, q, fails ? ResourceState::failed : ResourceState::online, fails ? "did not start" : "");
            });
        }
        break;
    case ActionKind::stop:
        if (r.truth == Truth::dying) {
            end(timeout, [this, &m, q](Running& x) {
                bool const gone = kill(m, x);
                report(m, x, q, gone ? ResourceState::offline : ResourceState::failed, "did not stop");
            });
            break;
        }
        if (r.truth == Truth::off) {
            end(ms / 10, [this, &m, q](Running& x) { report(m, x, q, ResourceState::offline, ""); });
            break;
        }
        set_truth(m, r, Truth::stopping);
        if (hangs) probe("a stop hung");
        if (hangs || random.chance(conditions.stop_fails)) {
            end(hangs ? timeout : std::min(timeout, draw(conditions.stop)), [this, &m, q](Running& x) {
                set_truth(m, x, Truth::remains);
                report(m, x, q, ResourceState::failed, "did not stop");
            });
        } else {
            end(std::min(timeout, draw(conditions.stop)), [this, &m, q](Running& x) {
                set_truth(m, x, Truth::off);
                report(m, x, q, ResourceState::offline, "");
            });
        }
        break;
    case ActionKind::prepare: break;
    case ActionKind::kill:
        end(random.between(ms / 10, 5 * ms), [this, &m, q](Running& x) {
            bool const gone = kill(m, x);
            report(m, x, q, gone ? ResourceState::offline : ResourceState::failed, gone ? "" : "killed, but it is still there");
        });
        break;
    }
}

// Sends the signal that can't be ignored; false: what got it is still there.
bool Cluster::kill(Machine& m, Running& r) {
    if (r.truth == Truth::off) return true;
    if (r.truth != Truth::dying) {
        if (!random.chance(conditions.unkillable)) {
            set_truth(m, r, Truth::off);
            return true;
        }
        probe("killed in vain");
        set_truth(m, r, Truth::dying);
        r.dies_at = now + draw(conditions.dies_after);
    }
    if (r.dies_at > now) return false;
    set_truth(m, r, Truth::off);
    return true;
}

// ---- what happens without being asked ------------------------------------------------------------------------------------------

void Cluster::resource_dies(NodeIndex n, std::string const& resource) {
    Machine& m = machine(n);
    auto const found = m.running.find(resource);
    if (!m.guard || found == m.running.end() || found->second.truth != Truth::on || found->second.busy) return;
    probe("a resource died");
    set_truth(m, found->second, Truth::off);
    deliver(m, event::ResourceChanged{resource, 0, ResourceState::failed, "exited by itself"});
}

void Cluster::resource_sticks(NodeIndex n, std::string const& resource, Ns until) {
    Machine& m = machine(n);
    Running& r = m.running.at(resource);
    if (!m.guard || r.truth != Truth::on || r.busy) return;
    set_truth(m, r, Truth::dying);
    r.dies_at = until;
    deliver(m, event::ResourceChanged{resource, 0, ResourceState::failed, "doesn't answer"});
}

// It does nothing any more, and only a health agent could tell.
void Cluster::resource_dies_unseen(NodeIndex n, std::string const& resource) {
    Machine& m = machine(n);
    auto const found = m.running.find(resource);
    if (!m.guard || found == m.running.end() || found->second.truth != Truth::on || found->second.busy) return;
    probe("a resource died unseen");
    set_truth(m, found->second, Truth::off);
    found->second.died_unseen = true;
}

void Cluster::run_checks(Machine& m, effect::Checks const& c) {
    auto const found = m.running.find(c.resource);
    if (found == m.running.end()) return;
    Running& r = found->second;
    r.checks = c.run;
    std::uint64_t const serial = ++r.checks_serial;
    if (!c.run) return;
    for (std::size_t i = 0; i < r.spec->health.size(); ++i)
        after(random.between(1, 1000) * ms, [this, &m, name = r.spec->name, serial, i] { check_once(m, name, serial, i); });
}

void Cluster::check_once(Machine& m, std::string const& name, std::uint64_t serial, std::size_t which) {
    Running const& r = m.running.at(name);
    if (!r.checks || r.checks_serial != serial || !m.node || which >= r.spec->health.size()) return;
    auto const& health = r.spec->health[which];
    event::HealthResult result;
    result.resource = name;
    result.check = static_cast<int>(which);
    bool const well = r.truth == Truth::on && conditions.healthy[at(m.self)];
    Agents const agents = conditions.agents[at(m.self)];
    if (agents == Agents::silent) probe("a health agent hung");
    if (agents == Agents::always_ok && !well) probe("a health agent said ok of a dead resource");
    if (agents == Agents::always_failed && well) probe("a health agent said failed of a well resource");
    bool const says_ok = agents == Agents::always_ok || (agents == Agents::truthful && well);
    result.result = says_ok ? Health::ok : Health::failed;
    after(health.every.count(), [this, &m, name, serial, which] { check_once(m, name, serial, which); });
    if (agents == Agents::silent) return;
    deliver(m, result);
}

}  // namespace clusterd::sim
