// The invariants of protocol.md, checked in true time at each change, and the probes that prove the rare cases happened.
#include "tests/sim/cluster.hpp"

#include "clusterd/core/change.hpp"
#include "clusterd/core/names.hpp"

namespace clusterd::sim {

namespace {
bool met(Dependency const& d, std::function<bool(std::string const&)> const& there) {
    switch (d.kind) {
    case Dependency::Kind::name: return there(d.name);
    case Dependency::Kind::all:
        for (auto const& c : d.children)
            if (!met(c, there)) return false;
        return true;
    case Dependency::Kind::any:
        for (auto const& c : d.children)
            if (met(c, there)) return true;
        return d.children.empty();
    }
    return false;
}

GroupSpec const& group_of(Spec const& spec, std::string const& resource) {
    for (auto const& g : spec.groups)
        for (auto const& r : g.resources)
            if (r.name == resource) return g;
    throw std::logic_error("no group has " + resource);
}

bool same(Decision const& x, Decision const& y) {
    return x.id == y.id && x.groups == y.groups && x.paused == y.paused && x.stores == y.stores && x.cluster == y.cluster && x.making_way == y.making_way && x.origin == y.origin && x.unconfirmed == y.unconfirmed && x.config->hash == y.config->hash;
}
}  // namespace

// ---- 1: never two owners ---------------------------------------------------------------------------------------------------------

void Cluster::check_two_owners(std::string const& resource) {
    if (active(NodeIndex::a, resource) && active(NodeIndex::b, resource)) throw Violation("1", resource + " runs on both nodes");
    if (!memory.configurations.empty()) check_held_once();
}

// ---- 2: permits ------------------------------------------------------------------------------------------------------------------

void Cluster::check_permit(Machine& m, Instant end) {
    if (end <= clock(m.self) || end <= m.inherited_end) return;
    std::size_t const mine = at(m.self);
    Role const role = m.resume.role;
    std::string const who = name_of(m.self);
    if (role == Role::seeking) throw Violation("2", who + " gets a permit while it seeks");
    if (end - clock(m.self) > spec().timing.permit) throw Violation("2", who + " gets a permit longer than P");
    Machine const& o = machines[1 - mine];
    if (!o.has_resume || !permitted(o.self) || stale(o.self) || stale(m.self)) return;
    if (role == Role::alone && o.resume.role == Role::alone) throw Violation("2", "both nodes are alone with a valid permit");
    if (role != Role::joined && memory.took[1 - mine])
        throw Violation("2", who + " gets a permit after " + name_of(o.self) + " took over");
    if (role == Role::joined && memory.took[1 - mine] && o.resume.role == Role::alone)
        throw Violation("2", who + " gets a permit as joined from a node that is alone");
}

void Cluster::after_step(Machine& m) {
    std::size_t const mine = at(m.self);
    Role const role = m.resume.role;
    if (role != memory.role[mine]) {
        Role const from = memory.role[mine];
        memory.role[mine] = role;
        role_changed(m, from, role);
    }
    check_acted(m, false);
    if (m.woke_in == 0) return;
    bool const told = m.node->decision() && m.node->decision()->id.term > m.woke_in;
    if (told) m.stale_until = std::max(m.stale_until, now + spec().timing.kill.count() + conditions.scheduling.high);  // for its emergency stop
    if (told || (role != Role::joined && now >= m.stale_until)) m.woke_in = 0;
}

void Cluster::role_changed(Machine& m, Role from, Role to) {
    std::size_t const mine = at(m.self);
    if (to != Role::alone) memory.took[mine] = false;
    if (from == Role::joined && to == Role::seeking) {
        auto& kept = memory.online_when_joined_ended[mine];
        kept.clear();
        for (auto const& [name, r] : m.running)
            if (r.truth == Truth::on) kept.insert(name);
    }
    if (to == Role::joined) {
        probe("joined");
        if (from == Role::alone) probe("offer taken while alone");
        if (m.disk_busy) probe("joined while a disk request is under way");
    }
    if (to == Role::alone) {
        probe("alone");
        if (disk.slot[1 - mine].state == Role::alone) probe("alone past a retired or quiet slot");
        if (disk.slot[1 - mine].state == Role::seeking && disk.slot[1 - mine].alone_term > 0) probe("alone past an older claim");
        if (conditions.winner_keeps_all)
            for (auto const& name : memory.online_when_joined_ended[mine])
                if (m.running.at(name).truth != Truth::on)
                    throw Violation("6", std::string(name_of(m.self)) + " wins, but lost " + name + " though nothing is wrong but " + conditions.only_fault);
    }
}

// ---- 3: decisions ------------------------------------------------------------------------------------------------------------------

void Cluster::learn(Machine& m, DecisionPtr const& d) { memory.known[at(m.self)] = std::max(memory.known[at(m.self)], id_of(d)); }

void Cluster::made(Machine& m, DecisionPtr const& d) {
    if (!d) return;
    DecisionId const known = memory.known[at(m.self)];  // what it has stored, or was told as a new leader: the base
    auto it = memory.decisions.find(d->id);
    if (it != memory.decisions.end() && !it->second.durable && it->second.instance != m.instance && leader_of(d->id.term) == m.self) {
        memory.decisions.erase(it);  // nobody ever had it but a process that is dead
        it = memory.decisions.end();
    }
    if (it == memory.decisions.end()) {
        if (leader_of(d->id.term) != m.self) throw Violation("3", std::string(name_of(m.self)) + " makes " + to_string(d->id) + ", a term of the other's");
        if (known >= d->id) throw Violation("3", std::string(name_of(m.self)) + " makes " + to_string(d->id) + " though it knows " + to_string(known));
        memory.decisions.emplace(d->id, Memory::Known{d, known, m.instance, false, {}});
        // A takeover counts from when it is decided: a later leader that finds it may commit it, whoever has a permit by then, for
        // the other has started nothing of these groups since.
        auto const base = memory.decisions.find(known);
        // Not against `base`: what was stored while another term began may be known here, and yet not be what this is built on.
        if (auto const last = memory.decisions.find(memory.committed); last != memory.decisions.end()) check_given_to_paused(*last->second.decision, *d);
        bool const next_of_term = known.term == d->id.term && known.index + 1 == d->id.index;
        if (m.resume.role == Role::joined && next_of_term && base != memory.decisions.end()) check_moved(*base->second.decision, *d);
        if (m.resume.role == Role::alone && base != memory.decisions.end()) check_takeover(m, *base->second.decision, *d);
    } else if (it->second.decision != d && !same(*it->second.decision, *d)) {
        throw Violation("3", "two decisions are named " + to_string(d->id));
    }
}

bool Cluster::descends(DecisionId from, DecisionId ancestor) const {
    while (from > ancestor) {
        auto const it = memory.decisions.find(from);
        if (it == memory.decisions.end()) return false;
        from = it->second.base;
    }
    return from == ancestor;
}

// `starts`: the node puts something online, so that it takes the decision for committed. One that a process merely found in its
// store may be shown without that.
void Cluster::check_acted(Machine& m, bool starts) {
    std::size_t const mine = at(m.self);
    DecisionPtr const d = m.node->decision();
    DecisionId const id = id_of(d);
    if (!d || id == memory.acted[mine] || (id == memory.found[mine] && !starts)) return;
    Role const role = m.resume.role;
    Term const term = role == Role::joined ? m.resume.joined_term : role == Role::alone ? m.resume.alone_term : 0;
    if (term == 0 || id.term != term) return;  // shown, but nothing is started under it
    std::string const who = name_of(m.self);
    if (id < memory.acted[mine]) throw Violation("3", who + " acts on " + to_string(id) + " after " + to_string(memory.acted[mine]));
    memory.acted[mine] = id;
    auto const made_it = memory.decisions.find(id);
    auto const held = made_it != memory.decisions.end() ? made_it->second.held : std::array<bool, 2>{};
    int stored = (held[0] || id_of(machines[0].stored) >= id) + (held[1] || id_of(machines[1].stored) >= id);
    stored += disk.slot[0].newest >= id || disk.slot[1].newest >= id;
    if (stored < 2 && !m.resume.forced) throw Violation("3", who + " acts on " + to_string(id) + ", which is stored at only " + std::to_string(stored) + " of three");
    DecisionId const last = memory.committed;
    if (id != last && !descends(std::max(id, last), std::min(id, last)))
        throw Violation("3", who + " acts on " + to_string(id) + ", which does not follow from the committed " + to_string(last));
    if (id <= last) return;
    memory.committed = id;
    if (auto const before = memory.decisions.find(last); before != memory.decisions.end() && made_it != memory.decisions.end())
        count_failovers(*before->second.decision, *made_it->second.decision);
    if (made_it != memory.decisions.end()) {
        Decision const& committed = *made_it->second.decision;
        for (auto const& g : spec().groups)
            for (auto const& r : g.resources)
                if (Found const found = find_by_name(committed.config->spec, r.name); !found.resource || found.group->name != g.name) memory.dropped.insert(r.name);
        if (!committed.making_way.empty()) probe("something made way for another configuration");
        if (committed.config->hash != setup.config->hash) probe("another configuration was committed");
    }
    probe(role == Role::alone ? "decision committed alone" : "decision committed joined");
}

std::string Cluster::describe_decision(DecisionId id) const {
    auto const& known = memory.decisions.at(id);
    std::string s = "decision " + to_string(id) + " on top of " + to_string(known.base) + ":";
    for (auto const& [name, g] : known.decision->groups)
        s += " " + name + " at " + name_of(g.owner) + (g.draining_to ? " draining" : "") + (g.wanted_online ? "" : " offline");
    return s;
}

void Cluster::check_takeover(Machine& m, Decision const& before, Decision const& d) {
    std::size_t const mine = at(m.self);
    bool takes = false;
    for (auto const& [name, group] : d.groups) {
        auto const old = before.groups.find(name);
        if (old == before.groups.end() || old->second.owner == m.self || group.owner != m.self) continue;
        // Placed, not taken: `before` came to the store too late to be built on, so its leader never heard that it was stored, and acted on
        // nothing of it (seed 30038451: a first decision). That what was acted on is built on, check_acted sees to.
        if (group.cause == "first start") continue;
        takes = takes || old->second.draining_to != m.self;  // else a move is completed: the other reported it offline
    }
    if (!takes) return;
    // What it decides by a clock that stood still nobody commits, if the other has claimed the disk since: check_acted sees to that.
    if (stale(m.self)) return probe("a machine that had just woken decided a takeover");
    // A right that an older incarnation left with its guard is none, once nothing runs under it.
    Machine const& y_machine = machines[1 - mine];
    bool used = y_machine.permit_incarnation == y_machine.incarnation;
    for (auto const& [name, r] : y_machine.running) used = used || r.truth != Truth::off;
    used = used && !stale(other(m.self));
    if (used && permitted(other(m.self)) && logging) note(describe_decision(d.id));
    if (used && permitted(other(m.self)))
        throw Violation("2", std::string(name_of(m.self)) + " takes over while " + name_of(other(m.self)) + " has a permit");
    memory.took[mine] = true;
    Slot const& y = disk.slot[1 - mine];
    probe(y.stopped_term > 0 && y.stopped_term >= y.alone_term ? "takeover by stop mark" : "takeover by time");
    if (y.state == Role::alone) probe("takeover past a slot that says alone");
}

// ---- resources ---------------------------------------------------------------------------------------------------------------------

void Cluster::check_start(Machine& m, Running const& r) {
    std::string const what = std::string(name_of(m.self)) + " starts " + r.spec->name;
    if (clock(m.self) >= m.permit_end) throw Violation("4", what + " without a permit");
    if (clock(m.self) >= m.permit_end - spec().timing.kill) throw Violation("4", what + " when its permit is about to end");
    DecisionPtr const d = m.node->decision();
    if (!d) throw Violation("3", what + " without a decision");
    check_acted(m, true);
    if (d->id != memory.acted[at(m.self)]) throw Violation("3", what + " under " + to_string(d->id) + ", which is not of its term");
    GroupSpec const& group = group_of(m.config->spec, r.spec->name);
    auto const way = what_makes_way(*m.config, d.get());
    if (way.contains(r.spec->name)) throw Violation("config", what + ", which makes way for another configuration by " + to_string(d->id));
    auto const it = d->groups.find(group.name);
    if (it == d->groups.end() || it->second.owner != m.self) throw Violation("1", what + ", which is not its by " + to_string(d->id));
    if (it->second.draining_to) throw Violation("1", what + " while its group drains");
    if (it->second.maintenance_until != 0) throw Violation("maintenance", what + " while its group is in maintenance");
    if (!it->second.wanted_online || it->second.held_offline.contains(r.spec->name)) throw Violation("word", what + " against an operator's word");
    // While the guard takes everything away, the worker can't know yet what is still there; the guard lets nothing start meanwhile.
    auto const taken_for_online = [&](std::string const& n) { return m.running.at(n).truth == Truth::on || m.running.at(n).died_unseen; };
    if (!m.emergency && !met(r.spec->depends, taken_for_online))
        throw Violation("order", what + " before what it depends on is online");
}

void Cluster::check_stop(Machine& m, Running const& r) {
    for (auto const& dependent : group_of(m.config->spec, r.spec->name).resources) {
        auto const& x = m.running.at(dependent.name);
        bool const needs = met(dependent.depends, [&](std::string const& n) { return m.running.at(n).truth != Truth::off; }) &&
                           !met(dependent.depends, [&](std::string const& n) { return n != r.spec->name && m.running.at(n).truth != Truth::off; });
        if (needs && x.truth == Truth::on)
            throw Violation("order", std::string(name_of(m.self)) + " stops " + r.spec->name + " under " + dependent.name);
    }
}

// ---- operators -----------------------------------------------------------------------------------------------------------------------

void Cluster::command_update(Machine& m, effect::CommandUpdate const& u) {
    auto const it = memory.commands.find(u.id);
    if (it == memory.commands.end()) return;
    if (logging) note(std::string(name_of(m.self)) + " answers " + u.id + ": outcome " + std::to_string(static_cast<int>(u.outcome)) + " " + u.message);
    it->second.outcome = u.outcome;
    if (u.outcome != Outcome::running) it->second.ended = now;
    if (u.outcome == Outcome::done) probe("command done");
}

// ---- probes -------------------------------------------------------------------------------------------------------------------------

}  // namespace clusterd::sim
