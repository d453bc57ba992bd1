// See show.hpp.
#include "config/show.hpp"

#include "config/nearest.hpp"
#include "config/values.hpp"

#include <fmt/core.h>
#include <algorithm>

namespace clusterd {

namespace {

constexpr std::string_view about_durations = "A duration is a whole number and a unit (us, ms, s, min, h, d), such as 300ms or 15min.";

std::string list(std::vector<TypeInfo> const& table, std::string_view title) {
    std::size_t width = 0;
    std::vector<TypeInfo const*> sorted;
    for (TypeInfo const& info : table) {
        width = std::max(width, info.name.size());
        sorted.push_back(&info);
    }
    std::sort(sorted.begin(), sorted.end(), [](TypeInfo const* a, TypeInfo const* b) { return a->name < b->name; });
    std::string text = fmt::format("{}\n", title);
    for (TypeInfo const* info : sorted) {
        text += fmt::format("  {:<{}}  {}{}\n", info->name, width, info->description, info->needs_root ? " (needs root)" : "");
    }
    return text;
}

// What stands in the column of defaults.
std::string_view default_of(Attribute const& row) {
    return row.required ? "required" : row.default_value.empty() ? "-" : row.default_value;
}

std::string attribute_lines(std::vector<Attribute> const& rows) {
    std::size_t name = 16, value = 8;
    for (Attribute const& row : rows) {
        name = std::max(name, row.name.size());
        value = std::max(value, default_of(row).size());
    }
    std::string text;
    for (Attribute const& row : rows) {
        text += fmt::format("  {:<{}}  {:<{}}  {}{}\n", row.name, name, default_of(row), value, row.description, row.needs_root ? " (needs root)" : "");
        text += fmt::format("  {:<{}}  {:<{}}    {}\n", "", name, "", value, allowed_text(row));
    }
    return text;
}

std::string part(std::string_view title, std::vector<Attribute> const& rows) {
    return fmt::format("\n{}\n{}", title, rows.empty() ? "  none\n" : attribute_lines(rows));
}

std::string resource_type(TypeInfo const& info) {
    std::string text = fmt::format("Resource type {}: {}{}\n", info.name, info.description, info.needs_root ? " (needs root)" : "");
    if (!info.example.empty()) text += fmt::format("\n  {}\n", info.example);
    text += part("Its own attributes, with what holds where one isn't given", info.attributes);
    for (ElementInfo const& child : elements()) {
        if (child.parents == fmt::format("<{}>", info.name)) text += part(fmt::format("<{}> in it: {}", child.name, child.description), child.attributes);
    }
    text += part("What every resource takes", element("resource").attributes);
    text += "\nIn it may stand <health> (clusterctl show agents) and <restart> (clusterctl show defaults).\n";
    return text;
}

std::string health_agent(TypeInfo const& info) {
    std::string text = fmt::format("Health agent {}: {}{}\n", info.name, info.description, info.needs_root ? " (needs root)" : "");
    if (!info.example.empty()) text += fmt::format("\n  {}\n", info.example);
    text += part("Its own attributes, with what holds where one isn't given", info.attributes);
    text += part("What every check takes", element("health").attributes);
    return text + fmt::format("\nTo run one by hand on this node: clusterctl agent try {} NAME=VALUE ...\n", info.name);
}

void add_rows(std::vector<DefaultRow>& rows, std::string const& of, std::vector<Attribute> const& attributes) {
    for (Attribute const& row : attributes) {
        rows.push_back({of, std::string(row.name), std::string(kind_name(row.kind)), allowed_text(row),
                        std::string(row.default_value), row.required});
    }
}

std::string timing_row(std::string_view name, Timing const& t) {
    Duration const required = t.permit - t.suspect - t.heartbeat - t.kill;
    Duration const wanted = t.permit - 2 * t.suspect - t.kill;
    return fmt::format("  {:<14} {:>9} {:>8} {:>7} {:>7} {:>20} {:>18}\n", name, format_duration(t.heartbeat),
                       format_duration(t.suspect), format_duration(t.permit), format_duration(t.kill), format_duration(required),
                       format_duration(wanted));
}

}  // namespace

std::string show_types() {
    return list(resource_types(), "Resource types (clusterctl show type NAME tells all attributes; a page each: docs/types, /usr/share/doc/clusterd/types)");
}

std::string show_agents() {
    return list(agents(), "Health agents: <health type=\"...\"> (clusterctl show type NAME tells all attributes)");
}

std::optional<std::string> show_type(std::string_view name) {
    std::string text;
    if (TypeInfo const* const type = find_type(name)) text += resource_type(*type);
    if (TypeInfo const* const agent = find_agent(name)) text += (text.empty() ? "" : "\n") + health_agent(*agent);
    if (text.empty()) return std::nullopt;
    return text + fmt::format("{}\n", about_durations);
}

std::string unknown_type(std::string_view name) {
    std::vector<std::string_view> known;
    std::string names;
    for (auto const* table : {&resource_types(), &agents()}) {
        for (TypeInfo const& info : *table) {
            if (std::find(known.begin(), known.end(), info.name) != known.end()) continue;
            known.push_back(info.name);
            names += (names.empty() ? "" : ", ") + std::string(info.name);
        }
    }
    auto const& planned = planned_types();
    if (std::find(planned.begin(), planned.end(), name) != planned.end()) {
        return fmt::format("the type {} is known to the design, but not in this version; known are {}", name, names);
    }
    std::string const near = did_you_mean(name, known);
    return fmt::format("there is no type or agent \"{}\"{}{}known are {}", name.substr(0, 64), near, near.empty() ? "; " : " ",
                       names);
}

std::vector<DefaultRow> defaults() {
    std::vector<DefaultRow> rows;
    for (ElementInfo const& info : elements()) add_rows(rows, std::string(info.name), info.attributes);
    for (TypeInfo const& type : resource_types()) add_rows(rows, std::string(type.name), type.attributes);
    for (TypeInfo const& agent : agents()) add_rows(rows, "health type=" + std::string(agent.name), agent.attributes);
    return rows;
}

std::string show_defaults() {
    std::string text = fmt::format("What holds where an attribute isn't given (`resource`: every resource). {}\n", about_durations);
    std::string of;
    for (DefaultRow const& row : defaults()) {
        if (row.element != of) text += fmt::format("{}\n", row.element);
        of = row.element;
        std::string const value = row.required ? "(required)" : row.default_value.empty() ? "-" : row.default_value;
        text += fmt::format("  {:<20} {:<12} {}\n", row.attribute, value, row.allowed);
    }
    return text + "\n" + show_timing();
}

std::string show_timing(std::optional<Timing> const& now) {
    std::string text = fmt::format("  {:<14} {:>9} {:>8} {:>7} {:>7} {:>20} {:>18}\n", "timing", "heartbeat", "suspect", "permit",
                                   "kill", "for 2 cycles + fsync", "the same, wanted");
    if (now) text += timing_row("in use", *now);
    for (Timing const& profile : timing_profiles()) text += timing_row(profile.profile, profile);
    return text;
}

}  // namespace clusterd
