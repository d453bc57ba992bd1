#include "clusterd/shell/standby.hpp"

#include "clusterd/core/names.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace clusterd {

namespace {

constexpr std::string_view told_word = "ready ", ask = "ready?";  // lines of the shell's own to the peer
constexpr Duration pace = std::chrono::minutes(1);
constexpr Duration patience = std::chrono::seconds(8);       // for a look; systemd is given 5 s
constexpr std::int64_t clocks_apart_ms = 2000;               // more is told: windows of failback and the history go by the wall clock
constexpr std::size_t most_warnings = 10;

}  // namespace

Standby::Standby(Loop& loop, Hosts& hosts, NodeIndex self, Callbacks callbacks) : loop_(loop), hosts_(hosts), self_(self), callbacks_(std::move(callbacks)) {
    hosts_.on_looked([this](std::string const& resource, std::vector<Lack> lacks) {
        if (awaited_.erase(resource) == 0) return;  // too late
        for (auto& l : lacks) next_.lacks.push_back({resource, std::move(l)});
        if (awaited_.empty()) finish();
    });
    pace_ = loop_.at(loop_.now().mono + std::chrono::seconds(5), [this] { look(); });
}

// What it stands by for: resources that may run here and whose group the other node has, or that nobody has yet.
void Standby::look() {
    pace_ = loop_.at(loop_.now().mono + pace, [this] { look(); });
    if (!awaited_.empty()) return;
    ConfigPtr const config = callbacks_.config();
    DecisionPtr const decision = callbacks_.decision();
    next_ = {};
    next_.node = config->spec.nodes[at(self_)].name;
    next_.version = CLUSTERD_VERSION;
    next_.round = ++rounds_;
    for (auto& lack : callbacks_.node()) next_.lacks.push_back({"", std::move(lack)});
    for (auto const& g : config->spec.groups) {
        bool const mine = decision && decision->groups.contains(g.name) && decision->groups.at(g.name).owner == self_;
        if (mine) continue;
        std::vector<std::string> mounts;
        for (auto const& r : g.resources)
            if (r.type == "filesystem" && r.attributes.contains("mount")) mounts.push_back(r.attributes.at("mount"));
        for (auto const& r : g.resources) {
            if (!r.possible[at(self_)]) continue;
            next_.looked_at.push_back(r.name);
            awaited_.insert(r.name);
            hosts_.look(r.name, mounts);
        }
    }
    if (awaited_.empty()) return finish();
    patience_ = loop_.at(loop_.now().mono + patience, [this] { finish(); });
}

void Standby::finish() {
    patience_.reset();
    for (auto const& name : awaited_)
        next_.lacks.push_back({name, {fmt::format("it couldn't be looked at within {} s: something that it needs hangs", patience / std::chrono::seconds(1)), "a disk or systemd that doesn't answer? dmesg, systemctl status"}});
    awaited_.clear();
    std::stable_sort(next_.lacks.begin(), next_.lacks.end(), [](auto const& a, auto const& b) { return a.resource < b.resource; });
    both_.own = next_;
    tell_own();
}

void Standby::tell_own() {
    if (!both_.own) return;
    both_.own->wall_ms = loop_.now().wall_ms;
    callbacks_.tell(std::string(told_word) + readiness_json(*both_.own));
}

bool Standby::take(std::string const& line) {
    if (line == ask) {
        look();
        return true;
    }
    if (!line.starts_with(told_word)) return false;
    auto told = parse_readiness(std::string_view(line).substr(told_word.size()));
    if (!told) return true;  // of another version: nothing is known of it
    clock_apart_ms_ = told->wall_ms - loop_.now().wall_ms;
    both_.peer = std::move(*told);
    return true;
}

void Standby::look_on_both() {
    callbacks_.tell(std::string(ask));
    look();
}

std::vector<std::string> Standby::warnings(bool peer_up) const {
    std::vector<std::string> out;
    ConfigPtr const config = callbacks_.config();
    DecisionPtr const decision = callbacks_.decision();
    std::size_t untold = 0;
    auto const add = [&](std::string text) { out.size() < most_warnings ? out.push_back(std::move(text)) : void(++untold); };
    for (auto const* r : {&both_.own, &both_.peer}) {
        if (!*r || (r == &both_.peer && !peer_up)) continue;
        auto const node = find_node(config->spec, (*r)->node);
        for (auto const& [resource, lack] : (*r)->lacks) {
            Found const f = resource.empty() ? Found{} : find_by_name(config->spec, resource);
            if (!resource.empty() && !f.resource) continue;  // dropped meanwhile
            bool const has_it_now = f.group && decision && decision->groups.contains(f.group->name) && decision->groups.at(f.group->name).owner == node;
            if (has_it_now) continue;
            std::string const todo = lack.todo.empty() ? "" : " (" + lack.todo + ")";
            add(resource.empty() ? fmt::format("{} isn't ready to take over: {}{}", (*r)->node, lack.what, todo) : fmt::format("{} could not start {}: {}{}", (*r)->node, resource, lack.what, todo));
        }
    }
    if (peer_up && both_.own && both_.peer && both_.own->version != both_.peer->version)
        add(fmt::format("clusterd is {} on {} and {} on {}: install the same on both nodes", both_.own->version, both_.own->node, both_.peer->version, both_.peer->node));
    if (peer_up && both_.peer && std::abs(clock_apart_ms_) > clocks_apart_ms)
        add(fmt::format("the clocks of the nodes are {} s apart: windows of failback and the order of events go by them; run chrony or systemd-timesyncd on both", std::abs(clock_apart_ms_) / 1000));
    if (untold > 0) out.push_back(fmt::format("and {} more things that a takeover would lack: clusterctl check-standby", untold));
    return out;
}

}  // namespace clusterd
