// Runs a check's program through the guard, to its end or the check's deadline, and keeps what it wrote. For the agents exec and smb.
#pragma once

#include "clusterd/core/time.hpp"

#include <sys/types.h>
#include <memory>
#include <string>
#include <vector>

namespace clusterd {

class GuardClient;
class GuardEvents;

struct ProgramResult {
    enum class End { exited, too_late, not_run };
    End end = End::not_run;
    int wait_status = 0;   // exited
    std::string output;    // its beginning, at most max_plugin_output
    bool flooded = false;  // it wrote more than 1 MiB, and had its output closed
    std::string error;     // not_run: why
};

// One run after the other.
class Program {
public:
    Program(GuardClient& guard, GuardEvents& events, std::string resource);
    ~Program();
    // `env`: NAME=value, on top of a minimal PATH, LANG, HOME. What isn't done in time is killed; while it can't be, nothing is run beside it.
    ProgramResult run(std::vector<std::string> argv, std::vector<std::string> env, Instant deadline);

private:
    struct Started;
    GuardClient& guard_;
    GuardEvents& events_;
    std::string const resource_;
    std::unique_ptr<Started> left_;  // was killed; its end may not be heard of yet
};

}  // namespace clusterd
