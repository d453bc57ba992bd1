// `clusterctl agent try TYPE NAME=VALUE...`: one health check, once, on this node. It is cluster-agent, beside this program or in
// ../libexec/clusterd, that has the agents (and curl): it is run with --try and answers for itself.
#include "clusterd/clusterctl/tool.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

namespace clusterd::tool {
namespace {

[[noreturn]] void run_agent(std::vector<std::string> const& words, bool json) {
    std::error_code failed;
    auto const self = std::filesystem::read_symlink("/proc/self/exe", failed);
    auto const here = failed ? std::filesystem::path("/usr/sbin") : self.parent_path();
    std::string program = here / "cluster-agent";
    if (access(program.c_str(), X_OK) != 0) program = here.parent_path() / "libexec/clusterd/cluster-agent";
    std::vector<std::string> arguments{program, json ? "--try-json" : "--try"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    std::fflush(stdout);
    execv(program.c_str(), argv.data());
    throw Stop{exit_failed, program + " can't be run: " + std::strerror(errno) + "; is clusterd installed completely?"};
}

}  // namespace

void add_agent(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const agent = app.add_subcommand("agent", "Health agents, by hand");
    agent->require_subcommand(1);
    auto* const once = agent->add_subcommand("try", "Run one check once on this node, as cluster.xml would; exit 0: ok or degraded, 1: failed or unknown");
    auto const words = std::make_shared<std::vector<std::string>>();
    once->add_option("TYPE", *words, "The agent and its attributes: http url=http://10.0.0.100/ timeout=300ms (clusterctl show agents)")
        ->required()
        ->type_name("TYPE NAME=VALUE...")
        ->expected(1, 64);
    once->callback([&chosen, &options, words] {
        chosen = [&options, words]() -> int { run_agent(*words, options.json); };
    });
}

}  // namespace clusterd::tool
