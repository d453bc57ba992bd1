// See change_text.hpp.
#include "clusterd/clusterctl/change_text.hpp"

#include "clusterd/core/names.hpp"
#include "clusterd/wire/api.hpp"
#include "config/values.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace clusterd::tool {

namespace {

std::string listed(std::set<std::string> const& names) { return fmt::format("{}", fmt::join(names, ", ")); }

std::string shown(std::string const& value) { return value.empty() ? "none" : value; }

void differing(std::vector<std::string>& out, std::string const& what, std::string const& was, std::string const& is) {
    if (was != is) out.push_back(fmt::format("{} {} -> {}", what, shown(was), shown(is)));
}
void differing(std::vector<std::string>& out, std::string const& what, Duration was, Duration is) { differing(out, what, format_duration(was), format_duration(is)); }
void differing(std::vector<std::string>& out, std::string const& what, int was, int is) { differing(out, what, std::to_string(was), std::to_string(is)); }
void differing(std::vector<std::string>& out, std::string const& what, bool was, bool is) {
    differing(out, what, std::string(was ? "yes" : "no"), std::string(is ? "yes" : "no"));
}

std::string text_of(Dependency const& d) {
    if (d.kind == Dependency::Kind::name) return d.name;
    std::vector<std::string> parts;
    for (auto const& c : d.children) parts.push_back(c.kind == Dependency::Kind::name ? c.name : "(" + text_of(c) + ")");
    return fmt::format("{}", fmt::join(parts, d.kind == Dependency::Kind::any ? " or " : " and "));
}

std::string nodes_of(std::array<bool, 2> const& possible, Spec const& spec) {
    std::vector<std::string> names;
    for (std::size_t n = 0; n < 2; ++n)
        if (possible[n]) names.push_back(spec.nodes[n].name);
    return fmt::format("{}", fmt::join(names, " "));
}

std::string differences(ResourceSpec const& was, ResourceSpec const& is, Spec const& spec) {
    std::vector<std::string> all;
    differing(all, "type", was.type, is.type);
    std::set<std::string> names;
    for (auto const* r : {&was, &is})
        for (auto const& [name, value] : r->attributes) names.insert(name);
    auto const value = [](ResourceSpec const& r, std::string const& name) {
        auto const it = r.attributes.find(name);
        return it == r.attributes.end() ? std::string() : it->second;
    };
    for (auto const& name : names) differing(all, name, value(was, name), value(is, name));
    differing(all, "depends", text_of(was.depends), text_of(is.depends));
    differing(all, "possible", nodes_of(was.possible, spec), nodes_of(is.possible, spec));
    if (was.health != is.health) all.push_back("health checks");
    differing(all, "restart limit", was.restart.limit, is.restart.limit);
    differing(all, "restart period", was.restart.period, is.restart.period);
    differing(all, "restart delay", was.restart.delay, is.restart.delay);
    differing(all, "affects-group", was.affects_group, is.affects_group);
    differing(all, "retry-after", was.retry_after, is.retry_after);
    differing(all, "online-timeout", was.online_timeout, is.online_timeout);
    differing(all, "offline-timeout", was.offline_timeout, is.offline_timeout);
    differing(all, "isolate", was.isolate, is.isolate);
    return fmt::format("{}", fmt::join(all, "; "));
}

std::string failback_of(FailbackSpec const& f) {
    if (f.kind == FailbackSpec::Kind::never) return "never";
    if (f.kind == FailbackSpec::Kind::immediate) return "immediate";
    return fmt::format("{:02}:{:02}-{:02}:{:02}", f.from_minute / 60, f.from_minute % 60, f.to_minute / 60, f.to_minute % 60);
}

// Of the group itself, without its resources.
std::string differences(GroupSpec const& was, GroupSpec const& is, Spec const& spec) {
    std::vector<std::string> all;
    auto const node = [&](std::optional<NodeIndex> n) { return n ? name_of(spec, *n) : std::string(); };
    auto const start = [](GroupSpec::Start s) { return std::string(s == GroupSpec::Start::automatic ? "auto" : s == GroupSpec::Start::manual ? "manual" : "as-was"); };
    differing(all, "preferred", node(was.preferred), node(is.preferred));
    differing(all, "failback", failback_of(was.failback), failback_of(is.failback));
    differing(all, "failover-limit", was.failover_limit, is.failover_limit);
    differing(all, "failover-period", was.failover_period, is.failover_period);
    differing(all, "start", start(was.start), start(is.start));
    differing(all, "priority", was.priority, is.priority);
    differing(all, "apart", was.apart, is.apart);
    differing(all, "after", was.after, is.after);
    return fmt::format("{}", fmt::join(all, "; "));
}

struct Row {
    char sign;  // + new, - dropped, * goes offline for it, ~ in place
    std::string name, what;
};

std::vector<Row> rows_of(ConfigChange const& change, Spec const& was, Spec const& is) {
    std::vector<Row> rows;
    for (auto const& name : change.groups) {
        GroupSpec const *const old = find_group(was, name), *const now = find_group(is, name);
        if (!old) rows.push_back({'+', name, "group"});
        else if (!now) rows.push_back({'-', name, "group"});
        else if (std::string const what = differences(*old, *now, is); !what.empty()) rows.push_back({'~', name, "group: " + what});
    }
    for (auto const& name : change.dropped) rows.push_back({'-', name, find_by_name(was, name).resource->type + " of group " + find_by_name(was, name).group->name});
    for (auto const& name : change.added) rows.push_back({'+', name, find_by_name(is, name).resource->type + " in group " + find_by_name(is, name).group->name});
    for (auto const* names : {&change.replaced, &change.adjusted})
        for (auto const& name : *names) {
            Found const old = find_by_name(was, name), now = find_by_name(is, name);
            std::string what = differences(*old.resource, *now.resource, is);
            if (old.group->name != now.group->name) what = fmt::format("group {} -> {}{}{}", old.group->name, now.group->name, what.empty() ? "" : "; ", what);
            rows.push_back({names == &change.replaced ? '*' : '~', name, std::move(what)});
        }
    if (change.other_networks) rows.push_back({'~', "network", "the public networks"});
    if (change.other_watchdog)
        rows.push_back({'~', "watchdog", fmt::format("{} -> {}", was.watchdog.device.empty() ? "none" : was.watchdog.device + " " + format_duration(was.watchdog.timeout),
                                                     is.watchdog.device.empty() ? "none" : is.watchdog.device + " " + format_duration(is.watchdog.timeout))});
    return rows;
}

}  // namespace

std::set<std::string> interrupted_by(ConfigChange const& change, Spec const& was) {
    std::set<std::string> all;
    for (auto const& name : change.makes_way()) {
        GroupSpec const& g = *find_by_name(was, name).group;
        for (auto const& needs_it : with_dependents(g, name))
            if (!change.dropped.contains(needs_it) && !change.replaced.contains(needs_it)) all.insert(needs_it);
    }
    return all;
}

std::string change_text(Spec const& was, Spec const& is, Paint const& paint) {
    ConfigChange const change = compare(was, is);
    if (!change.fixed.empty()) return fmt::format("It can't be changed while the cluster runs: {}.\n", fmt::join(change.fixed, ", "));
    if (change.nothing()) return "Nothing differs but spelling, comments or the version's number.\n";
    auto const rows = rows_of(change, was, is);
    std::size_t widest = 4;
    for (auto const& r : rows) widest = std::max(widest, r.name.size());
    std::string out;
    for (auto const& r : rows) {
        Tone const tone = r.sign == '+' ? Tone::good : r.sign == '-' ? Tone::bad : r.sign == '*' ? Tone::warn : Tone::plain;
        std::string const lead = fmt::format("{} {:<{}}  ", r.sign, r.name, widest);
        out += paint(tone, lead) + wrapped(printable(r.what), paint.width, static_cast<int>(lead.size())) + "\n";
    }
    out += "\n";
    auto const meanwhile = interrupted_by(change, was);
    if (!change.replaced.empty() || !meanwhile.empty()) {
        std::string line = "Goes offline and comes back: " + (change.replaced.empty() ? std::string() : listed(change.replaced));
        if (!meanwhile.empty()) line += (change.replaced.empty() ? "" : "; ") + std::string("and what needs what goes: ") + listed(meanwhile);
        out += wrapped(line, paint.width, 2) + "\n";
    }
    if (!change.dropped.empty()) out += wrapped("Goes offline for good: " + listed(change.dropped), paint.width, 2) + "\n";
    out += change.makes_way().empty() ? "Nothing goes offline.\n" : "All else goes on.\n";
    return out;
}

std::string change_json(Spec const& was, Spec const& is) {
    ConfigChange const change = compare(was, is);
    auto const list = [](auto const& names) {
        std::string out;
        for (auto const& n : names) out += (out.empty() ? "" : ",") + json_text(n);
        return "[" + out + "]";
    };
    std::string rows;
    for (auto const& r : change.fixed.empty() ? rows_of(change, was, is) : std::vector<Row>{})
        rows += fmt::format(R"({}{{"kind":"{}","name":{},"what":{}}})", rows.empty() ? "" : ",",
                            r.sign == '+' ? "added" : r.sign == '-' ? "dropped" : r.sign == '*' ? "replaced" : "in-place", json_text(r.name), json_text(r.what));
    return fmt::format(R"({{"not_possible":{},"changes":[{}],"goes_offline_for_good":{},"goes_offline_and_comes_back":{},"interrupted_with_it":{}}})", list(change.fixed), rows,
                       list(change.dropped), list(change.replaced), list(interrupted_by(change, was)));
}

}  // namespace clusterd::tool
