// Runs one command of a resource through the guard to its end: in the resource's cgroup, with a deadline, its output kept.
//
// Called by the drivers of process (stop-command) and script, on a thread of the host that may wait. What the command leaves behind
// goes on; its output goes on into a file of limited size that nobody reads, so that no daemon dies of a closed pipe.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "resources/clock.hpp"
#include "resources/guard_events.hpp"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace clusterd {

// "exited with status 3", "was killed by SIGKILL".
std::string exit_in_words(int wait_status);

// What a resource's commands have in common, from its attributes.
struct CommandSettings {
    std::vector<std::string> env;  // environment, then environment-file
    std::string user, working_directory;
};
// Reads environment-file each time, so that a changed secret counts at once.
Result<CommandSettings> command_settings(std::string const& resource, std::map<std::string, std::string> const& attributes);

// Why a command can't run that can't be helped by trying again on this node (not installed, no such user, ...).
bool lasting_start_error(std::string const& guard_error);

struct OneShotResult {
    enum class End { exited, too_late, cancelled, not_run };
    End end = End::not_run;
    int wait_status = 0;  // exited
    std::string error;    // not_run: why
    std::string output;   // the last lines, at most 4 KiB (or what keep() says)
    bool succeeded() const { return end == End::exited && wait_status == 0; }
};

class OneShot {
public:
    OneShot(GuardClient& guard, GuardEvents& events) : guard_(guard), events_(events) {}
    // `kind`: start, stop, status; the role gets a number, so that each run's end is told from any other's.
    OneShotResult run(std::string const& resource, std::string const& kind, std::vector<std::string> argv,
                      CommandSettings const& settings, Instant deadline);
    void keep(std::size_t bytes) { kept_ = bytes; }  // of the output of the runs to come, up to 1 MiB
    void cancel();  // from another thread: the run under way ends soon, and so does each later one

private:
    GuardClient& guard_;
    GuardEvents& events_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool cancelled_ = false;
    std::size_t kept_ = 4096;
};

}  // namespace clusterd
