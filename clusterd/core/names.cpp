#include "clusterd/core/names.hpp"

#include <algorithm>

namespace clusterd {

GroupSpec const* find_group(Spec const& spec, std::string const& name) {
    for (auto const& g : spec.groups)
        if (g.name == name) return &g;
    return nullptr;
}

Found find_by_name(Spec const& spec, std::string const& name) {
    for (auto const& g : spec.groups) {
        if (g.name == name) return {&g, nullptr};
        for (auto const& r : g.resources)
            if (r.name == name) return {&g, &r};
    }
    return {};
}

std::optional<NodeIndex> find_node(Spec const& spec, std::string const& name) {
    for (auto n : {NodeIndex::a, NodeIndex::b})
        if (spec.nodes[at(n)].name == name) return n;
    return std::nullopt;
}

std::string const& name_of(Spec const& spec, NodeIndex node) { return spec.nodes[at(node)].name; }

bool fulfilled(Dependency const& d, std::function<bool(std::string const&)> const& there) {
    switch (d.kind) {
    case Dependency::Kind::name: return there(d.name);
    case Dependency::Kind::all: return std::all_of(d.children.begin(), d.children.end(), [&](auto const& c) { return fulfilled(c, there); });
    case Dependency::Kind::any: return std::any_of(d.children.begin(), d.children.end(), [&](auto const& c) { return fulfilled(c, there); });
    }
    return false;
}

namespace {
void collect_names(Dependency const& d, std::set<std::string>& into) {
    if (d.kind == Dependency::Kind::name) into.insert(d.name);
    for (auto const& c : d.children) collect_names(c, into);
}
}  // namespace

std::set<std::string> with_dependencies(GroupSpec const& group, std::string const& resource) {
    std::set<std::string> all{resource};
    for (bool grew = true; grew;) {
        auto const before = all.size();
        for (auto const& r : group.resources)
            if (all.contains(r.name)) collect_names(r.depends, all);
        grew = all.size() > before;
    }
    return all;
}

std::set<std::string> with_dependents(GroupSpec const& group, std::string const& resource) {
    std::set<std::string> gone{resource};
    for (bool grew = true; grew;) {
        auto const before = gone.size();
        for (auto const& r : group.resources)
            if (!gone.contains(r.name) && !fulfilled(r.depends, [&](std::string const& n) { return !gone.contains(n); })) gone.insert(r.name);
        grew = gone.size() > before;
    }
    return gone;
}

std::string because(Command const& c) { return c.reason.empty() ? std::string() : " (" + c.reason + ")"; }

char const* word(ResourceState s) {
    switch (s) {
    case ResourceState::offline: return "offline";
    case ResourceState::online_pending: return "online-pending";
    case ResourceState::online: return "online";
    case ResourceState::offline_pending: return "offline-pending";
    case ResourceState::failed: return "failed";
    case ResourceState::unknown: return "unknown";
    }
    return "unknown";
}

char const* word(Verb v) {
    switch (v) {
    case Verb::online: return "online";
    case Verb::offline: return "offline";
    case Verb::move: return "move";
    case Verb::fail: return "fail";
    case Verb::reset: return "reset";
    case Verb::pause: return "pause";
    case Verb::resume: return "resume";
    case Verb::apply: return "apply";
    case Verb::maintenance: return "maintenance";
    case Verb::confirm: return "confirm";
    }
    return "";
}

}  // namespace clusterd
