// online, offline, move, fail, reset, pause, resume: gives the command, shows what happens and answers with what became of it.
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/give.hpp"
#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/wire/api.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <pwd.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace clusterd::tool {
namespace {

using Clock = std::chrono::steady_clock;

std::string user_name() {
    if (char const* const sudo = std::getenv("SUDO_USER"); sudo != nullptr && *sudo != 0) return std::string(sudo).substr(0, 200);
    passwd const* const entry = getpwuid(getuid());
    return entry != nullptr ? entry->pw_name : fmt::format("uid {}", getuid());
}

struct Ending {
    std::string outcome;  // done | failed | refused | timed-out | lost
    std::string message;
    int code = exit_failed;
};

Ending ending_of(Outcome outcome, std::string message) {
    int const code = outcome == Outcome::done ? exit_done : outcome == Outcome::refused ? exit_refused : exit_failed;
    return {std::string(spell(outcome)), std::move(message), code};
}

// The worker may be restarted under us (the guard does it within a second): a moment without an answer is not yet the end.
Reply ask_patiently(Daemon& daemon, std::string const& path, Duration wait, Clock::time_point deadline) {
    auto const give_up = std::min(Clock::now() + std::chrono::seconds(5), deadline);
    while (true) {
        try {
            return daemon.request("GET", path, "", wait + std::chrono::seconds(5));
        } catch (Stop const& stop) {
            if (stop.code != exit_no_daemon || Clock::now() >= give_up) throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

Ending wait_for(Daemon& daemon, Options const& options, std::string const& id) {
    auto const deadline = Clock::now() + options.timeout;
    std::uint64_t seen = 0;
    while (true) {
        Duration const left = deadline - Clock::now();
        if (left.count() <= 0) {
            return {"timed-out", fmt::format("not finished within {}; it goes on, see clusterctl status", options.timeout_text),
                    exit_timed_out};
        }
        auto const wait = std::clamp<std::int64_t>(to_ms(left), 1, 20'000);
        Reply const reply = ask_patiently(daemon, fmt::format("/v1/commands/{}?after={}&wait_ms={}", id, seen, wait),
                                          std::chrono::milliseconds(wait), deadline);
        if (!reply.ok()) return {"lost", error_of(reply.body) + "; clusterctl status shows how it ended", exit_failed};
        auto const progress = parse_progress(reply.body);
        if (!progress) throw Stop{exit_failed, progress.error()};
        std::string last;
        for (auto const& u : progress->updates) {
            seen = std::max(seen, u.n);
            last = u.message;
            bool const news = u.outcome == Outcome::running && !u.message.empty();
            if (news && !options.json && !options.silent) {
                std::printf("%s\n", printable(u.message).c_str());
                std::fflush(stdout);
            }
        }
        if (progress->outcome != Outcome::running) return ending_of(progress->outcome, last);
    }
}

void abandon(Daemon& daemon, std::string const& id) {
    interrupted = false;  // this one request may go through
    try {
        daemon.request("DELETE", "/v1/commands/" + id, "", std::chrono::seconds(2));
    } catch (Stop const&) {
        // It only tells the daemon that nobody listens any more.
    }
}

}  // namespace

int give(Options const& options, Command command) {
    command.user = user_name();
    command.reason = options.reason;
    Daemon daemon(options.socket);
    Reply const reply = daemon.request("POST", "/v1/commands", command_json(command), std::chrono::seconds(10));
    if (!reply.ok()) throw Stop{reply.status == 409 ? exit_refused : exit_failed, error_of(reply.body)};
    auto const id = parse_accepted(reply.body);
    if (!id) throw Stop{exit_failed, id.error()};
    if (options.no_wait) {
        std::printf("%s\n",
                    options.json ? outcome_json(*id, "running", "").c_str() : fmt::format("given, as command {}", *id).c_str());
        return exit_done;
    }
    catch_interrupts();
    Ending end;
    try {
        end = wait_for(daemon, options, *id);
    } catch (Stop const& stop) {
        if (stop.code != exit_interrupted) throw;
        abandon(daemon, *id);
        throw Stop{exit_interrupted, "no longer waiting; the command goes on, see clusterctl status"};
    }
    if (end.code == exit_timed_out) abandon(daemon, *id);
    if (options.silent && end.code == exit_done) return end.code;
    if (options.json) {
        std::printf("%s\n", outcome_json(*id, end.outcome, end.message).c_str());
    } else if (end.code == exit_done) {
        std::printf("%s\n", end.message.empty() ? "done" : printable(end.message).c_str());
    } else {
        std::string_view const said = end.message;
        bool const repeats = said.starts_with(end.outcome);
        std::fprintf(stderr, "clusterctl: %s\n",
                     repeats ? printable(said).c_str() : fmt::format("{}: {}", end.outcome, printable(said)).c_str());
    }
    return end.code;
}

namespace {

// on and off are verbs of their own on the command line, since only one of them has an end.
void add_maintenance(CLI::App& app, Options const& options, Chosen& chosen) {
    auto const command = std::make_shared<Command>();
    auto const length = std::make_shared<std::string>();
    command->verb = Verb::maintenance;
    auto* const verb = app.add_subcommand("maintenance", "Leave a group's failures alone while you work on it, or a node's groups, or all");
    verb->require_subcommand(1);
    for (bool const on : {true, false}) {
        auto* const sub = verb->add_subcommand(on ? "on" : "off", on ? "From now on what fails is shown, and nothing is restarted or moved for it" : "As ever: what failed meanwhile is started again");
        sub->add_option("GROUP|NODE", command->target, "Without one: every group");
        if (on) sub->add_option("--for", *length, "Ends by itself after that: 30min, 2h (default: until `maintenance off`)");
        sub->callback([&options, &chosen, command, length, on] {
            chosen = [&options, command, length, on] {
                command->on = on;
                if (!length->empty()) {
                    auto const parsed = parse_timeout(*length);
                    if (!parsed || parsed->count() <= 0) throw Stop{exit_usage, fmt::format("--for {}: a duration such as 30min or 2h is expected", *length)};
                    command->for_ms = to_ms(*parsed);
                }
                return give(options, *command);
            };
        });
    }
}

CLI::App* add_verb(CLI::App& app, Options const& options, Chosen& chosen, Verb verb, std::shared_ptr<Command> const& command,
                   std::string const& target, std::string const& help) {
    auto* const sub = app.add_subcommand(std::string(spell(verb)), help);
    sub->add_option(target, command->target, "Its name in the configuration")->required();
    command->verb = verb;
    sub->callback([&options, &chosen, command] { chosen = [&options, command] { return give(options, *command); }; });
    return sub;
}

}  // namespace

void add_commands(CLI::App& app, Options const& options, Chosen& chosen) {
    auto const fresh = [] { return std::make_shared<Command>(); };
    add_verb(app, options, chosen, Verb::online, fresh(), "RESOURCE|GROUP",
             "Bring online, with what it depends on; lasts until `offline`");
    add_verb(app, options, chosen, Verb::offline, fresh(), "RESOURCE|GROUP",
             "Take offline, with what depends on it; lasts until `online`");
    auto const move = fresh();
    add_verb(app, options, chosen, Verb::move, move, "GROUP", "Move a group to the other node")
        ->add_option("--to", move->to, "The node to move it to")
        ->type_name("NODE");
    add_verb(app, options, chosen, Verb::fail, fresh(), "RESOURCE", "Let a resource fail, as a test; counts as a real failure");
    add_verb(app, options, chosen, Verb::reset, fresh(), "RESOURCE|GROUP", "Forget its failures and try again");
    auto const pause = fresh();
    add_verb(app, options, chosen, Verb::pause, pause, "NODE", "Let a node own nothing new")
        ->add_flag("--drain", pause->drain, "Move its groups away first");
    auto const resume = fresh();
    add_verb(app, options, chosen, Verb::resume, resume, "NODE", "End a pause")
        ->add_flag("--failback", resume->failback, "Move back what `pause --drain` moved away");
    add_maintenance(app, options, chosen);
}

}  // namespace clusterd::tool
