// `clusterctl show timing|config` asks the daemon; `show types|type NAME|agents|defaults` prints config's table and needs none.
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/wire/api.hpp"
#include "config/show.hpp"
#include "config/values.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace clusterd::tool {
namespace {

// ---- the table --------------------------------------------------------------------------------------------------------------

std::string type_json(TypeInfo const& type, std::string_view kind) {
    std::string attributes;
    for (auto const& a : type.attributes) {
        attributes += fmt::format(R"({}{{"name":{},"allowed":{},"required":{},"default":{},"description":{}}})",
                                  attributes.empty() ? "" : ",", json_text(a.name), json_text(allowed_text(a)), a.required,
                                  a.default_value.empty() ? "null" : json_text(a.default_value), json_text(a.description));
    }
    return fmt::format(R"({{"name":{},"kind":"{}","description":{},"needs_root":{},"attributes":[{}]}})", json_text(type.name),
                       kind, json_text(type.description), type.needs_root, attributes);
}

std::string list_json(std::vector<TypeInfo> const& types, std::string_view kind) {
    std::string out;
    for (auto const& t : types) out += (out.empty() ? "" : ",") + type_json(t, kind);
    return "[" + out + "]\n";
}

std::string defaults_json() {
    std::string out;
    for (auto const& row : defaults()) {
        out += fmt::format(R"({}{{"element":{},"attribute":{},"allowed":{},"required":{},"default":{}}})", out.empty() ? "" : ",",
                           json_text(row.element), json_text(row.attribute), json_text(row.allowed), row.required,
                           row.default_value.empty() ? "null" : json_text(row.default_value));
    }
    return "[" + out + "]\n";
}

int print(std::string const& text) {
    std::fputs(text.c_str(), stdout);
    return exit_done;
}

int one_type(Options const& options, std::string const& name) {
    auto const text = show_type(name);
    if (!text) throw Stop{exit_failed, unknown_type(name)};
    if (!options.json) return print(*text);
    std::string found;
    if (auto const* const type = find_type(name)) found = type_json(*type, "resource");
    if (auto const* const agent = find_agent(name)) found += (found.empty() ? "" : ",") + type_json(*agent, "agent");
    return print("[" + found + "]\n");
}

// ---- the daemon's -----------------------------------------------------------------------------------------------------------

std::string shown(Duration d) {
    if (d.count() < 0) return "-";
    return d < std::chrono::milliseconds(10) ? fmt::format("{:.2f} ms", static_cast<double>(d.count()) / 1e6)
                                             : for_people(to_ms(d));
}

std::string timing_text(TimingInfo const& info, Paint const& paint) {
    Timing const& t = info.timing;
    Table values;
    values.add({{"profile"}, {t.profile}, {}});
    values.add(
        {{"heartbeat", Tone::plain}, {format_duration(t.heartbeat)}, {"H: a heartbeat on every link so often", Tone::faint}});
    values.add({{"suspect"}, {format_duration(t.suspect)}, {"no grant for so long: the peer is suspected", Tone::faint}});
    values.add({{"permit"}, {format_duration(t.permit)}, {"P: how long a permit lasts", Tone::faint}});
    values.add({{"kill"}, {format_duration(t.kill)}, {"K: the emergency stop begins so long before its end", Tone::faint}});
    std::string out = values.text(paint) + "\n";
    Table measured;
    measured.add({{"MEASURED", Tone::faint}, {"P99", Tone::faint}, {"WORST", Tone::faint}});
    measured.add({{"quorum disk, one cycle"}, {shown(info.cycle_p99)}, {shown(info.cycle_max)}});
    measured.add({{"own disk, one fsync (F)"}, {shown(info.fsync_p99)}, {shown(info.fsync_max)}});
    out += measured.text(paint) + "\n";
    out += "least that was left of a permit: " +
           (info.worst_margin_ms < 0 ? "none was renewed yet" : for_people(info.worst_margin_ms)) + "\n\n";
    for (auto const& r : timing_rules(info)) {
        out +=
            fmt::format("{:<9} {:<34} {:>9} < {:<7} {}\n", r.name, r.formula, shown(r.sum), shown(t.permit),
                        r.met ? paint(Tone::good, "holds") : paint(r.name == "required" ? Tone::bad : Tone::warn, "DOES NOT HOLD"));
    }
    if (info.cycle_p99.count() < 0) out += "No disk cycle was measured yet: cycles count as 0 here.\n";
    return out;
}

int timing(Options const& options) {
    Daemon daemon(options.socket);
    std::string const json = daemon.get("/v1/timing");
    if (options.json) return print(json + "\n");
    auto const info = parse_timing(json);
    if (!info) throw Stop{exit_failed, info.error()};
    return print(timing_text(*info, stdout_paint()));
}

int config(Options const& options, std::optional<std::uint64_t> revision) {
    Daemon daemon(options.socket);
    std::string const xml = daemon.get(revision ? fmt::format("/v1/config/revisions/{}", *revision) : "/v1/config");
    return print(options.json ? message_json("config", xml) + "\n" : xml);
}

int config_history(Options const& options) {
    Daemon daemon(options.socket);
    auto const list = parse_revisions(daemon.get("/v1/config/revisions"));
    if (!list) throw Stop{exit_failed, list.error()};
    if (options.json) {
        for (auto const& r : *list) std::printf("%s\n", revision_json(r, false).c_str());
        return exit_done;
    }
    Table table({9, 20, 20, 13, 0});
    table.add({{"REVISION", Tone::faint}, {"WHEN", Tone::faint}, {"WHO", Tone::faint}, {"HASH", Tone::faint}, {"WHY", Tone::faint}});
    for (auto const& r : *list)
        table.add({{std::to_string(r.revision)}, {r.time_ms == 0 ? "first start" : local_date_time(r.time_ms).substr(0, 19)}, {r.user.empty() ? "-" : r.user}, {r.hash.substr(0, 12)}, {r.reason}});
    Paint paint = stdout_paint();
    if (!paint.terminal) paint.width = 1000;
    return print(table.text(paint));
}

}  // namespace

void add_show(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const show = app.add_subcommand("show", "Timing, types, agents, defaults and the configuration that counts");
    show->require_subcommand(1);
    auto const add = [&](char const* name, char const* help, Chosen action) {
        auto* const sub = show->add_subcommand(name, help);
        sub->callback([&chosen, action] { chosen = action; });
        return sub;
    };
    add("timing", "The timing that counts, what was measured, and whether the rules hold", [&options] { return timing(options); });
    auto const history = std::make_shared<bool>(false);
    auto const revision = std::make_shared<std::optional<std::uint64_t>>();
    auto* const shown_config = add("config", "The configuration that counts now, as XML", [&options, history, revision] { return *history ? config_history(options) : config(options, *revision); });
    shown_config->add_flag("--history", *history, "Those that counted on this node, with when, by whom and why");
    shown_config->add_option("--revision", *revision, "One of them")->type_name("N");
    add("types", "Resource types",
        [&options] { return print(options.json ? list_json(resource_types(), "resource") : show_types()); });
    add("agents", "Health agents", [&options] { return print(options.json ? list_json(agents(), "agent") : show_agents()); });
    add("defaults", "Every attribute with its default",
        [&options] { return print(options.json ? defaults_json() : show_defaults()); });
    auto const name = std::make_shared<std::string>();
    add("type", "One resource type or health agent", [&options, name] { return one_type(options, *name); })
        ->add_option("NAME", *name, "Of a type or agent")
        ->required();
}

}  // namespace clusterd::tool
