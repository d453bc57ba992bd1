// A small configuration and a machine under one Reconciler, for the tests of the policy half of the core. Pure, like what it tests:
// time stands still until a test moves it, and every action is answered when the test says so.
#pragma once

#include "clusterd/core/names.hpp"
#include "clusterd/core/reconciler.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace clusterd::policy {

using namespace std::chrono_literals;

inline constexpr NodeIndex a = NodeIndex::a, b = NodeIndex::b;
inline constexpr std::int64_t start_of_time_ms = 1'700'000'000'000;

inline Now at_time(Duration since) {
    return {Instant{} + std::chrono::seconds(100) + since, start_of_time_ms + to_ms(since), 12 * 60};
}

inline Dependency needs(std::string name) { return {Dependency::Kind::name, std::move(name), {}}; }
inline Dependency all_of(std::vector<Dependency> children) { return {Dependency::Kind::all, {}, std::move(children)}; }
inline Dependency any_of(std::vector<Dependency> children) { return {Dependency::Kind::any, {}, std::move(children)}; }

inline ResourceSpec resource(std::string name, Dependency depends = {}) {
    ResourceSpec r;
    r.name = std::move(name);
    r.type = "dummy";
    r.depends = std::move(depends);
    return r;
}

inline GroupSpec group(std::string name, std::vector<ResourceSpec> resources) {
    GroupSpec g;
    g.name = std::move(name);
    g.resources = std::move(resources);
    return g;
}

inline Spec spec_of(std::vector<GroupSpec> groups) {
    Spec s;
    s.cluster = "shop";
    s.nodes[0] = {"alpha", {{"192.0.2.1", 7780}}};
    s.nodes[1] = {"beta", {{"192.0.2.2", 7780}}};
    s.groups = std::move(groups);
    return s;
}

// disk <- data <- (server needs ip as well), docs needs data.
inline Spec web_spec() {
    return spec_of({group("web", {resource("disk"), resource("data", needs("disk")), resource("ip"),
                                  resource("server", all_of({needs("data"), needs("ip")})), resource("docs", needs("data"))})});
}

inline ResourceSpec& spec_of(Spec& s, std::string const& name) {
    for (auto& g : s.groups)
        for (auto& r : g.resources)
            if (r.name == name) return r;
    std::abort();
}

// This node is `a` and owns everything, until a test decides otherwise.
struct Bench {
    explicit Bench(Spec s) : spec(std::move(s)) {
        decision.id = {1, 1};
        for (auto const& g : spec.groups) decision.groups[g.name] = {};
        reconciler.configure(spec, now());
    }

    Now now() const { return at_time(elapsed); }
    GroupDecision& web() { return decision.groups.at("web"); }
    ResourceSpec const& spec_named(std::string const& name) const { return *find_by_name(spec, name).resource; }

    void reconcile() {
        Effects out;
        reconciler.reconcile(now(), rights, &decision, decision.making_way, out);
        take(out);
    }
    // Reconciles and answers until nothing is under way any more but what is held back.
    void settle() {
        for (int round = 0; round < 100; ++round) {
            reconcile();
            auto const ready = std::find_if(pending.begin(), pending.end(), [&](auto const& p) { return !slow.contains(p.resource); });
            if (ready == pending.end()) break;
            answer(*ready);
        }
        report();
    }
    void pass(Duration by) {
        elapsed += by;
        settle();
    }
    // Decides anew: as when a new decision was committed.
    void decide() {
        ++decision.id.index;
        settle();
    }

    void answer(effect::ResourceAction const action) {
        ResourceState result = ResourceState::failed;
        std::string message;
        ResourceState& really = truth.try_emplace(action.resource, ResourceState::offline).first->second;
        switch (action.kind) {
        case ActionKind::probe: result = unknowable.contains(action.resource) ? ResourceState::unknown : really; break;
        case ActionKind::start:
            if (breaks_at_start.contains(action.resource)) message = "did not start";
            else really = result = ResourceState::online;
            break;
        case ActionKind::stop:
            if (clings.contains(action.resource)) message = "did not stop";
            else really = result = ResourceState::offline;
            break;
        case ActionKind::kill:
            if (immortal.contains(action.resource)) message = "is still there";
            else really = result = ResourceState::offline;
            break;
        case ActionKind::prepare: return;
        }
        tell(action.resource, action.action, result, message);
    }
    void tell(std::string const& name, std::uint64_t action, ResourceState state, std::string message = {}, bool restart_here = true) {
        std::erase_if(pending, [&](auto const& p) { return p.resource == name && p.action == action; });
        Effects out;
        reconciler.on_changed(now(), {name, action, state, std::move(message), restart_here}, out);
        take(out);
    }
    // It stops working by itself, and is noticed.
    void breaks(std::string const& name, std::string why = "exited", bool restart_here = true) {
        truth[name] = ResourceState::offline;
        tell(name, 0, ResourceState::failed, std::move(why), restart_here);
    }
    void check(std::string const& name, Health result, int which = 0) {
        Effects out;
        reconciler.on_health(now(), {name, which, result, {}, "says the check"}, out);
        take(out);
    }

    Report const& report() {
        reconciler.refresh_report(now(), decision.id, false, false);
        return reconciler.report();
    }
    ResourceReport const& of(std::string const& name) { return report().resources.at(name); }
    ResourceState state(std::string const& name) { return of(name).state; }
    bool all_online() {
        return std::all_of(report().resources.begin(), report().resources.end(), [](auto const& r) { return r.second.state == ResourceState::online; });
    }
    // What was done since this was last asked, as "start ip"; probes are left out.
    std::vector<std::string> done() { return std::exchange(log, {}); }
    std::ptrdiff_t times(std::string const& what) const { return std::count(log.begin(), log.end(), what); }
    effect::ResourceAction under_way(std::string const& name) const {
        auto const it = std::find_if(pending.begin(), pending.end(), [&](auto const& p) { return p.resource == name; });
        return it == pending.end() ? effect::ResourceAction{} : *it;
    }

    void take(Effects const& out) {
        static char const* const words[] = {"probe", "start", "stop", "kill", "prepare"};
        for (auto const& e : out) {
            if (auto const* x = std::get_if<effect::ResourceAction>(&e)) {
                if (x->kind != ActionKind::probe) log.push_back(std::string(words[static_cast<int>(x->kind)]) + " " + x->resource);
                else ++probes[x->resource];
                pending.push_back(*x);
            }
            if (auto const* x = std::get_if<effect::RecordEvent>(&e)) events.push_back(*x);
            if (auto const* x = std::get_if<effect::Checks>(&e)) checks[x->resource] = x->run;
        }
    }

    Spec spec;
    Decision decision;
    Rights rights{true, true, false, false};
    Duration elapsed{0};
    Reconciler reconciler{a, 77};

    std::map<std::string, ResourceState> truth;
    std::set<std::string> slow, breaks_at_start, clings, immortal, unknowable;
    std::vector<effect::ResourceAction> pending;
    std::vector<std::string> log;
    std::map<std::string, int> probes;
    std::vector<effect::RecordEvent> events;
    std::map<std::string, bool> checks;
};

}  // namespace clusterd::policy
