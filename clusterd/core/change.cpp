// See change.hpp.
#include "clusterd/core/change.hpp"

#include "clusterd/core/names.hpp"

#include <map>

namespace clusterd {

namespace {

// find_by_name() looks at all of them each time; there may be thousands, and a heartbeat waits.
std::map<std::string, Found> places(Spec const& spec) {
    std::map<std::string, Found> all;
    for (auto const& g : spec.groups)
        for (auto const& r : g.resources) all.emplace(r.name, Found{&g, &r});
    return all;
}

// But for the lines in the file, which move with every line above them.
ResourceSpec without_line(ResourceSpec r) {
    r.line = 0;
    return r;
}

bool same_group(GroupSpec const& a, GroupSpec const& b) {
    auto const own = [](GroupSpec g) {
        g.line = 0;
        for (auto& r : g.resources) r.line = 0;
        return g;
    };
    return own(a) == own(b);
}

void compare_what_is_fixed(Spec const& was, Spec const& is, ConfigChange& change) {
    auto const differs = [&change](bool other, std::string what) {
        if (other) change.fixed.push_back(std::move(what));
    };
    differs(was.cluster != is.cluster, "the cluster's name");
    for (std::size_t n = 0; n < 2; ++n) {
        differs(was.nodes[n].name != is.nodes[n].name, "the name of node " + was.nodes[n].name);
        differs(was.nodes[n].links != is.nodes[n].links, "the links of node " + was.nodes[n].name);
    }
    differs(was.quorum_disk != is.quorum_disk, "the quorum disk");
    differs(was.timing != is.timing, "the timing");
}

}  // namespace

// What it depends on belongs to how it was started: it must not be online without what it needs.
bool goes_on_as(ResourceSpec const& was, ResourceSpec const& is) {
    return was.type == is.type && was.attributes == is.attributes && was.depends == is.depends && was.isolate == is.isolate;
}

std::set<std::string> ConfigChange::makes_way() const {
    std::set<std::string> all = dropped;
    all.insert(replaced.begin(), replaced.end());
    return all;
}

std::set<std::string> what_makes_way(Config const& counts, Decision const* acting) {
    if (!acting) return {};
    std::set<std::string> all = acting->making_way;
    if (acting->config && acting->config->hash != counts.hash) all.merge(compare(counts.spec, acting->config->spec).makes_way());
    return all;
}

ConfigChange compare(Spec const& was, Spec const& is) {
    ConfigChange change;
    compare_what_is_fixed(was, is, change);
    change.other_networks = was.networks != is.networks;
    change.other_watchdog = was.watchdog != is.watchdog;
    auto const before = places(was), after = places(is);
    for (auto const& [name, old] : before) {
        auto const found = after.find(name);
        if (found == after.end()) change.dropped.insert(name);
        else if (found->second.group->name != old.group->name || !goes_on_as(*old.resource, *found->second.resource)) change.replaced.insert(name);
        else if (without_line(*old.resource) != without_line(*found->second.resource)) change.adjusted.insert(name);
    }
    for (auto const& [name, place] : after)
        if (!before.contains(name)) change.added.insert(name);
    for (auto const* spec : {&was, &is})
        for (auto const& g : spec->groups) {
            GroupSpec const *const old = find_group(was, g.name), *const now = find_group(is, g.name);
            if (!old || !now || !same_group(*old, *now)) change.groups.insert(g.name);
        }
    return change;
}

}  // namespace clusterd
