// See builder.hpp: what is to be said of <network-name> and <route>, beyond what each attribute may be.
#include "clusterd/core/names.hpp"
#include "config/builder.hpp"

#include <algorithm>

namespace clusterd {

// A name points at the addresses it depends on, where it doesn't say at which; and only one resource has it.
void SpecBuilder::check_network_names() {
    std::map<std::string, Named> names;
    for (GroupSpec& group : spec_.groups) {
        for (ResourceSpec& r : group.resources) {
            if (r.type != "network-name" || !r.attributes.contains("dns-name")) continue;
            std::string const what = "<network-name name=" + quoted(r.name) + ">";
            std::string name = *parse_dns_name(r.attributes.at("dns-name"));
            std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
            auto const [other, fresh] = names.insert({name, Named{what, r.line}});
            if (!fresh) problems_.error(r.line, what + ": the name " + name + " is also that of " + other->second.what + " at " + at(other->second.line));
            if (r.attributes.contains("zone")) {
                std::string const zone = *parse_dns_name(r.attributes.at("zone"));
                bool const within = name.size() > zone.size() && name[name.size() - zone.size() - 1] == '.' &&
                                    std::equal(zone.rbegin(), zone.rend(), name.rbegin(), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
                if (!within && name != zone) problems_.error(r.line, what + ": the name " + name + " isn't in zone " + zone);
            }
            if (r.attributes.contains("address")) continue;
            std::string found;
            std::set<std::string> const needs = with_dependencies(group, r.name);
            for (ResourceSpec const& each : group.resources) {
                if (each.type != "ip-address" || !needs.contains(each.name) || !each.attributes.contains("address")) continue;
                std::string const& address = each.attributes.at("address");
                found += (found.empty() ? "" : " ") + address.substr(0, address.find('/'));
            }
            if (found.empty())
                problems_.error(r.line, what + ": nothing says what it points at; let it depend on an ip-address of its group, or give address=\"...\"");
            else
                r.attributes["address"] = found;
        }
    }
}

void SpecBuilder::check_routes() {
    std::map<std::string, Named> routes;
    for (GroupSpec const& group : spec_.groups) {
        for (ResourceSpec const& r : group.resources) {
            if (r.type != "route" || !r.attributes.contains("destination")) continue;
            std::string const what = "<route name=" + quoted(r.name) + ">";
            auto const text = [&r](char const* name) { return r.attributes.contains(name) ? r.attributes.at(name) : std::string(); };
            IpPrefix const to = *parse_network(text("destination"));
            auto const gateway = parse_gateway(text("gateway")), source = parse_address(text("source"));
            if (!gateway && text("interface").empty()) problems_.error(r.line, what + ": it leads nowhere: attribute 'gateway', 'interface' or both are needed");
            if (gateway && gateway->v6 && gateway->bytes[0] == 0xfe && (gateway->bytes[1] & 0xc0) == 0x80 && text("interface").empty())
                problems_.error(r.line, what + ": attribute 'gateway': a link-local address needs attribute 'interface', too");
            for (auto const& [name, address] : {std::pair{"gateway", &gateway}, {"source", &source}})
                if (*address && (*address)->v6 != to.address.v6)
                    problems_.error(r.line, what + ": attribute '" + name + "': " + text(name) + " and " + text("destination") + " are of two families");
            std::string const metric = text("metric").empty() ? (to.address.v6 ? "1024" : "0") : text("metric");
            std::string const key = format_address(to.address) + "/" + std::to_string(to.length) + " with metric " + metric + " in table " + (text("table").empty() ? "254" : text("table"));
            auto const [other, fresh] = routes.insert({key, Named{what, r.line}});
            if (!fresh) problems_.error(r.line, what + ": the route to " + key + " is also that of " + other->second.what + " at " + at(other->second.line));
        }
    }
}

}  // namespace clusterd
