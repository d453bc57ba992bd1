// Two whole nodes, simulated, with everything prompt: alpha and beta have just joined, and web (which prefers alpha) and mail run on
// alpha. For tests of what an operator sees.
#pragma once

#include "tests/sim/scenario.hpp"

#include <algorithm>

namespace clusterd::sim {

inline constexpr auto a = NodeIndex::a, b = NodeIndex::b;
inline constexpr Ns s = 1000 * ms;

// web prefers alpha; mail prefers nobody and so begins there, too. No resource checks.
inline ConfigPtr config(FailbackSpec::Kind failback = FailbackSpec::Kind::never) {
    auto made = std::make_shared<Config>(*sample_config(timing_of("default"), nullptr));
    made->spec.groups[0].failback.kind = failback;
    for (auto& g : made->spec.groups)
        for (auto& r : g.resources)
            if (r.type == "ip-address") r.attributes["interface"] = "eth0";
    return made;
}

struct Pair {
    explicit Pair(ConfigPtr with = config(), std::uint64_t seed = 1) : c({std::move(with), seed}) {
        c.power_on(a);
        c.power_on(b);
        run(5 * s);
    }
    void run(Ns by) { c.run_until(c.now + by); }
    Outcome order(NodeIndex at_node, Command command, Ns wait = 5 * s) {
        command.id = std::to_string(++orders);
        c.command(at_node, command);
        run(wait);
        return c.memory.commands.at(command.id).outcome;
    }
    Outcome order(NodeIndex at_node, Verb verb, std::string target, std::string to = {}) { return order(at_node, {"", verb, std::move(target), std::move(to)}); }
    bool on(NodeIndex n, std::string const& resource) { return c.machine(n).running.at(resource).truth == Truth::on; }
    bool web_on(NodeIndex n) { return on(n, "web-ip") && on(n, "web-data") && on(n, "web-server"); }
    bool nothing_on(NodeIndex n) {
        auto const& r = c.machine(n).running;
        return std::all_of(r.begin(), r.end(), [](auto const& e) { return e.second.truth == Truth::off; });
    }
    GroupDecision const& web(NodeIndex seen_by = a) { return c.machine(seen_by).node->decision()->groups.at("web"); }
    std::vector<ResourceStatus> web_resources(NodeIndex seen_by) { return c.machine(seen_by).node->status({c.clock(seen_by), 0, 0}).groups[0].resources; }
    void dies(NodeIndex n, std::string const& resource) {
        c.resource_dies(n, resource);
        run(2 * s);
    }
    NodeIndex leader() { return leader_of(c.machine(a).resume.joined_term); }
    Cluster c;
    int orders = 0;
};

}  // namespace clusterd::sim
