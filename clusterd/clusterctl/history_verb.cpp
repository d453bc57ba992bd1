// `clusterctl events` and `clusterctl failovers`: what happened, and how long each part of a failover took.
#include "clusterd/clusterctl/history.hpp"
#include "clusterd/clusterctl/terminal.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace clusterd::tool {

std::vector<EventRecord> fetch_events(Daemon& daemon, std::string const& after, unsigned limit, unsigned wait_ms) {
    auto events =
        parse_events(daemon.get(fmt::format("/v1/events?after={}&limit={}&wait_ms={}", Daemon::escaped(after), limit, wait_ms),
                                std::chrono::milliseconds(wait_ms) + std::chrono::seconds(10)));
    if (!events) throw Stop{exit_failed, events.error()};
    return std::move(*events);
}

namespace {

Tone tone_of(std::string_view severity) {
    if (severity == "info") return Tone::plain;
    return severity == "warning" ? Tone::warn : Tone::bad;
}

void print_events(std::vector<EventRecord> const& events, Options const& options, Paint const& paint) {
    for (auto const& e : events) {
        if (options.json) {
            std::printf("%s\n", event_json(e).c_str());
            continue;
        }
        std::string const about = !e.resource.empty() ? e.resource : e.group;
        std::string const head =
            fmt::format("{}  {:<8}  ", local_date_time(e.time_ms).substr(0, 23), clipped(e.severity, 8, paint.utf8));
        std::string const body = fmt::format("{}: {}{}", e.node, about.empty() ? "" : about + ": ", e.message);
        // A program gets a line an event, a person what fits the window.
        std::string const rest = paint.terminal ? wrapped(body, paint.width, columns_of(head)) : printable(body);
        std::printf("%s%s\n", paint(tone_of(e.severity), head).c_str(), rest.c_str());
    }
    std::fflush(stdout);
}

int events(Options const& options, bool follow, unsigned limit) {
    Daemon daemon(options.socket);
    Paint const paint = stdout_paint();
    auto list = fetch_events(daemon, "", limit, 0);
    print_events(list, options, paint);
    if (list.empty() && !follow && !options.json) std::puts("No events are recorded.");
    if (!follow) return exit_done;
    catch_interrupts();
    std::string after = list.empty() ? "" : list.back().id;
    while (!interrupted) {
        try {
            list = fetch_events(daemon, after, most_events, 25'000);
        } catch (Stop const& stop) {
            if (stop.code == exit_interrupted) break;
            throw;
        }
        print_events(list, options, paint);
        if (!list.empty()) after = list.back().id;
        if (std::ferror(stdout) != 0) return exit_failed;  // nobody reads it any more
    }
    return exit_done;
}

std::int64_t total_ms(FailoverRecord const& f) {
    std::int64_t sum = 0;
    for (auto const& p : f.phases) sum += std::max<std::int64_t>(p.ms, 0);
    return sum;
}

std::string from_to(FailoverRecord const& f) {
    if (f.from.empty()) return "start on " + f.to;
    return fmt::format("{} -> {}", f.from, f.to);
}

int list_failovers(Daemon& daemon, Options const& options, Paint const& paint) {
    auto const list = parse_failovers(daemon.get("/v1/failovers"));
    if (!list) throw Stop{exit_failed, list.error()};
    if (options.json) {
        for (auto const& f : *list) std::printf("%s\n", failover_json(f).c_str());
        return exit_done;
    }
    if (list->empty()) {
        std::puts("No failovers or moves are recorded.");
        return exit_done;
    }
    Table table({10, 14, 16, 22, 9, 0});
    table.add({{"ID", Tone::faint},
               {"WHEN", Tone::faint},
               {"GROUP", Tone::faint},
               {"FROM, TO", Tone::faint},
               {"TOOK", Tone::faint},
               {"WHY", Tone::faint}});
    for (auto const& f : *list) {
        table.add({{f.id},
                   {local_date_time(f.start_wall_ms).substr(5, 14)},
                   {f.group},
                   {from_to(f)},
                   {for_people(total_ms(f))},
                   {f.cause}});
    }
    Paint wide = paint;
    if (!paint.terminal) wide.width = 1000;
    std::fputs(table.text(wide).c_str(), stdout);
    return exit_done;
}

// The median of what this phase took in the group's other moves and failovers; nullopt: fewer than two are known.
std::optional<std::int64_t> usual(std::vector<FailoverRecord> const& all, FailoverRecord const& f, std::string const& phase) {
    std::vector<std::int64_t> known;
    for (auto const& other : all) {
        if (other.id == f.id || other.group != f.group) continue;
        for (auto const& p : other.phases)
            if (p.name == phase) known.push_back(p.ms);
    }
    if (known.size() < 2) return std::nullopt;
    auto const middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
    std::nth_element(known.begin(), middle, known.end());
    return *middle;
}

// One bar a phase, each beginning where the one before ended; behind the numbers what the phase usually takes.
std::string time_line(FailoverRecord const& f, std::vector<FailoverRecord> const& all, Paint const& paint) {
    std::int64_t const total = std::max<std::int64_t>(total_ms(f), 1);
    int names = 0;
    for (auto const& p : f.phases) names = std::max(names, std::min(columns_of(p.name), 28));
    bool const any_usual = std::any_of(f.phases.begin(), f.phases.end(), [&](Phase const& p) { return usual(all, f, p.name).has_value(); });
    std::int64_t const room = std::max(paint.width - names - 15 - (any_usual ? 18 : 0), 20);
    std::string out;
    std::int64_t before = 0;
    for (auto const& p : f.phases) {
        std::int64_t const ms = std::max<std::int64_t>(p.ms, 0);
        std::int64_t const from = before * room / total;
        std::int64_t const bar = std::max<std::int64_t>((before + ms) * room / total - from, ms > 0 ? 1 : 0);
        std::string line;
        for (std::int64_t i = 0; i < bar && from + i < room; ++i) line += paint.utf8 ? "\u2588" : "#";
        std::string const name = clipped(p.name, 28, paint.utf8);
        auto const often = usual(all, f, p.name);
        std::string const beside = !any_usual ? "" : fmt::format("{:<18}", often ? fmt::format("(usually {} ms)", *often) : "");
        out += fmt::format("  {}{}  {:>8}  {}{}{}", name, std::string(static_cast<std::size_t>(names - columns_of(name)), ' '),
                           fmt::format("{} ms", p.ms), beside,
                           bar > 0 ? std::string(static_cast<std::size_t>(std::min(from, room - 1)), ' ') : "",
                           paint(Tone::warn, line));
        while (out.ends_with(' ')) out.pop_back();
        out += '\n';
        before += ms;
    }
    return out;
}

int one_failover(Daemon& daemon, Options const& options, Paint const& paint, std::string const& id) {
    auto const f = parse_failover(daemon.get("/v1/failovers/" + Daemon::escaped(id)));
    if (!f) throw Stop{exit_failed, f.error()};
    if (options.json) {
        std::printf("%s\n", failover_json(*f).c_str());
        return exit_done;
    }
    auto const all = parse_failovers(daemon.get("/v1/failovers"));
    if (!all) throw Stop{exit_failed, all.error()};
    std::string const head = fmt::format("{}: {}, {} in {}", f->id, f->group, from_to(*f), for_people(total_ms(*f)));
    std::printf("%s\n", paint(Tone::strong, printable(head)).c_str());
    std::printf("%s, because %s\n\n", local_date_time(f->start_wall_ms).c_str(),
                printable(f->cause.empty() ? "(not recorded)" : f->cause).c_str());
    std::fputs(f->phases.empty() ? "  no phases are recorded\n" : time_line(*f, *all, paint).c_str(), stdout);
    return exit_done;
}

}  // namespace

void add_history(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const ev = app.add_subcommand("events", "What happened, newest last");
    auto const follow = std::make_shared<bool>(false);
    auto const limit = std::make_shared<unsigned>(50);
    ev->add_flag("--follow,-f", *follow, "Go on with what happens, until Ctrl-C");
    ev->add_option("--limit,-n", *limit, "How many of the newest")->check(CLI::Range(1U, most_events))->capture_default_str();
    ev->callback(
        [&options, &chosen, follow, limit] { chosen = [&options, follow, limit] { return events(options, *follow, *limit); }; });

    auto* const fo = app.add_subcommand("failovers", "Failovers and moves, newest last; with an ID: its time line");
    auto const id = std::make_shared<std::string>();
    fo->add_option("ID", *id, "One of the list");
    fo->callback([&options, &chosen, id] {
        chosen = [&options, id] {
            Daemon daemon(options.socket);
            Paint const paint = stdout_paint();
            return id->empty() ? list_failovers(daemon, options, paint) : one_failover(daemon, options, paint, *id);
        };
    });
}

}  // namespace clusterd::tool
