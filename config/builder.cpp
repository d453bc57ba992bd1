// See builder.hpp: the elements, one function each.
#include "config/builder.hpp"

#include "config/depends.hpp"
#include "config/nearest.hpp"
#include "config/secrets.hpp"
#include "config/shares.hpp"

#include <algorithm>

namespace clusterd {

namespace {

std::string list_of(std::vector<std::string_view> const& names) {
    std::string text;
    for (std::string_view name : names) text += (text.empty() ? "<" : ", <") + std::string(name) + ">";
    return text;
}

std::vector<std::string_view> type_names() {
    std::vector<std::string_view> names;
    for (TypeInfo const& type : resource_types()) names.push_back(type.name);
    return names;
}

bool contains(std::vector<std::string_view> const& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Spec SpecBuilder::build(Element const& root) {
    if (std::string_view(root.Name()) != "cluster") {
        problems_.error(root.GetLineNum(),
                        "<" + std::string(root.Name()) + ">: a configuration is one element <cluster name=\"...\">");
        return {};
    }
    ElementAttributes const given(root, {&element("cluster").attributes}, problems_);
    spec_.cluster = given.text("name");
    spec_.version = static_cast<std::uint64_t>(given.integer("version", 1));
    children(root, {{"node", [&](Element const& e) { node(e); }},
                    {"quorum", [&](Element const& e) { quorum(e); }},
                    {"watchdog", [&](Element const& e) { watchdog(e); }},
                    {"timing", [&](Element const& e) { timing(e); }},
                    {"network", [&](Element const& e) { network(e); }},
                    {"group", [&](Element const& e) { group(e); }}});
    check_nodes(root.GetLineNum());
    check_timing();
    if (!spec_.watchdog.device.empty() && spec_.watchdog.timeout.count() == 0)  // not before the guard's own enforcement has had its time
        spec_.watchdog.timeout = std::chrono::ceil<std::chrono::seconds>(spec_.timing.permit + std::chrono::seconds(1));
    check_references();
    check_depends();
    check_disks();
    check_possible();
    check_addresses();
    check_share_depends();
    check_network_names();
    check_routes();
    if (spec_.quorum_disk == std::nullopt && quorum_line_ == 0) {
        problems_.warning(
            root.GetLineNum(),
            "<cluster>: there is no <quorum disk=\"...\"/>; without it no node takes over by itself when the other is lost");
    }
    return std::move(spec_);
}

void SpecBuilder::children(Element const& of, Children const& known, std::function<void(Element const&)> const& other) {
    for (auto const* child = of.FirstChild(); child != nullptr; child = child->NextSibling()) {
        if (child->ToText() != nullptr) {
            problems_.error(child->GetLineNum(), describe(of) + ": text isn't read; values stand in attributes");
        }
        Element const* const inner = child->ToElement();
        if (inner == nullptr) continue;
        auto const row = std::find_if(known.begin(), known.end(), [&](auto const& k) { return k.first == inner->Name(); });
        if (row != known.end()) {
            row->second(*inner);
        } else if (other) {
            other(*inner);
        } else {
            std::vector<std::string_view> names;
            for (auto const& k : known) names.push_back(k.first);
            unknown_child(*inner, of, std::move(names));
        }
    }
}

void SpecBuilder::unknown_child(Element const& child, Element const& of, std::vector<std::string_view> known) {
    std::string_view const name = child.Name();
    std::string message = describe(of) + ": unknown element " + describe(child);
    std::string const near = problems_.full() ? std::string() : did_you_mean(name, known);
    if (std::string_view(of.Name()) == "cluster" && contains(planned_elements(), name)) {
        message = describe(of) + ": <" + std::string(name) + "> is known to the design, but not in this version; take it out";
    } else if (find_type(name) != nullptr || contains(planned_types(), name)) {
        message += "; resources stand in a <group>";
    } else if (auto const& all = elements(); near.empty() && std::any_of(all.begin(), all.end(), [&](auto const& e) {
                                                 return e.name == name && name != "resource";
                                             })) {
        message += "; it stands in " + std::string(element(name).parents);
    } else {
        message += near + (near.empty() ? "; " : " ") + (known.empty() ? "it has no elements" : "known are " + list_of(known));
    }
    problems_.error(child.GetLineNum(), std::move(message));
}

bool SpecBuilder::once(Element const& e, int& seen_at) {
    if (seen_at == 0) {
        seen_at = e.GetLineNum();
        return true;
    }
    problems_.error(e.GetLineNum(), describe(e) + ": given twice; the first is at " + at(seen_at));
    return false;
}

void SpecBuilder::node(Element const& e) {
    ElementAttributes const given(e, {&element("node").attributes}, problems_);
    NodeSpec made{given.text("name"), {}};
    claim(made.name, "node", given.line("name"));
    children(e, {{"link", [&](Element const& l) { link(l, made); }}});
    if (e.FirstChildElement("link") == nullptr) {
        problems_.error(e.GetLineNum(), given.what() + ": no <link address=\"...\"/>; a node has at least one");
    } else if (made.links.size() > config_max_links) {
        problems_.error(e.GetLineNum(), given.what() + ": more than " + std::to_string(config_max_links) + " links");
    }
    nodes_.push_back(std::move(made));
    node_lines_.push_back(e.GetLineNum());
}

void SpecBuilder::link(Element const& e, NodeSpec& to) {
    ElementAttributes const given(e, {&element("link").attributes}, problems_);
    children(e, {});
    auto const port = static_cast<std::uint16_t>(given.integer("port", 7780));
    auto const address = parse_address(given.text("address"));
    // A bad address is told already; the link still counts, so that nothing is said about their number.
    if (address)
        link_addresses_.push_back(
            {*address, port, given.what() + ": attribute 'address'", "link of node " + quoted(to.name), given.line("address")});
    to.links.push_back({address ? format_address(*address) : std::string(), port});
}

void SpecBuilder::quorum(Element const& e) {
    if (!once(e, quorum_line_)) return;
    ElementAttributes const given(e, {&element("quorum").attributes}, problems_);
    children(e, {});
    if (given.given("disk")) spec_.quorum_disk = given.text("disk");
}

void SpecBuilder::watchdog(Element const& e) {
    if (!once(e, watchdog_line_)) return;
    ElementAttributes const given(e, {&element("watchdog").attributes}, problems_);
    children(e, {});
    spec_.watchdog.device = given.text("device");
    if (given.given("timeout")) spec_.watchdog.timeout = given.duration("timeout");
    if (spec_.watchdog.device.find(' ') != std::string::npos)
        problems_.error(given.line("device"), given.what() + ": attribute 'device': a path without blanks is expected");
    if (spec_.watchdog.timeout.count() % Duration(std::chrono::seconds(1)).count() != 0)
        problems_.error(given.line("timeout"), given.what() + ": attribute 'timeout': watchdogs count whole seconds; " + format_duration(spec_.watchdog.timeout) + " are given");
}

void SpecBuilder::timing(Element const& e) {
    if (!once(e, timing_line_)) return;
    ElementAttributes const given(e, {&element("timing").attributes}, problems_);
    children(e, {});
    for (Timing const& profile : timing_profiles()) {
        if (profile.profile == given.text("profile")) spec_.timing = profile;
    }
    spec_.timing.heartbeat = given.duration("heartbeat", spec_.timing.heartbeat);
    spec_.timing.suspect = given.duration("suspect", spec_.timing.suspect);
    spec_.timing.permit = given.duration("permit", spec_.timing.permit);
    spec_.timing.kill = given.duration("kill", spec_.timing.kill);
}

void SpecBuilder::network(Element const& e) {
    ElementAttributes const given(e, {&element("network").attributes}, problems_);
    children(e, {});
    NetworkSpec made{given.text("name"), given.text("interface"), {}};
    if (!made.name.empty() && !network_names_.insert(made.name).second) {
        problems_.error(given.line("name"), given.what() + ": another network has this name; names of networks are unique");
    }
    for (std::string const& target : split_blanks(given.text("ping"))) {
        auto const address = parse_address(target);
        if (!address) continue;
        made.ping.push_back(format_address(*address));
        ping_addresses_.push_back({*address, 0, given.what() + ": attribute 'ping'", {}, given.line("ping")});
    }
    spec_.networks.push_back(std::move(made));
}

void SpecBuilder::group(Element const& e) {
    ElementAttributes const given(e, {&element("group").attributes}, problems_);
    GroupSpec made;
    made.name = given.text("name");
    made.line = e.GetLineNum();
    claim(made.name, "group", given.line("name"));
    if (auto const failback = parse_failback(given.text("failback"))) made.failback = *failback;
    made.failover_limit = static_cast<int>(given.integer("failover-limit"));
    made.failover_period = given.duration("failover-period");
    std::string const start = given.text("start");
    made.start = start == "manual"   ? GroupSpec::Start::manual
                 : start == "as-was" ? GroupSpec::Start::as_was
                                     : GroupSpec::Start::automatic;
    made.priority = static_cast<int>(given.integer("priority"));
    made.apart = given.text("apart");
    made.after = given.text("after");
    std::size_t const index = spec_.groups.size();
    if (given.given("preferred"))
        node_references_.push_back({given.what(), "preferred", given.text("preferred"), given.line("preferred"), index, {}});
    for (char const* attribute : {"apart", "after"})
        if (given.given(attribute)) group_references_.push_back({given.what(), attribute, given.text(attribute), given.line(attribute), index, {}});
    if (index == config_max_groups)
        problems_.error(e.GetLineNum(), given.what() + ": more than " + std::to_string(config_max_groups) + " groups");
    children(e, {}, [&](Element const& r) { resource(r, made); });
    if (e.FirstChildElement() == nullptr)
        problems_.warning(e.GetLineNum(), given.what() + ": a group without resources does nothing");
    spec_.groups.push_back(std::move(made));
}

void SpecBuilder::unknown_resource(Element const& e, GroupSpec const& of) {
    // Its name is taken all the same, so that what refers to it isn't told to be wrong.
    char const* const name = e.Attribute("name");
    if (name != nullptr && !check_name(name)) {
        claim(name, "resource", e.GetLineNum());
        unknown_resources_.insert({of.name, name});
    }
    std::string_view const type = e.Name();
    auto const& all = elements();
    bool const other = std::any_of(all.begin(), all.end(), [&](auto const& i) { return i.name == type && type != "resource"; });
    std::string message = "<group name=" + quoted(of.name) + ">: ";
    if (contains(planned_types(), type)) {
        message += describe(e) + ": the type " + std::string(type) +
                   " is known to the design, but not in this version; known are " + list_of(type_names());
    } else if (other) {
        message += "<" + std::string(type) + "> doesn't stand in a group; it stands in " + std::string(element(type).parents);
    } else {
        std::vector<std::string_view> near = type_names();
        near.insert(near.end(), planned_types().begin(), planned_types().end());
        std::string const hint = problems_.full() ? std::string() : did_you_mean(type, near);
        message +=
            "unknown resource type " + describe(e) + hint + (hint.empty() ? "; " : " ") + "known are " + list_of(type_names());
    }
    problems_.error(e.GetLineNum(), std::move(message));
}

void SpecBuilder::resource(Element const& e, GroupSpec& of) {
    TypeInfo const* const type = find_type(e.Name());
    if (++resources_ > config_max_resources) {
        if (!resources_refused_)
            problems_.error(e.GetLineNum(), describe(e) + ": more than " + std::to_string(config_max_resources) + " resources");
        resources_refused_ = true;
        return;
    }
    if (type == nullptr) return unknown_resource(e, of);
    ElementAttributes const given(e, {&element("resource").attributes, &type->attributes}, problems_);
    ResourceSpec made;
    made.name = given.text("name");
    made.type = type->name;
    made.line = e.GetLineNum();
    claim(made.name, "resource", given.line("name"));
    made.attributes = given.of(type->attributes);
    made.affects_group = given.yes("affects-group");
    made.retry_after = given.duration("retry-after");
    made.online_timeout = given.duration("online-timeout");
    made.offline_timeout = given.duration("offline-timeout");
    made.isolate = given.yes("isolate");
    std::size_t const group_index = spec_.groups.size(), index = of.resources.size();
    if (given.given("depends")) {
        made.depends = *parse_depends(given.text("depends"));
        depends_.push_back({given.what(), "depends", {}, given.line("depends"), group_index, index});
    }
    if (given.given("possible")) {
        made.possible = {false, false};
        for (std::string const& name : split_blanks(given.text("possible"))) {
            node_references_.push_back({given.what(), "possible", name, given.line("possible"), group_index, index});
        }
    }
    if (type->name == "ip-address") {
        if (auto const prefix = parse_address_prefix(given.text("address"))) {
            ip_addresses_.push_back(
                {prefix->address, 0, given.what() + ": attribute 'address'", "address of " + given.what(), given.line("address")});
        }
    }
    if (type->name == "service" && given.given("unit")) {
        auto const [first, fresh] = units_.emplace(given.text("unit"), given.what() + " at " + at(given.line("unit")));
        if (!fresh) problems_.error(given.line("unit"), given.what() + ": attribute 'unit': " + given.text("unit") + " is also the unit of " + first->second);
    }
    if (type->name == "filesystem") check_filesystem(given);
    if (type->name == "file-share") check_share(given, made);
    if (type->name == "print-queue") check_print_queue(given, made);
    int restart_line = 0;
    children(e, {{"health", [&](Element const& h) { health(h, made); }},
                 {"restart", [&](Element const& r) { if (once(r, restart_line)) restart(r, made); }},
                 {"param", [&](Element const& p) { param(p, made); }}});
    of.resources.push_back(std::move(made));
}

void SpecBuilder::health(Element const& e, ResourceSpec& of) {
    char const* const type = e.Attribute("type");
    TypeInfo const* const agent = type != nullptr ? find_agent(type) : nullptr;
    if (agent == nullptr) {
        // Without its agent nothing can be said about its other attributes.
        std::vector<std::string_view> const& names = element("health").attributes.front().choices;
        std::string known;
        for (std::string_view name : names) known += (known.empty() ? "" : ", ") + std::string(name);
        std::string const what = "<health> of resource " + quoted(of.name) + ": attribute 'type'";
        problems_.error(e.GetLineNum(), type == nullptr ? what + " is missing; it is one of " + known
                                                        : what + ": " + quoted(type) + " isn't an agent" +
                                                              did_you_mean(type, names) + "; known are " + known);
        return;
    }
    ElementAttributes const given(e, {&element("health").attributes, &agent->attributes}, problems_);
    children(e, {});
    std::string const what = given.what() + " of resource " + quoted(of.name);
    HealthSpec made;
    made.type = agent->name;
    made.attributes = given.of(agent->attributes);
    made.every = given.duration("every");
    made.timeout = given.duration("timeout");
    made.failures = static_cast<int>(given.integer("failures"));
    made.unknown_failures = static_cast<int>(given.integer("unknown-failures"));
    if (agent->name == "process" && of.type != "process") {
        problems_.error(e.GetLineNum(),
                        what + ": the agent process counts a <process>'s processes; for <" + of.type + "> use tcp, http or exec");
    }
    if (given.given("max") && given.integer("max") < given.integer("min")) {
        problems_.error(given.line("max"), what + ": attribute 'max' is less than min (" + given.text("min") + ")");
    }
    if (agent->name == "http" && given.given("user") != given.given("password-file")) {
        problems_.error(e.GetLineNum(), what + ": attributes 'user' and 'password-file' go together");
    }
    if (agent->name == "redis" && given.given("user") && !given.given("password-file")) {  // a password alone is the default user's
        problems_.error(e.GetLineNum(), what + ": attribute 'user' needs 'password-file'");
    }
    if (agent->name == "smb" && given.given("user") != given.given("password-file")) {
        problems_.error(e.GetLineNum(), what + ": attributes 'user' and 'password-file' go together");
    }
    if (agent->name == "smb" && given.given("user") && !given.given("share")) {
        problems_.error(given.line("user"), what + ": attribute 'user' needs 'share': without one nobody logs in");
    }
    if (agent->name == "smb" && given.text("user").find('%') != std::string::npos) {
        problems_.error(given.line("user"), what + ": attribute 'user': no password stands here; write it to a file (root's, mode 0600) on each node and name it as password-file");
    }
    if (agent->name == "smb" && given.given("share")) {
        if (auto const why = why_no_share({{"protocol", "smb"}, {"share", given.text("share")}}, "share"))
            problems_.error(given.line("share"), what + ": attribute 'share': " + *why);
    }
    if (agent->name == "postgres" && !given.given("user")) {
        for (char const* const name : {"password-file", "database", "query"})
            if (given.given(name)) problems_.error(given.line(name), what + ": attribute '" + name + "' needs 'user'");
    }
    if (agent->name == "certificate" && given.given("url") && !given.text("url").starts_with("https://")) {
        problems_.error(given.line("url"), what + ": attribute 'url': a certificate is looked for, so it starts with https://");
    }
    of.health.push_back(std::move(made));
}

// Kept beside the resource's own attributes: param:NAME and param-file:NAME (resources/ocf.hpp).
void SpecBuilder::param(Element const& e, ResourceSpec& of) {
    ElementAttributes const given(e, {&element("param").attributes}, problems_);
    children(e, {});
    std::string const name = given.text("name"), what = "<param name=" + quoted(name) + "> of resource " + quoted(of.name);
    if (of.type != "ocf") return problems_.error(e.GetLineNum(), what + ": only <ocf> has parameters");
    bool const plain = !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; });
    if (!plain && given.given("name")) return problems_.error(given.line("name"), what + ": attribute 'name': letters, digits, '_' and '-' are expected");
    if (given.given("value") == given.given("value-file")) return problems_.error(e.GetLineNum(), what + ": either 'value' or 'value-file' is expected");
    if (given.given("value") && names_a_secret(name))
        return problems_.error(given.line("value"), what + ": a secret doesn't stand in the configuration; write it to a file (root's, mode 0600) on each node and name it as value-file");
    bool const fresh = !of.attributes.contains("param:" + name) && !of.attributes.contains("param-file:" + name);
    if (!fresh) return problems_.error(e.GetLineNum(), what + " is given twice");
    of.attributes[(given.given("value") ? "param:" : "param-file:") + name] = given.given("value") ? given.text("value") : given.text("value-file");
}

void SpecBuilder::restart(Element const& e, ResourceSpec& of) {
    ElementAttributes const given(e, {&element("restart").attributes}, problems_);
    children(e, {});
    of.restart.limit = static_cast<int>(given.integer("limit"));
    of.restart.period = given.duration("period");
    of.restart.delay = given.duration("delay");
}

}  // namespace clusterd
