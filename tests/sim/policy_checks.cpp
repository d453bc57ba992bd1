// The planner's invariants: what may be decided, whatever happens to the nodes. checks.cpp calls them when a decision is made or
// committed; run.cpp asks for the operators' last words at the end.
#include "tests/sim/cluster.hpp"

#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd::sim {

// While both are members, a group changes its owner only after a decision that said so: under the one before that, its owner may just have
// begun to start it.
void Cluster::check_moved(Decision const& before, Decision const& d) {
    for (auto const& [name, g] : d.groups) {
        auto const old = before.groups.find(name);
        if (old == before.groups.end() || old->second.owner == g.owner || old->second.draining_to == g.owner) continue;
        throw Violation("moved", to_string(d.id) + " gives group " + name + " to " + name_of(g.owner) + ", and " + to_string(before.id) + " did not say that it was to be stopped");
    }
}

// A paused node is given nothing: it keeps what it has.
void Cluster::check_given_to_paused(Decision const& before, Decision const& d) {
    for (NodeIndex n : {NodeIndex::a, NodeIndex::b}) {
        if (!before.paused[at(n)] || !d.paused[at(n)]) continue;
        for (auto const& [name, g] : d.groups) {
            auto const old = before.groups.find(name);
            if (old == before.groups.end()) continue;
            bool const given = (g.owner == n && old->second.owner != n) || (g.draining_to == n && old->second.draining_to != n);
            if (given) throw Violation("paused", to_string(d.id) + " gives group " + name + " to " + name_of(n) + ", which is paused");
            if (g.owner != n) probe("a paused node was passed over");
        }
    }
}

// No failover by failure beyond a group's limit within its window. The window is one of wall clocks: where they were set, or differ,
// nothing can be said of what happened before.
void Cluster::count_failovers(Decision const& before, Decision const& committed) {
    std::erase_if(memory.failovers, [&](auto const& e) { return !committed.groups.contains(e.first); });  // dropped with its group
    for (auto const& g : committed.config->spec.groups) {
        auto const old = before.groups.find(g.name);
        auto const now_is = committed.groups.find(g.name);
        if (old == before.groups.end() || now_is == committed.groups.end()) continue;
        auto const& ledger = now_is->second.failovers;
        auto& counted = memory.failovers[g.name];
        if (now_is->second.reset_orders != old->second.reset_orders || conditions.wall[0] != conditions.wall[1]) counted.clear();
        bool const one_more = !ledger.empty() && (old->second.failovers.empty() || ledger.back() != old->second.failovers.back()) &&
                              now_is->second.draining_to && now_is->second.draining_to != old->second.draining_to;
        if (!one_more) continue;
        probe("a failover by failure");
        Ns const decided = (ledger.back().wall_ms - wall_start) * ms - conditions.wall[0];
        auto const is_over = [&](Ns at_time) { return at_time <= decided - g.failover_period.count() || at_time <= memory.wall_stepped; };
        while (!counted.empty() && is_over(counted.front())) counted.pop_front();
        counted.push_back(decided);
        if (static_cast<int>(counted.size()) == g.failover_limit) probe("the failover limit was used up");
        if (static_cast<int>(counted.size()) > g.failover_limit)
            throw Violation("limit", to_string(committed.id) + " fails group " + g.name + " over for the " + std::to_string(counted.size()) +
                                         ". time within its window; the limit is " + std::to_string(g.failover_limit));
    }
}

namespace {

// The last command of several, and whether it was given once all the others were answered: else nobody knows which was the last word.
struct Last {
    Memory::Given const* command = nullptr;
    bool clear = true;
};

// One that failed because its leader was lost may be decided a little later all the same.
bool settled(Memory::Given const& given, Ns by) { return given.ended < (given.outcome == Outcome::failed ? by - 5000 * ms : by); }

template <class Concerns>
Last last_of(Cluster const& c, Concerns const& concerns) {
    Last last;
    for (auto const& [id, given] : c.memory.commands)
        if (concerns(given.command) && (!last.command || given.given > last.command->given)) last.command = &given;
    for (auto const& [id, given] : c.memory.commands)
        if (last.command && concerns(given.command) && &given != last.command && !settled(given, last.command->given)) last.clear = false;
    if (!last.command || last.command->outcome != Outcome::done) last.clear = false;
    return last;
}

}  // namespace

void check_last_words(Cluster& c) {
    auto const found = c.memory.decisions.find(c.memory.committed);
    if (found == c.memory.decisions.end()) return;
    Decision const& d = *found->second.decision;
    auto const stands = [&](bool so, Command const& command, std::string const& what) {
        c.probe("an operator's last word was looked at");
        if (!so) throw Violation("word", "the operator's last word on " + what + " (" + command.id + ") does not stand in " + to_string(d.id));
    };
    Spec const& spec = d.config->spec;
    for (auto const& g : spec.groups) {
        auto const it = d.groups.find(g.name);
        if (it == d.groups.end()) continue;
        auto const concerns = [&](Command const& x) {
            return (x.verb == Verb::online || x.verb == Verb::offline) && find_by_name(spec, x.target).group == &g;
        };
        // A word about a resource that was dropped is forgotten with it; about one that has changed its group, it was of whichever group that was then.
        bool const forgotten = std::any_of(c.memory.commands.begin(), c.memory.commands.end(), [&](auto const& x) {
            Verb const verb = x.second.command.verb;
            return (verb == Verb::online || verb == Verb::offline) && c.memory.dropped.contains(x.second.command.target);
        });
        Last const last = last_of(c, concerns);
        if (!last.clear || forgotten) continue;
        Command const& command = last.command->command;
        bool const whole = command.target == g.name, on = command.verb == Verb::online;
        bool const held = it->second.held_offline.contains(command.target);
        stands(on ? it->second.wanted_online && !held : whole ? !it->second.wanted_online : held || !it->second.wanted_online, command, command.target);
    }
    for (NodeIndex n : {NodeIndex::a, NodeIndex::b}) {
        std::string const& name = c.spec().nodes[at(n)].name;
        Last const last = last_of(c, [&](Command const& x) { return (x.verb == Verb::pause || x.verb == Verb::resume) && x.target == name; });
        if (last.clear) stands(d.paused[at(n)] == (last.command->command.verb == Verb::pause), last.command->command, "node " + name);
    }
}

}  // namespace clusterd::sim
