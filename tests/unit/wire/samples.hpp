// Values with every field set, for round trips.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/wire/config_hash.hpp"

#include <memory>
#include <vector>

namespace clusterd::test {

inline ConfigPtr sample_config(std::string xml = "<cluster name=\"shop\"/>") {
    auto config = std::make_shared<Config>();
    config->hash = hash_config(xml);
    config->xml = std::move(xml);
    return config;
}

inline Decision sample_decision() {
    Decision d;
    d.id = {7, 42};
    d.cluster[3] = 9;
    d.stores = {1, 0xffffffffffffffff, 3};
    d.paused = {false, true};
    d.config = sample_config();
    GroupDecision g;
    g.owner = NodeIndex::b;
    g.wanted_online = false;
    g.held_offline = {"web-docs", "web-ip"};
    g.draining_to = NodeIndex::a;
    g.cause = "moved by an operator: größer";
    g.away_by_failure = true;
    g.drained_from = NodeIndex::b;
    g.failovers = {{-1, NodeIndex::b, "web-ip"}, {1700000000000, NodeIndex::a, ""}};
    g.fail_orders = {{"web-ip", 3}};
    g.reset_orders = {{"web-docs", 1}, {"web-ip", 0xffffffffffffffff}};
    d.groups["web"] = g;
    d.groups["mail"] = GroupDecision{};
    return d;
}

inline Report sample_report() {
    Report r;
    r.node = NodeIndex::b;
    r.incarnation = 0xabcdef;
    r.sequence = 12;
    r.under = {7, 41};
    r.leaving = true;
    r.resources["web-ip"] = {ResourceState::unknown, true, Health::degraded, 1700000000000, 2, -3, "slow"};
    r.resources["web-docs"] = {};
    r.failed_groups = {{"web", "web-ip"}};
    return r;
}

// One of each alternative, in order.
inline std::vector<SyncMessage> sample_messages() {
    auto const decision = std::make_shared<Decision const>(sample_decision());
    Command command{"c1", Verb::pause, "beta", "alpha", true, true, "root"};
    FailoverRecord record{"f1", "web", "alpha", "beta", "alpha was lost", 1700000000000, {{"detect", 301}, {"commit", -1}}};
    return {sync::FollowerState{5, {3, 9}, decision, 77},
            sync::StoreDecision{7, decision},
            sync::DecisionStored{7, {7, 42}},
            sample_report(),
            sync::CommandForward{command},
            sync::CommandAnswer{"c1", true, {7, 43}, "done"},
            sync::History{record}};
}

}  // namespace clusterd::test
