// See show.hpp.
#include "config/show.hpp"

#include "config/nearest.hpp"
#include "config/values.hpp"

#include <fmt/core.h>
#include <algorithm>

namespace clusterd {

namespace {

std::string list(std::vector<TypeInfo> const& table, std::string_view title) {
    std::size_t width = 0;
    for (TypeInfo const& info : table) width = std::max(width, info.name.size());
    std::string text = fmt::format("{}\n", title);
    for (TypeInfo const& info : table) {
        text += fmt::format("  {:<{}}  {}{}\n", info.name, width, info.description, info.needs_root ? " (needs root)" : "");
    }
    return text;
}

std::string attribute_lines(std::vector<Attribute> const& rows) {
    std::string text;
    for (Attribute const& row : rows) {
        std::string const extra = row.required                ? "required"
                                  : row.default_value.empty() ? "optional"
                                                              : fmt::format("default {}", row.default_value);
        text += fmt::format("  {:<20} {} ({}{})\n", row.name, row.description, extra, row.needs_root ? "; needs root" : "");
        text += fmt::format("  {:<20} {}\n", "", allowed_text(row));
    }
    return text;
}

std::string one(TypeInfo const& info, std::string_view what, std::string_view common) {
    std::string text = fmt::format("{} {}: {}{}\n", what, info.name, info.description, info.needs_root ? " (needs root)" : "");
    text += fmt::format("\nIts attributes\n{}", info.attributes.empty() ? "  none\n" : attribute_lines(info.attributes));
    text += fmt::format("\nThose of every {}\n{}", common, attribute_lines(element(common).attributes));
    if (!info.example.empty()) text += fmt::format("\nExample\n  {}\n", info.example);
    return text;
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
    return list(resource_types(), "Resource types (clusterctl show type NAME tells more)");
}

std::string show_agents() {
    return list(agents(), "Health agents: <health type=\"...\"> (clusterctl show type NAME tells more)");
}

std::optional<std::string> show_type(std::string_view name) {
    std::string text;
    if (TypeInfo const* const type = find_type(name)) text += one(*type, "Resource type", "resource");
    if (TypeInfo const* const agent = find_agent(name)) text += (text.empty() ? "" : "\n") + one(*agent, "Health agent", "health");
    if (text.empty()) return std::nullopt;
    return text;
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
    std::string text = "What holds where an attribute isn't given (`resource`: every resource)\n";
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
