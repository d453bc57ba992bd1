// See builder.hpp: what no single element can tell. Names, references, cycles, addresses, timing.
#include "config/builder.hpp"
#include "config/depends.hpp"
#include "config/nearest.hpp"

#include <algorithm>
#include <tuple>

namespace clusterd {

namespace {

std::vector<std::string_view> views(std::vector<std::string> const& names) {
    return {names.begin(), names.end()};
}

std::string joined(std::vector<std::string> const& names, char const* between) {
    static constexpr std::size_t most = 12;
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0) text += between;
        if (i == most && names.size() > most + 1) {
            text += "... (" + std::to_string(names.size() - most - 1) + " more)" + between + names.back();
            break;
        }
        text += names[i];
    }
    return text;
}

}  // namespace

void SpecBuilder::claim(std::string const& name, std::string const& what, int line) {
    if (name.empty()) return;  // told already
    auto const [found, fresh] = names_.insert({name, Named{what, line}});
    if (fresh) return;
    problems_.error(line, "<" + what + " name=" + quoted(name) + ">: the name is taken by a " + found->second.what + " at " +
                              at(found->second.line) + "; names are unique over nodes, groups and resources");
}

std::optional<NodeIndex> SpecBuilder::node_of(std::string const& name) const {
    for (std::size_t i = 0; i < nodes_.size() && i < 2; ++i) {
        if (nodes_[i].name == name) return i == 0 ? NodeIndex::a : NodeIndex::b;
    }
    return std::nullopt;
}

void SpecBuilder::check_filesystem(ElementAttributes const& given) {
    if (!given.written("protection"))
        problems_.error(given.line("name"), given.what() +
                                                ": nothing but the permit would end its writes on a node that goes dark: there is neither a disk "
                                                "reservation, a fence device nor a watchdog; if that is to be enough, say protection=\"permit\"");
    std::string point = given.text("mount");
    while (point.size() > 1 && point.back() == '/') point.pop_back();
    bool const plain = std::none_of(point.begin(), point.end(), [](char c) { return c <= ' ' || c == '\\' || c == 0x7f; });
    if (given.given("mount") && (!plain || point == "/" || point.find("/..") != std::string::npos))
        problems_.error(given.line("mount"), given.what() + ": attribute 'mount': " + quoted(point) +
                                                 " can't be one; a directory without blanks, backslashes and .. is needed");
    for (auto const& [attribute, value, seen] : {std::tuple{"device", given.text("device"), &devices_}, {"mount", point, &points_}}) {
        if (!given.given(attribute)) continue;
        auto const [other, fresh] = seen->insert({value, Named{given.what(), given.line(attribute)}});
        if (!fresh)
            problems_.error(given.line(attribute), given.what() + ": attribute '" + attribute + "': " + quoted(value) + " is also that of " +
                                                       other->second.what + " at " + at(other->second.line));
    }
}

// What is said twice of one device: by its disk, and by the filesystem on it.
void SpecBuilder::check_disks() {
    struct Disk {
        std::string group, name;
        int line;
    };
    std::map<std::string, Disk> disks;
    auto const device_of = [](ResourceSpec const& r) {
        auto const it = r.attributes.find("device");
        return it == r.attributes.end() ? std::string() : it->second;
    };
    auto const what = [](ResourceSpec const& r) { return "<" + r.type + " name=" + quoted(r.name) + ">: "; };
    for (GroupSpec const& g : spec_.groups) {
        for (ResourceSpec const& r : g.resources) {
            std::string const device = device_of(r);
            if (device.empty() || (r.type != "disk" && r.type != "filesystem")) continue;
            if (device == spec_.quorum_disk) problems_.error(r.line, what(r) + device + " is the quorum disk, which is for the cluster's own use");
            if (r.type != "disk") continue;
            auto const [other, fresh] = disks.insert({device, Disk{g.name, r.name, r.line}});
            if (!fresh) problems_.error(r.line, what(r) + device + " is also that of resource " + quoted(other->second.name) + " at " + at(other->second.line));
        }
    }
    for (GroupSpec const& g : spec_.groups) {
        for (ResourceSpec const& r : g.resources) {
            auto const disk = r.type == "filesystem" ? disks.find(device_of(r)) : disks.end();
            if (disk == disks.end()) continue;
            Disk const& on = disk->second;
            auto const depends = names_in(r.depends);
            if (on.group != g.name)
                problems_.error(r.line, what(r) + "its disk " + quoted(on.name) + " at " + at(on.line) + " is in another group; a disk and what is on it move together");
            else if (std::find(depends.begin(), depends.end(), on.name) == depends.end())
                problems_.warning(r.line, what(r) + "it is on the disk " + quoted(on.name) + " and doesn't depend on it; say depends=" + quoted(on.name));
        }
    }
}

void SpecBuilder::check_nodes(int line) {
    if (nodes_.size() != 2) {
        int const where = nodes_.size() > 2 ? node_lines_[2] : line;
        problems_.error(where, "<cluster>: exactly two <node> are needed, not " + std::to_string(nodes_.size()));
    }
    check_link_addresses();
    if (nodes_.size() < 2) return;
    spec_.nodes = {nodes_[0], nodes_[1]};
    auto const& [a, b] = spec_.nodes;
    if (a.links.size() != b.links.size()) {
        problems_.error(node_lines_[1], "<node name=" + quoted(b.name) + ">: " + std::to_string(b.links.size()) +
                                            " links, and node " + quoted(a.name) + " has " + std::to_string(a.links.size()) +
                                            "; the first of one talks to the first of the other, and so on");
        return;
    }
    for (std::size_t i = 0; i < a.links.size(); ++i) {
        auto const mine = parse_address(a.links[i].address), theirs = parse_address(b.links[i].address);
        if (mine && theirs && mine->v6 != theirs->v6) {
            problems_.error(node_lines_[1], "<node name=" + quoted(b.name) + ">: link " + std::to_string(i + 1) + " (" +
                                                b.links[i].address + ") can't talk to " + a.links[i].address + " of node " +
                                                quoted(a.name) + "; both are IPv4 or both IPv6");
        }
    }
}

void SpecBuilder::check_link_addresses() {
    // Two nodes on one machine may share an address where their ports differ.
    std::map<std::pair<IpAddress, std::uint16_t>, AddressUse const*> seen;
    for (AddressUse const& use : link_addresses_) {
        auto const [first, fresh] = seen.insert({{use.address, use.port}, &use});
        if (fresh) continue;
        problems_.error(use.line, use.from + ": " + format_address(use.address) + " with port " + std::to_string(use.port) +
                                      " is taken by a " + first->second->what + " at " + at(first->second->line));
    }
}

void SpecBuilder::check_timing() {
    if (timing_line_ == 0) return;
    Timing const& t = spec_.timing;
    auto const text = [](Duration d) { return format_duration(d); };
    if (t.suspect <= t.heartbeat) {
        problems_.error(timing_line_,
                        "<timing>: suspect (" + text(t.suspect) + ") must be more than heartbeat (" + text(t.heartbeat) +
                            "), else the peer is suspected between any two heartbeats; three times as much is wanted");
    } else if (t.suspect < 3 * t.heartbeat) {
        problems_.warning(timing_line_, "<timing>: suspect (" + text(t.suspect) + ") is less than three heartbeats (" +
                                            text(t.heartbeat) + "); one lost packet may make the peer suspected");
    }
    Duration const required = t.suspect + t.heartbeat + t.kill;
    Duration const wanted = 2 * t.suspect + t.kill;
    if (required >= t.permit) {
        problems_.error(timing_line_, "<timing>: suspect + heartbeat + kill = " + text(t.suspect) + " + " + text(t.heartbeat) +
                                          " + " + text(t.kill) + " = " + text(required) + " must be less than permit (" +
                                          text(t.permit) +
                                          "), and leave room for two disk cycles; raise permit or lower the others");
    } else if (wanted >= t.permit) {
        problems_.warning(timing_line_, "<timing>: 2 suspect + kill = " + text(wanted) + " should be less than permit (" +
                                            text(t.permit) + "); now a second loss of heartbeats in a row may cost the permit");
    }
}

void SpecBuilder::check_references() {
    std::vector<std::string> names;
    for (NodeSpec const& n : nodes_) names.push_back(n.name);
    for (Reference const& r : node_references_) {
        bool const known = std::find(names.begin(), names.end(), r.name) != names.end();
        if (!known) {
            std::string const near = problems_.full() ? std::string() : did_you_mean(r.name, views(names));
            problems_.error(r.line, r.from + ": attribute '" + r.attribute + "': " + quoted(r.name) + " isn't a node" + near +
                                        (near.empty() ? "; " : " ") + "the nodes are " + joined(names, ", "));
        }
        // A node that doesn't exist is told once: to the rules that follow it is as if any were allowed.
        GroupSpec& group = spec_.groups[r.group];
        auto const index = node_of(r.name);
        if (!r.resource)
            group.preferred = index;
        else if (index)
            group.resources[*r.resource].possible[clusterd::at(*index)] = true;
        else
            group.resources[*r.resource].possible = {true, true};
    }
    check_group_references();
}

void SpecBuilder::check_group_references() {
    std::vector<std::string> names;
    for (GroupSpec const& g : spec_.groups) names.push_back(g.name);
    std::set<std::string> const known(names.begin(), names.end());
    std::map<std::string, std::vector<std::string>> after;
    std::map<std::string, int> lines;
    for (Reference const& r : group_references_) {
        std::string const place = r.from + ": attribute '" + r.attribute + "': ";
        if (known.count(r.name) == 0) {
            problems_.error(
                r.line, place + quoted(r.name) + " isn't a group" + (problems_.full() ? "" : did_you_mean(r.name, views(names))));
        } else if (r.name == spec_.groups[r.group].name) {
            problems_.error(r.line, place + "a group can't name itself");
        } else if (r.attribute == "after") {
            after[spec_.groups[r.group].name].push_back(r.name);
            lines[spec_.groups[r.group].name] = r.line;
        } else {
            GroupSpec const& g = spec_.groups[r.group];
            auto const to = std::find_if(spec_.groups.begin(), spec_.groups.end(), [&](GroupSpec const& h) { return h.name == r.name; });
            if (g.preferred && to->preferred == g.preferred)
                problems_.warning(r.line, place + "both groups prefer " + spec_.nodes[clusterd::at(*g.preferred)].name + "; the one that is placed second starts on the other node");
        }
    }
    auto const cycle = find_cycle(after);
    if (!cycle.empty()) {
        problems_.error(lines[cycle.front()],
                        "<group name=" + quoted(cycle.front()) + ">: attribute 'after' goes in a circle: " + joined(cycle, " -> "));
    }
}

void SpecBuilder::check_depends() {
    std::map<std::size_t, std::map<std::string, std::vector<std::string>>> graphs;
    std::map<std::size_t, std::pair<std::vector<std::string>, std::set<std::string>>> members;
    for (Reference const& r : depends_) {
        GroupSpec const& group = spec_.groups[r.group];
        ResourceSpec const& resource = group.resources[*r.resource];
        auto& [names, known] = members[r.group];
        if (names.empty()) {
            for (ResourceSpec const& member : group.resources) names.push_back(member.name);
            known.insert(names.begin(), names.end());
        }
        std::string const place = r.from + ": attribute 'depends': ";
        for (std::string const& name : names_in(resource.depends)) {
            if (name == resource.name) {
                problems_.error(r.line, place + "a resource can't depend on itself");
            } else if (known.count(name) != 0) {
                graphs[r.group][resource.name].push_back(name);
            } else if (unknown_resources_.count({group.name, name}) == 0) {
                auto const elsewhere = names_.find(name);
                std::string why = " isn't a resource of group " + quoted(group.name);
                if (elsewhere == names_.end())
                    why += problems_.full() ? "" : did_you_mean(name, views(names));
                else if (elsewhere->second.what != "resource")
                    why += " but a " + elsewhere->second.what;
                else
                    why += "; it is in another group, and dependencies stay within one";
                problems_.error(r.line, place + quoted(name) + why);
            }
        }
    }
    for (auto const& [index, graph] : graphs) check_cycle(spec_.groups[index].name, graph);
}

void SpecBuilder::check_cycle(std::string const& group, std::map<std::string, std::vector<std::string>> const& graph) {
    auto const cycle = find_cycle(graph);
    if (cycle.empty()) return;
    int line = 0;
    for (Reference const& r : depends_) {
        GroupSpec const& g = spec_.groups[r.group];
        if (g.name == group && g.resources[*r.resource].name == cycle.front()) line = r.line;
    }
    problems_.error(line, "<group name=" + quoted(group) +
                              ">: attribute 'depends' of its resources goes in a circle: " + joined(cycle, " -> "));
}

void SpecBuilder::check_possible() {
    for (GroupSpec& group : spec_.groups) {
        for (ResourceSpec const& resource : group.resources) {
            for (std::size_t i = 0; i < 2; ++i) group.possible[i] = group.possible[i] && resource.possible[i];
        }
        std::string const what = "<group name=" + quoted(group.name) + ">: ";
        if (!group.possible[0] && !group.possible[1]) {
            problems_.error(group.line, what + "no node is possible for all of its resources; look at their attribute 'possible'");
        } else if (group.preferred && !group.possible[clusterd::at(*group.preferred)]) {
            problems_.error(group.line, what + "attribute 'preferred': node " +
                                            quoted(nodes_[clusterd::at(*group.preferred)].name) +
                                            " isn't possible for all of its resources");
        }
    }
}

void SpecBuilder::check_addresses() {
    std::map<IpAddress, AddressUse const*> links, addresses;
    for (AddressUse const& use : link_addresses_) links.insert({use.address, &use});
    for (AddressUse const& use : ip_addresses_) {
        auto const link = links.find(use.address);
        if (link != links.end()) {
            problems_.error(use.line, use.from + ": " + format_address(use.address) + " is the address of a " + link->second->what +
                                          " at " + at(link->second->line) + "; a cluster address belongs to no node");
        }
        auto const [first, fresh] = addresses.insert({use.address, &use});
        if (!fresh) {
            problems_.error(use.line, use.from + ": " + format_address(use.address) + " is also the " + first->second->what +
                                          " at " + at(first->second->line));
        }
    }
    for (AddressUse const& use : ping_addresses_) {
        auto const own = addresses.find(use.address);
        if (own == addresses.end()) continue;
        problems_.error(use.line, use.from + ": " + format_address(use.address) + " is the " + own->second->what + " at " +
                                      at(own->second->line) + ", which moves; name a router or another machine");
    }
}

}  // namespace clusterd
