// `clusterctl why` and `clusterctl explain`: why something is as it is, and what an event means.
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/history.hpp"
#include "clusterd/clusterctl/why_text.hpp"
#include "clusterd/wire/event_kinds.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace clusterd::tool {
namespace {

int why(Options const& options, std::string const& name) {
    Daemon daemon(options.socket);
    auto status = parse_status(daemon.get("/v1/status"));
    if (!status) throw Stop{exit_failed, status.error() + "; are clusterctl and clusterd of the same version?"};
    auto failovers = parse_failovers(daemon.get("/v1/failovers"));
    if (!failovers) throw Stop{exit_failed, failovers.error()};
    std::int64_t const now = wall_now_ms();
    auto const found = find_why({std::move(*status), fetch_events(daemon, "", most_events, 0), std::move(*failovers)}, name, now);
    if (!found) throw Stop{exit_refused, fmt::format("'{}' is neither a node nor a group nor a resource; see clusterctl status", name)};
    Paint paint = stdout_paint();
    if (!paint.terminal) paint.width = 1000;  // a program gets a line an event
    std::fputs(options.json ? why_json(*found).c_str() : why_text(*found, paint, now).c_str(), stdout);
    return exit_done;
}

std::string kind_json(EventKindInfo const& k) {
    return fmt::format("{{\"kind\":{},\"title\":{},\"cause\":{},\"next\":{},\"message_id\":\"{}\"}}", json_text(k.name), json_text(k.title), json_text(k.cause),
                       json_text(k.next), message_id(k.kind));
}

void print_kind(EventKindInfo const& k, Paint const& paint) {
    std::printf("%s\n  Why:     %s\n  To do:   %s\n  Journal: journalctl MESSAGE_ID=%s\n", paint(Tone::strong, std::string(k.title)).c_str(),
                wrapped(std::string(k.cause), paint.width, 11).c_str(), wrapped(std::string(k.next), paint.width, 11).c_str(), message_id(k.kind).c_str());
}

int list_kinds(Options const& options, Paint paint) {
    if (options.json) {
        for (auto const& k : event_kinds()) std::printf("%s\n", kind_json(k).c_str());
        return exit_done;
    }
    Table table({26, 0});
    for (auto const& k : event_kinds()) table.add({{std::string(k.name), Tone::strong}, {std::string(k.title)}});
    if (!paint.terminal) paint.width = 1000;
    std::fputs(table.text(paint).c_str(), stdout);
    return exit_done;
}

// A kind needs no daemon: it is in the program.
int explain(Options const& options, std::string const& id) {
    Paint const paint = stdout_paint();
    if (id.empty()) return list_kinds(options, paint);
    if (auto const kind = find_kind(id)) {
        if (options.json) std::printf("%s\n", kind_json(*kind).c_str());
        else print_kind(*kind, paint);
        return exit_done;
    }
    Daemon daemon(options.socket);
    auto const events = fetch_events(daemon, "", most_events, 0);
    auto const e = std::find_if(events.rbegin(), events.rend(), [&](auto const& k) { return k.id == id; });
    if (e == events.rend())
        throw Stop{exit_failed, fmt::format("'{}' is neither one of the last {} events (clusterctl events --json shows their ids) nor a kind (clusterctl explain lists them)", id, most_events)};
    auto const kind = find_kind(e->kind);
    if (options.json) {
        std::printf("{\"event\":%s,\"kind\":%s}\n", event_json(*e).c_str(), kind ? kind_json(*kind).c_str() : "null");
        return exit_done;
    }
    std::string const about = !e->resource.empty() ? e->resource : e->group;
    std::string const head = fmt::format("{}  {}  ", e->id, local_date_time(e->time_ms).substr(0, 19));
    std::printf("%s%s\n", head.c_str(), wrapped(fmt::format("{}: {}{}", e->node, about.empty() ? "" : about + ": ", e->message), paint.width, 4).c_str());
    if (!e->evidence.empty()) std::printf("  Known:   %s\n", wrapped(e->evidence, paint.width, 11).c_str());
    std::printf("\n");
    if (kind) print_kind(*kind, paint);
    else std::printf("Its kind, %s, is of a newer clusterd.\n", printable(e->kind).c_str());
    return exit_done;
}

}  // namespace

void add_why(CLI::App& app, Options const& options, Chosen& chosen) {
    auto const name = std::make_shared<std::string>();
    auto* const verb = app.add_subcommand("why", "Why a group, resource or node is as it is: what was known, the rule, what was done, how long it took");
    verb->add_option("NAME", *name, "A group, resource or node; without one: the cluster");
    verb->callback([&options, &chosen, name] { chosen = [&options, name] { return why(options, *name); }; });

    auto const id = std::make_shared<std::string>();
    auto* const explained = app.add_subcommand("explain", "What an event means and what to do; without an ID: all kinds of events");
    explained->add_option("ID", *id, "An event's id (clusterctl events --json), or a kind");
    explained->callback([&options, &chosen, id] { chosen = [&options, id] { return explain(options, *id); }; });
}

}  // namespace clusterd::tool
