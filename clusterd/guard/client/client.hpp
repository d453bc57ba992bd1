// The guard, as its children talk to it: an agent host asks it to start, signal and end processes of resources and to remember
// addresses; the worker asks it for hosts, the emergency stop and the way out.
//
// One SOCK_SEQPACKET socket per client, messages of guard/protocol.hpp. Thread-safe; a call waits for the guard's answer
// (microseconds; the guard never blocks). Events (exits, leave) come through on_event, on the reader's thread.
#pragma once

#include "clusterd/core/result.hpp"

#include <sys/types.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clusterd {

struct SpawnRequest {
    std::string resource;  // whose cgroup (or process group) it joins
    std::string role;      // "main": the resource's own long-running process; else a one-shot's name ("start", "stop", "status",
                           // "check", "check:2"). stop, status and check also run without a permit
    std::vector<std::string> argv;  // argv[0]: a path, or a name looked up in PATH
    std::vector<std::string> env;   // NAME=value, on top of a minimal PATH, LANG, HOME
    std::string working_directory;  // empty: /
    std::string user;               // empty: the guard's own
    int output_fd = -1;             // becomes stdout and stderr; -1: the guard's own stderr
};

struct ProcessInfo {
    std::string resource, role;
    pid_t pid = 0;
    bool running = false;
    int wait_status = 0;  // as of waitpid, where not running
};

struct GuardEvent {
    enum class Kind { exited, leave, host_gone, emergency_done, closed };
    Kind kind = Kind::closed;
    ProcessInfo process;  // exited
    std::string host;     // host_gone: the worker is told which agent host ended (it is started again on request)
    bool proven = true;   // emergency_done: everything of resources has ended; else `message` names what may not have
    std::string message;  // emergency_done: why it was done, how long it took, what is left
};

class GuardClient {
public:
    // Takes the fd over. `on_event` runs on a thread of the client's own; it must not call back into the client synchronously
    // except for non-waiting calls.
    GuardClient(int fd, std::function<void(GuardEvent)> on_event);
    virtual ~GuardClient();

    // ---- for agent hosts
    virtual Result<pid_t> spawn(SpawnRequest const& request);
    // main: to that process; one-shots: to their process group
    virtual Result<Done> signal(std::string const& resource, std::string const& role, int signal);
    // SIGKILL to everything in the resource's cgroup (process group). Answered when all of it is dead (then the guard forgets those
    // that ended, too); `remaining` > 0 if not within 5 s.
    virtual Result<int> kill_all(std::string const& resource);
    // Those that run, and a main process that ended by itself (kept until kill_all, an emergency stop or its next start).
    virtual Result<std::vector<ProcessInfo>> processes(std::string const& resource);
    virtual Result<int> count(std::string const& resource);  // processes alive in its cgroup (process group)
    // Recorded in the run directory before the answer; removed at an emergency stop and by the sweep of the next start.
    virtual Result<Done> own_address(std::string const& resource, std::string const& address_with_prefix,
                                     std::string const& interface);
    virtual Result<Done> disown_address(std::string const& resource, std::string const& address_with_prefix,
                                        std::string const& interface);

    // A systemd unit's cgroup ("/system.slice/nginx.service"), named before the unit is started: counted and killed with the resource's
    // own processes, at an emergency stop and by the sweep of the next start. One a resource. `to_start`: it is about to be started, which is
    // refused without a permit; else it was found running, and the guard ends it where there is none.
    virtual Result<Done> own_cgroup(std::string const& resource, std::string const& path, bool to_start);
    virtual Result<Done> disown_cgroup(std::string const& resource, std::string const& path);
    // A filesystem on that device: shut down and unmounted by an emergency stop and by the next start's sweep, wherever it is mounted.
    virtual Result<Done> own_mount(std::string const& resource, std::string const& point, unsigned major, unsigned minor, bool to_start);
    virtual Result<Done> disown_mount(std::string const& resource);

    // ---- for the worker
    virtual Result<int> host(std::string const& name);  // starts it if need be; returns a connected SOCK_SEQPACKET fd to it
    virtual Result<Done> kill_host(std::string const& name);
    virtual Result<Done> emergency_stop();  // answered when done; error names what can't be proven stopped
    // After the permit in the shared memory (guard/shared.hpp) went from none to valid; renewals need no call.
    virtual void permit_began();
    // Arms the watchdog device (empty path: disarms it): the machine is reset `seconds` after the guard no longer feeds it. Its time-out.
    virtual Result<int> watchdog(std::string const& path, int seconds);
    virtual void ready();                               // sd_notify READY=1
    virtual void status_line(std::string const& text);  // sd_notify STATUS=
    virtual void left();                                // the clean leave is complete: the guard ends with 0

protected:
    GuardClient();  // for test doubles

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
