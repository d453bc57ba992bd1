// Configurations that are applied while all else goes on: how they are drawn, and what must hold when a node goes over to one.
#include "tests/sim/scenario.hpp"

#include "clusterd/core/change.hpp"
#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd::sim {

namespace {

ResourceSpec* named(Spec& spec, std::string const& name) {
    for (auto& g : spec.groups)
        for (auto& r : g.resources)
            if (r.name == name) return &r;
    return nullptr;
}

void rename_in(Dependency& d, std::string const& from, std::string const& to) {
    if (d.kind == Dependency::Kind::name && d.name == from) d.name = to;
    for (auto& c : d.children) rename_in(c, from, to);
}

bool is_needed(GroupSpec const& g, std::string const& name) { return with_dependents(g, name).size() > 1; }

void drop_one(Spec& spec, Random& r) {
    auto& g = spec.groups[r.below(spec.groups.size())];
    auto const free_one = std::find_if(g.resources.begin(), g.resources.end(), [&](ResourceSpec const& x) { return !is_needed(g, x.name); });
    if (g.resources.size() > 1 && free_one != g.resources.end()) g.resources.erase(free_one);
}

// What web has, with the addresses of both swapped, or under another name, or in the other group.
void touch_addresses(Spec& spec, Random& r) {
    ResourceSpec* const web = named(spec, "web-ip");
    ResourceSpec* const mail = named(spec, "mail-ip");
    if (!web || !mail) return;
    switch (r.below(3)) {
    case 0: std::swap(web->attributes["address"], mail->attributes["address"]); break;
    case 1:
        for (auto& g : spec.groups)
            for (auto& x : g.resources) rename_in(x.depends, "web-ip", "web-address");
        web->name = "web-address";
        break;
    default: {
        ResourceSpec moved = *mail;
        moved.depends = {};
        for (auto& g : spec.groups) std::erase_if(g.resources, [](ResourceSpec const& x) { return x.name == "mail-ip"; });
        spec.groups[0].resources.push_back(std::move(moved));
        break;
    }
    }
}

ResourceSpec another(std::string name) {
    ResourceSpec r;
    r.name = std::move(name);
    r.type = "process";
    r.online_timeout = std::chrono::seconds(10);
    r.offline_timeout = std::chrono::seconds(3);
    r.retry_after = std::chrono::seconds(5);
    r.restart.period = std::chrono::seconds(60);
    return r;
}

void change_in_place(Spec& spec, Random& r) {
    auto& g = spec.groups[r.below(spec.groups.size())];
    auto& x = g.resources[r.below(g.resources.size())];
    switch (r.below(4)) {
    case 0: x.restart.limit = static_cast<int>(r.below(5)); break;
    case 1: g.preferred = g.preferred ? std::nullopt : std::optional(NodeIndex::b); break;
    case 2: g.priority = static_cast<int>(r.below(4)); break;
    default:
        if (x.health.empty()) x.health.push_back({"tcp", {}, std::chrono::seconds(1), std::chrono::milliseconds(500), 2, 0});
        else x.health.clear();
        break;
    }
}

}  // namespace

ConfigPtr other_config(Config const& first, Random& r, std::uint64_t number) {
    auto config = std::make_shared<Config>(first);
    config->hash[1] = static_cast<std::uint8_t>(number + 1);
    config->xml = "<cluster number=\"" + std::to_string(number) + "\"/>";
    Spec& spec = config->spec;
    for (auto changes = 1 + r.below(3); changes > 0; --changes) {
        switch (r.below(6)) {
        case 0: {
            auto& g = spec.groups[r.below(spec.groups.size())];
            g.resources[r.below(g.resources.size())].attributes["option"] = std::to_string(number);
            break;
        }
        case 1: drop_one(spec, r); break;
        case 2:
            if (!named(spec, "extra")) spec.groups[r.below(spec.groups.size())].resources.push_back(another("extra"));
            break;
        case 3: touch_addresses(spec, r); break;
        case 4: change_in_place(spec, r); break;
        default:
            if (named(spec, "more-server")) break;
            spec.groups.push_back({});
            spec.groups.back().name = "more";
            spec.groups.back().resources.push_back(another("more-server"));
            break;
        }
    }
    for (auto& g : spec.groups)  // an address that went elsewhere leaves nothing behind that needs it
        for (auto& x : g.resources)
            std::erase_if(x.depends.children, [&](Dependency const& d) {
                return std::none_of(g.resources.begin(), g.resources.end(), [&](ResourceSpec const& y) { return y.name == d.name; });
            });
    return config;
}

// An address is the same whatever the resource is called that holds it.
std::string const& Cluster::what_it_holds(ResourceSpec const& r) {
    auto const it = r.attributes.find("address");
    return it == r.attributes.end() ? r.name : it->second;
}

void Cluster::check_held_once() const {
    std::map<std::string, std::string> holders;
    for (auto const& m : machines)
        for (auto const& [name, r] : m.running) {
            if (!active(m.self, name)) continue;
            auto const [other_one, first] = holders.emplace(what_it_holds(*r.spec), std::string(name_of(m.self)) + "'s " + name);
            if (!first) throw Violation("1", other_one->first + " is held by " + other_one->second + " and by " + name_of(m.self) + "'s " + name);
        }
}

// The shell's part: a command like any other, of the configuration with that text.
void Cluster::revert(Machine& m, effect::RevertConfiguration const& e) {
    auto const config = memory.by_xml.find(e.xml);
    if (config == memory.by_xml.end()) throw Violation("config", std::string(name_of(m.self)) + " takes back a configuration that never counted: " + e.xml);
    Command c;
    c.id = "revert" + std::to_string(++next_revert_);
    c.verb = Verb::apply;
    c.user = "clusterd";
    c.config = config->second;
    c.base = e.base;
    probe("a configuration was taken back unconfirmed");
    NodeIndex const n = m.self;
    std::uint64_t const instance = m.instance;
    after(ms, [this, n, instance, c] {
        if (machine(n).instance == instance) command(n, c);
    });
}

// The node has gone over to another configuration: nothing that it drops or replaces may be there. At a process's start, what was killed
// in vain may: its kernel keeps it, whoever is asked.
void Cluster::configured(Machine& m, bool at_start) {
    ConfigPtr const before = m.config;
    m.config = m.node->config();
    if (m.config == before) return;
    memory.configurations.push_back(m.config);
    probe("a node went over to another configuration");
    auto const must_be_off = [&](std::string const& name, Running const& r) {
        if (r.truth == Truth::off || (at_start && r.truth == Truth::dying)) return;
        throw Violation("config", std::string(name_of(m.self)) + " goes over to a configuration that drops or replaces " + name + " while it is there");
    };
    for (auto& [name, r] : m.running) {
        if (r.dropped || find_by_name(m.config->spec, name).resource) continue;
        must_be_off(name, r);
        r.dropped = true;
    }
    for (auto const& g : m.config->spec.groups)
        for (auto const& x : g.resources) {
            Running& r = m.running[x.name];
            if (r.spec && !r.dropped) {
                Found const was = find_by_name(before->spec, x.name);
                bool const goes_on = was.resource && was.group->name == g.name && goes_on_as(*r.spec, x);
                if (!goes_on) must_be_off(x.name, r);
                else probe(was.resource && *was.resource == x ? "a resource went on under another configuration" : "a resource was changed in place");
            }
            bool const other_checks = r.spec && r.spec->health != x.health;
            r.dropped = false;
            r.spec = &x;
            r.address = x.type == "ip-address";
            if (other_checks && r.checks) run_checks(m, {x.name, true});
        }
}

}  // namespace clusterd::sim
