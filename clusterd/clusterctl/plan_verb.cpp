// `clusterctl plan fail|move|pause|apply`: what would happen, without doing it. The daemon runs its own planner on a copy.
#include "clusterd/clusterctl/apply.hpp"
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/plan_text.hpp"
#include "clusterd/wire/api.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace clusterd::tool {
namespace {

int plan(Options const& options, Command const& command, std::string const& question) {
    Daemon daemon(options.socket);
    Reply const reply = daemon.request("POST", "/v1/plan?wait_ms=30000", command_json(command), std::chrono::seconds(40));
    if (!reply.ok()) throw Stop{reply.status == 409 ? exit_refused : exit_failed, error_of(reply.body)};
    std::string const& json = reply.body;
    auto const answer = parse_plan(json);
    if (!answer) throw Stop{exit_failed, answer.error() + "; are clusterctl and clusterd of the same version?"};
    if (options.json) std::printf("%s\n", json.c_str());
    if (!answer->typical.refused.empty()) throw Stop{exit_refused, "it would be refused, or can't be said: " + answer->typical.refused};
    if (!options.json) std::fputs(plan_text(*answer, question, stdout_paint()).c_str(), stdout);
    return exit_done;
}

}  // namespace

void add_plan(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const verb = app.add_subcommand("plan", "What would happen, in which order and how long it would take, without doing it");
    verb->require_subcommand(1);
    auto const command = std::make_shared<Command>();
    auto const add = [&](Verb what, char const* target, char const* help, char const* happened) {
        auto* const sub = verb->add_subcommand(std::string(spell(what)), help);
        sub->add_option(target, command->target, "Its name in the configuration")->required();
        sub->callback([&options, &chosen, command, what, happened] {
            chosen = [&options, command, what, happened] {
                command->verb = what;
                return plan(options, *command, fmt::format(fmt::runtime(happened), command->target, command->to.empty() ? std::string() : " to " + command->to));
            };
        });
        return sub;
    };
    add(Verb::fail, "NODE|RESOURCE", "A node were lost, or a resource failed", "{} failed{}");
    add(Verb::move, "GROUP", "A group were moved", "{} were moved{}")->add_option("--to", command->to, "The node (default: the other one)")->type_name("NODE");
    add(Verb::pause, "NODE", "A node were paused", "{} were paused{}")->add_flag("--drain", command->drain, "Its groups moved away first");

    auto const path = std::make_shared<std::string>();
    auto* const planned = verb->add_subcommand("apply", "Another configuration were applied");
    planned->add_option("FILE", *path, "The XML file")->required();
    planned->callback([&options, &chosen, path] { chosen = [&options, path] { return plan_apply(options, *path); }; });
}

}  // namespace clusterd::tool
