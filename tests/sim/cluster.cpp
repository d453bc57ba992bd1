// Virtual time: the queue of what is to come, the nodes' clocks, and the log.
#include "tests/sim/cluster.hpp"

#include <cmath>
#include <cstdio>

namespace clusterd::sim {

Cluster::Cluster(Setup s) : setup(std::move(s)), random(setup.seed) {
    for (NodeIndex n : {NodeIndex::a, NodeIndex::b}) {
        Machine& m = machine(n);
        m.self = n;
        m.rate = setup.rate[at(n)];
        m.store = ++next_store_;
        m.clock_base = 0;
        m.mono_base = random.between(1000, 2000) * ms;
        m.config = setup.config;
        memory.by_xml[setup.config->xml] = setup.config;
        for (auto const& g : spec().groups) {
            for (auto const& r : g.resources) {
                Running running;
                running.spec = &r;
                running.address = r.type == "ip-address";
                m.running.emplace(r.name, running);
            }
        }
    }
    if (setup.initial_disk) {
        disk.id = 7;
        disk.cluster[0] = 1;
    }
    after(50 * ms, [this] { sync_poll(); });
}

Cluster::~Cluster() = default;

void Cluster::at(Ns when, std::function<void()> what) { queue_.push({std::max(when, now), order_++, std::move(what)}); }

void Cluster::run_until(Ns until) {
    while (!queue_.empty() && queue_.top().when <= until) {
        auto what = std::move(const_cast<Item&>(queue_.top()).what);
        now = queue_.top().when;
        queue_.pop();
        what();
    }
    now = until;
}

Instant Cluster::clock_at(NodeIndex n, Ns when) const {
    Machine const& m = machine(n);
    if (m.paused) return Instant{m.mono_base};
    return Instant{m.mono_base + static_cast<std::int64_t>(std::llround(static_cast<double>(when - m.clock_base) * m.rate))};
}

Instant Cluster::clock(NodeIndex n) const { return clock_at(n, now); }

Now Cluster::now_at(NodeIndex n) const {
    std::int64_t const wall = wall_start + (now + conditions.wall[at(n)]) / ms;
    return {clock(n), wall, static_cast<int>(wall / 60'000 % 1440)};
}

// The first moment at which the node's clock shows at least `i`.
Ns Cluster::true_time(NodeIndex n, Instant i) const {
    Machine const& m = machine(n);
    if (i == forever) return never;
    if (i <= clock(n)) return now;
    if (m.paused) return never;
    Ns t = m.clock_base + static_cast<Ns>(std::ceil(static_cast<double>(i.ns - m.mono_base) / m.rate));
    while (clock_at(n, t) < i) ++t;
    return t;
}

void Cluster::change_rate(NodeIndex n, double rate) {
    Machine& m = machine(n);
    if (m.paused) return;
    m.mono_base = clock(n).ns;
    m.clock_base = now;
    m.rate = rate;
}

void Cluster::note(std::string line) {
    if (on_note) on_note(line);
    if (!logging) return;
    char stamp[40];
    std::snprintf(stamp, sizeof stamp, "%10.3f ms  ", static_cast<double>(now) / static_cast<double>(ms));
    log.push_back(stamp + line);
    if (log.size() > log_limit) log.pop_front();
}

std::string to_string(DecisionId id) { return std::to_string(id.term) + "." + std::to_string(id.index); }

char const* name_of(NodeIndex n) { return n == NodeIndex::a ? "A" : "B"; }

char const* to_string(Role r) {
    switch (r) {
    case Role::seeking: return "seeking";
    case Role::alone: return "alone";
    case Role::joined: return "joined";
    }
    return "?";
}

char const* to_string(ResourceState s) {
    switch (s) {
    case ResourceState::offline: return "offline";
    case ResourceState::online_pending: return "online-pending";
    case ResourceState::online: return "online";
    case ResourceState::offline_pending: return "offline-pending";
    case ResourceState::failed: return "failed";
    case ResourceState::unknown: return "unknown";
    }
    return "?";
}

std::string Cluster::describe(NodeIndex n) const {
    Machine const& m = machine(n);
    std::string s = name_of(n);
    if (!m.powered) return s + " off";
    if (!m.node) return s + (m.guard ? " no worker" : " no service") + (permitted(n) ? ", permit held by the guard" : "");
    s += m.frozen ? (m.guard_frozen ? " frozen " : " worker frozen ") : " ";
    ResumeState const r = m.node->resume_state();
    s += to_string(r.role);
    if (r.role == Role::joined) s += " in term " + std::to_string(r.joined_term);
    if (r.role == Role::alone) s += " with term " + std::to_string(r.alone_term);
    s += permitted(n) ? ", permit" : ", no permit";
    auto const d = m.node->decision();
    s += ", decision " + (d ? to_string(d->id) : std::string("none"));
    std::string online;
    for (auto const& [name, running] : m.running)
        if (active(n, name)) online += " " + name + (running.truth == Truth::on ? "" : "(pending)");
    return s + "; runs" + (online.empty() ? " nothing" : online);
}

std::string Cluster::describe_disk() const {
    std::string s = "D";
    for (NodeIndex n : {NodeIndex::a, NodeIndex::b}) {
        Slot const& x = disk.slot[at(n)];
        s += std::string(n == NodeIndex::a ? " " : "; ") + name_of(n) + ": " + to_string(x.state) + ", alone-term " +
             std::to_string(x.alone_term) + ", stopped-term " + std::to_string(x.stopped_term) + ", decision " + to_string(x.newest);
    }
    return s;
}

}  // namespace clusterd::sim
