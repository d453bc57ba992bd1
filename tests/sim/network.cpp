// The links: heartbeats that are lost, late, doubled or overtaken, each direction by itself; and the sync channel, which keeps the
// order, stands only between two given processes, and loses what is under way when it breaks.
#include "tests/sim/cluster.hpp"

namespace clusterd::sim {

void Cluster::send_heartbeat(Machine& m, Heartbeat const& h) {
    watch_heartbeat(m, h);
    for (int link = 0; link < setup.links; ++link) {
        auto const l = static_cast<std::size_t>(link);
        if (conditions.cut[l][at(m.self)] || random.chance(conditions.loss)) continue;
        if (conditions.hold[l][at(m.self)]) {
            held_.push_back({m.self, link, h});
            continue;
        }
        int const copies = random.chance(conditions.twice) ? 2 : 1;
        for (int i = 0; i < copies; ++i) {
            Ns delay = draw(conditions.delay);
            if (random.chance(conditions.late)) delay = random.between(0, conditions.latest);
            if (random.chance(conditions.overtaken)) delay += random.between(1, 4) * spec().timing.heartbeat.count();
            after(delay, [this, from = m.self, link, h] { arrive(from, link, h); });
        }
    }
}

void Cluster::arrive(NodeIndex from, int link, Heartbeat const& h) {
    Echo& newest = memory.newest_arrived[at(from)];
    if (newest.incarnation == h.incarnation && h.sent < newest.sent) probe("a heartbeat came after a later one");
    else newest = {h.incarnation, h.sent};
    Machine& to = machine(other(from));
    if (to.powered) deliver(to, event::HeartbeatReceived{h, link});
}

void Cluster::cut(NodeIndex from, bool on, int link) {
    for (int l = 0; l < setup.links; ++l)
        if (link < 0 || link == l) conditions.cut[static_cast<std::size_t>(l)][at(from)] = on;
    note(std::string("link ") + name_of(from) + " -> " + name_of(other(from)) + (on ? " is cut" : " is whole"));
}

void Cluster::hold(NodeIndex from, bool on) {
    for (auto& l : conditions.hold) l[at(from)] = on;
    note(std::string("what ") + name_of(from) + " sends is " + (on ? "held by the network" : "delivered, with all that was held"));
    if (on) return;
    auto all = std::move(held_);
    held_.clear();
    for (auto const& h : all) {
        if (h.from != from) held_.push_back(h);
        else arrive(h.from, h.link, h.heartbeat);
    }
}

bool Cluster::open(NodeIndex from) const {
    for (int l = 0; l < setup.links; ++l) {
        auto const i = static_cast<std::size_t>(l);
        if (!conditions.cut[i][at(from)] && !conditions.hold[i][at(from)]) return true;
    }
    return false;
}

// Stands when both processes live and both directions are open; a cut is noticed after a while.
void Cluster::sync_poll() {
    after(50 * ms, [this] { sync_poll(); });
    bool const both = machines[0].node && machines[1].node && !machines[0].frozen && !machines[1].frozen;
    bool const whole = open(NodeIndex::a) && open(NodeIndex::b);
    if (sync.id == 0) {
        if (!both || !whole || downs_owed_ > 0) return;
        sync.id = ++next_process_;
        sync.instance = {machines[0].instance, machines[1].instance};
        sync.up = {};
        sync.last_arrival = {};
        sync.breaking = false;
        for (std::size_t i = 0; i < 2; ++i) {
            after(draw(conditions.delay) * 3, [this, i, id = sync.id] {
                if (sync.id != id || sync.up[i]) return;
                sync.up[i] = true;
                deliver_to(machines[i], sync.instance[i], event::SyncUp{});
            });
        }
        return;
    }
    if (!whole && !sync.breaking) {
        sync.breaking = true;
        after(draw(conditions.break_after), [this, id = sync.id] {
            if (sync.id != id) return;
            sync.breaking = false;
            if (!open(NodeIndex::a) || !open(NodeIndex::b)) sync_break(false);
        });
    }
}

void Cluster::sync_break(bool at_once) {
    auto const was = sync;
    sync = {};
    for (std::size_t i = 0; i < 2; ++i) {
        if (!was.up[i]) continue;
        Ns const delay = at_once ? draw(conditions.delay) : draw(conditions.break_after) / 4;
        ++downs_owed_;
        after(delay, [this, i, instance = was.instance[i]] {
            --downs_owed_;
            deliver_to(machines[i], instance, event::SyncDown{});
        });
    }
}

void Cluster::sync_send(Machine& m, SyncMessage const& message) {
    std::size_t const i = at(m.self);
    if (sync.id == 0 || !sync.up[i] || sync.instance[i] != m.instance) return;
    Ns const arrival = std::max(now + draw(conditions.delay), sync.last_arrival[i] + 1);
    sync.last_arrival[i] = arrival;
    at(arrival, [this, id = sync.id, from = m.self, message] { sync_arrive(id, from, message); });
}

void Cluster::sync_arrive(std::uint64_t id, NodeIndex from, SyncMessage message) {
    if (sync.id != id) return;
    sync.waiting[at(from)].push_back(std::move(message));
    sync_pump(id, from);
}

// In order; what meets a cut link is sent again once the link is whole, or lost with the channel.
void Cluster::sync_pump(std::uint64_t id, NodeIndex from) {
    std::size_t const to = at(other(from));
    while (sync.id == id && !sync.waiting[at(from)].empty()) {
        if (!open(from)) return after(20 * ms, [this, id, from] { sync_pump(id, from); });
        if (!sync.up[to]) {
            sync.up[to] = true;
            deliver_to(machines[to], sync.instance[to], event::SyncUp{});
            continue;
        }
        auto message = std::move(sync.waiting[at(from)].front());
        sync.waiting[at(from)].pop_front();
        deliver_to(machines[to], sync.instance[to], event::SyncReceived{std::move(message)});
    }
}

}  // namespace clusterd::sim
