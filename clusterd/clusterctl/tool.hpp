// What every verb of clusterctl shares: the global options, the exit codes and the way a verb gives up.
//
// A verb family is one file with one add_...(): it declares its verbs on the command line and leaves in Chosen what is to be done.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace clusterd::tool {

// The tool's contract: scripts rely on these numbers.
enum Exit : int {
    exit_done = 0,
    exit_failed = 1,
    exit_usage = 2,
    exit_no_daemon = 3,
    exit_timed_out = 4,
    exit_refused = 5,
    exit_interrupted = 130
};

struct Options {
    std::string socket = "/run/clusterd/clusterd.sock";
    bool json = false;
    bool no_wait = false;
    bool silent = false;  // of a verb that gives commands for another one's sake
    std::string reason;  // for the record of commands
    std::string timeout_text = "5min";
    Duration timeout = std::chrono::minutes(5);
};

using Chosen = std::function<int()>;

// Thrown by a verb that can't go on; main prints the message on stderr.
struct Stop {
    int code = exit_failed;
    std::string message;
};

void add_status(CLI::App& app, Options const& options, Chosen& chosen);
void add_commands(CLI::App& app, Options const& options, Chosen& chosen);  // online, offline, move, fail, reset, pause, resume
void add_history(CLI::App& app, Options const& options, Chosen& chosen);   // events, failovers
void add_why(CLI::App& app, Options const& options, Chosen& chosen);       // why, explain
void add_apply(CLI::App& app, Options const& options, Chosen& chosen);     // apply, edit, confirm
void add_plan(CLI::App& app, Options const& options, Chosen& chosen);
void add_standby(CLI::App& app, Options const& options, Chosen& chosen);   // check-standby
void add_drill(CLI::App& app, Options const& options, Chosen& chosen);     // drill
void add_check(CLI::App& app, Options const& options, Chosen& chosen);
void add_quorum(CLI::App& app, Options const& options, Chosen& chosen);
void add_key(CLI::App& app, Options const& options, Chosen& chosen);
void add_agent(CLI::App& app, Options const& options, Chosen& chosen);
void add_show(CLI::App& app, Options const& options, Chosen& chosen);

// 30s, 500ms, 5min, or a plain number of seconds.
Result<Duration> parse_timeout(std::string const& text);

}  // namespace clusterd::tool
