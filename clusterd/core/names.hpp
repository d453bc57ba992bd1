// Looking things up by name in a spec, and the words for enumerations. Used by everything above membership.
#pragma once

#include "clusterd/core/spec.hpp"
#include "clusterd/core/status.hpp"

#include <functional>

namespace clusterd {

struct Found {
    GroupSpec const* group = nullptr;
    ResourceSpec const* resource = nullptr;  // null: the name is the group's own
};

Found find_by_name(Spec const& spec, std::string const& name);
GroupSpec const* find_group(Spec const& spec, std::string const& name);
std::optional<NodeIndex> find_node(Spec const& spec, std::string const& name);
std::string const& name_of(Spec const& spec, NodeIndex node);

// Is the dependency fulfilled, given which resources count as there?
bool fulfilled(Dependency const& d, std::function<bool(std::string const&)> const& there);
// Everything `resource` needs, itself included; everything that can't be without it, itself included.
std::set<std::string> with_dependencies(GroupSpec const& group, std::string const& resource);
std::set<std::string> with_dependents(GroupSpec const& group, std::string const& resource);

std::string listed(auto const& names) {  // for people: "a, b"
    std::string all;
    for (auto const& name : names) all += (all.empty() ? "" : ", ") + name;
    return all;
}

// An operator's own words for why, to be appended to what is told of a command; empty where none were given.
std::string because(Command const& command);

char const* word(ResourceState s);
char const* word(Verb v);

}  // namespace clusterd
