// The guard's children: the worker, the agent hosts, and every process started for a resource; their starts and their ends.
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"
#include "clusterd/guard/ordinary.hpp"
#include "clusterd/guard/proctree.hpp"
#include "clusterd/guard/spawn.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <initializer_list>

namespace clusterd::guard {

namespace {

constexpr std::int64_t quick = 3 * second;  // a worker that dies sooner waits before it is started again
constexpr int give_up_after = 5;            // deaths in a row of a worker that was never ready

// Our environment without what is meant for us alone, and `extra` after it.
char* const* environment_with(char* const* extra) {
    static char* env[512];
    int n = 0;
    for (char** e = environ; *e && n < 480; ++e) {
        bool mine = false;
        for (char const* name : {"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "CLUSTERD_GUARD_", "CLUSTERD_SHARED_FD=",
                                 "CLUSTERD_RESUME=", "CLUSTERD_WORKER_FD=", "CLUSTERD_LOG_FORMAT=", "CLUSTERD_RUN_DIR=", "LISTEN_"})
            mine = mine || std::strncmp(*e, name, std::strlen(name)) == 0;
        if (!mine) env[n++] = *e;
    }
    while (*extra && n < 510) env[n++] = *extra++;
    env[n] = nullptr;
    return env;
}

void mutable_text(char*& to, Path& from) {
    to = from.s;
}

// Both ends, ours not to be inherited and never waiting.
bool make_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return true;
}

Line how_it_ended(int status) {
    Line text;
    if (WIFSIGNALED(status))
        text.add("was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        text.add("exited with status %d", WEXITSTATUS(status));
    return text;
}

void log_start_error(int& fd, char const* what) {
    if (fd < 0) return;
    Line text;
    ssize_t const n = read(fd, text.s, sizeof text.s - 1);
    close(fd);
    fd = -1;
    if (n > 0) log(Level::error, "%s: %s", what, text.s);
}

void worker_died(int status) {
    std::int64_t const now = boot_now();
    Worker& w = g.worker;
    bool const wanted = w.stopping;
    log_start_error(w.error_fd, "clusterd-worker");
    client_closed(0);
    w.pid = 0;
    w.stopping = false;
    if (g.finishing) return;
    if (g.left || (g.leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        begin_finish(0);
        return;
    }
    Line const how = how_it_ended(status);
    if (!g.was_ready && WIFEXITED(status) && g.shared->worker_starts.load() == 1) {
        int const code = WEXITSTATUS(status);
        if (code == 1 || code == 2 || code == 127) {  // it has said why
            begin_finish(code == 2 ? 2 : 1);
            return;
        }
    }
    w.quick_deaths = now - w.started < quick && !wanted ? w.quick_deaths + 1 : 0;
    if (!g.was_ready && w.quick_deaths >= give_up_after) {
        log(Level::error, "the worker %s, for the %dth time before it was ever ready: start refused", how.s, w.quick_deaths);
        begin_finish(1);
        return;
    }
    std::int64_t delay = 0;
    if (w.quick_deaths > 1) delay = (100 * ms) << (w.quick_deaths - 2 > 6 ? 6 : w.quick_deaths - 2);
    if (delay > 5 * second) delay = 5 * second;
    w.start_at = now + delay;
    if (wanted)
        log(Level::notice, "the old worker has ended; a new one goes on");
    else
        log(Level::error, "the worker %s; a new one goes on for it %s", how.s,
            delay ? "after a pause, since it died soon" : "at once");
}

void host_died(int index, int status) {
    Host& host = g.hosts[index];
    log_start_error(host.error_fd, "cluster-agent");
    // Its socket is often seen to be closed first, and it is killed for that: what it died of is told all the same.
    bool const by_us = host.dying && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!by_us) log(Level::error, "agent host %s (pid %d) %s", host.name.s, host.pid, how_it_ended(status).s);
    if (!g.cgroup.empty()) {
        Path const path = cgroup_path(g.cgroup, "host", host.name.s);
        kill_cgroup(path.s);  // what it forked itself
        remove_cgroup(path.s);
    }
    client_closed(1 + index);
    close(host.worker_fd);
    Name const name = host.name;
    host = {};
    send_host_gone(name.s);
}

void process_died(Process& process, int status) {
    if (process.error_fd >= 0) handle_start(static_cast<int>(&process - g.processes));  // first that it was started (or why not)
    process.running = false;
    process.wait_status = status;
    Name const resource = process.resource;
    // Kept: the main process's end until the resource is over (forget_ended), and what no host could be told.
    if (process.failed_start || (send_exited(process) && !(process.role == "main"))) process = {};
    record(resource.s);
}

}  // namespace

bool start_worker() {
    Worker& w = g.worker;
    int control[2];
    if (!make_pair(control)) {
        log(Level::error, "no socket for the worker: %s", strerror(errno));
        return false;
    }
    std::uint32_t const starts = g.shared->worker_starts.fetch_add(1) + 1;
    Path program;
    program.add("%s/clusterd-worker", g.programs.s);
    Text<32> resume;
    resume.add("CLUSTERD_RESUME=%d", starts > 1 ? 1 : 0);
    char guard_fd[] = "CLUSTERD_GUARD_FD=3", shared_fd[] = "CLUSTERD_SHARED_FD=4";
    char* extra[] = {guard_fd, shared_fd, starts > 1 ? resume.s : nullptr, nullptr};
    char node[] = "--node", config[] = "--config", state[] = "--state-dir", run[] = "--run-dir", key[] = "--key",
         format[] = "--log-format";
    Text<16> format_name{log_format_name()};
    char* argv[] = {program.s, node, g.options.node.s, config, nullptr,       state,  nullptr, run,
                    nullptr,   key,  nullptr,          format, format_name.s, nullptr};
    mutable_text(argv[4], g.options.config);
    mutable_text(argv[6], g.options.state_dir);
    mutable_text(argv[8], g.options.run_dir);
    mutable_text(argv[10], g.options.key);
    Launch launch;
    launch.argv = argv;
    launch.env = environment_with(extra);
    launch.pass[0] = control[1];
    launch.pass[1] = g.shared_fd;
    launch.dies_with_guard = true;
    Launched const started = clusterd::guard::launch(launch);
    int const error = errno;
    close(control[1]);
    if (started.pid < 0) {
        close(control[0]);
        log(Level::error, "the worker can't be started: %s", strerror(error));
        return false;
    }
    w.pid = started.pid;
    w.started = boot_now();
    w.ready = false;
    w.stopping = false;
    w.error_fd = started.error_fd;
    g.clients[0].fd = control[0];
    ++g.clients[0].generation;
    watch(control[0], watched_client, 0);
    if (g.leaving) send_leave();
    return true;
}

void kill_worker() {
    if (g.worker.pid == 0) return;
    g.worker.stopping = true;
    kill(g.worker.pid, SIGKILL);
}

int find_host(char const* name) {
    for (int i = 0; i < max_hosts; ++i)
        if (g.hosts[i].pid && g.hosts[i].name == name) return i;
    return -1;
}

bool start_host(char const* name, Line& why) {
    int index = 0;
    while (index < max_hosts && g.hosts[index].pid) ++index;
    if (index == max_hosts) {
        why.add("agent host %s: there are already %d", name, max_hosts);
        return false;
    }
    Path program;
    program.add("%s/cluster-agent", g.programs.s);
    if (access(program.s, X_OK) != 0) {
        why.add("agent host %s: %s: %s", name, program.s, strerror(errno));
        return false;
    }
    int control[2], frames[2];
    if (!make_pair(control)) {
        why.add("agent host %s: no socket: %s", name, strerror(errno));
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, frames) != 0) {
        why.add("agent host %s: no socket: %s", name, strerror(errno));
        close(control[0]);
        close(control[1]);
        return false;
    }
    Name host_name{name};
    char* argv[] = {program.s, host_name.s, nullptr};
    char guard_fd[] = "CLUSTERD_GUARD_FD=3", worker_fd[] = "CLUSTERD_WORKER_FD=4";
    Text<64> format;
    format.add("CLUSTERD_LOG_FORMAT=%s", log_format_name());
    Path run_dir;
    run_dir.add("CLUSTERD_RUN_DIR=%s", g.options.run_dir.s);
    char* extra[] = {guard_fd, worker_fd, format.s, run_dir.s, nullptr};
    Launch launch;
    launch.argv = argv;
    launch.env = environment_with(extra);
    launch.pass[0] = control[1];
    launch.pass[1] = frames[1];
    launch.dies_with_guard = true;
    launch.cgroup_fd = g.cgroup.empty() ? -1 : open_cgroup(g.cgroup, "host", name, launch.cgroup_fresh);
    Launched const started = clusterd::guard::launch(launch);
    int const error = errno;
    if (launch.cgroup_fd >= 0) close(launch.cgroup_fd);
    close(control[1]);
    close(frames[1]);
    if (started.pid < 0) {
        why.add("agent host %s can't be started: %s", name, strerror(error));
        close(control[0]);
        close(frames[0]);
        return false;
    }
    Host& host = g.hosts[index];
    host.name.set(name);
    host.pid = started.pid;
    host.worker_fd = frames[0];
    host.dying = false;
    host.error_fd = started.error_fd;
    Client& client = g.clients[1 + index];
    client.fd = control[0];
    ++client.generation;
    watch(control[0], watched_client, 1 + index);
    return true;
}

void kill_host(int index) {
    Host& host = g.hosts[index];
    host.dying = true;
    if (!g.cgroup.empty()) kill_cgroup(cgroup_path(g.cgroup, "host", host.name.s).s);
    kill(host.pid, SIGKILL);
}

// A host that many share: what hangs in it mustn't keep all the others from being driven. Killed as it is, it runs no instruction of its own any
// more. A host of one resource ("r-") gets no second one: that would hang where the first one does.
void make_room_for_another(int index) {
    Host& host = g.hosts[index];
    if (std::strncmp(host.name.s, "r-", 2) == 0 || std::strchr(host.name.s, '~')) return;
    log(Level::error, "agent host %s (pid %d) can't be killed: it waits for a device or a network filesystem that doesn't answer; another one takes its place", host.name.s, host.pid);
    Name const name = host.name;
    host.name = {};
    host.name.add("%.100s~%d", name.s, host.pid);
}

namespace {

pid_t bury_one(int& status) {
    siginfo_t dead{};  // without burying it
    if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0) return 0;
    OrdinaryScheduling const ordinary;
    return waitpid(dead.si_pid, &status, WNOHANG);
}

}  // namespace

void reap_children() {
    for (;;) {
        int status = 0;
        pid_t const pid = bury_one(status);
        if (pid <= 0) return;
        if (pid == g.worker.pid) {
            worker_died(status);
            continue;
        }
        for (int i = 0; i < max_hosts; ++i)
            if (g.hosts[i].pid == pid) host_died(i, status);
        for (Process& process : g.processes)
            if (process.pid == pid && process.running) process_died(process, status);
        mount_child_died(pid);
        // Anything else was left to us by a child of ours: a subreaper buries it.
    }
}

Process* free_process() {
    Process* oldest = nullptr;
    for (Process& process : g.processes) {
        if (process.pid == 0) return &process;
        if (!process.running && (!oldest || process.start < oldest->start)) oldest = &process;
    }
    if (oldest) *oldest = {};
    return oldest;
}

void forget_ended(char const* resource) {
    for (Process& process : g.processes) {
        if (!process.pid || process.running || (resource && !(process.resource == resource))) continue;
        // Nothing stays behind of a resource that isn't here; its next start makes the group anew.
        if (!g.cgroup.empty()) remove_cgroup(cgroup_path(g.cgroup, "res", process.resource.s).s);
        process = {};
    }
}

bool record(char const* resource) {
    static OwnedProcess processes[max_processes];
    static OwnedAddress addresses[max_addresses];
    static OwnedMount mounts[max_mounts];
    int n_processes = 0, n_addresses = 0, n_mounts = 0;
    for (Process const& process : g.processes)
        if (process.pid && process.running && process.resource == resource) processes[n_processes++] = {process.pid, process.start};
    for (OwnedAddress const& owned : g.addresses)
        if (!owned.address.empty() && owned.resource == resource) addresses[n_addresses++] = owned;
    for (OwnedMount const& owned : g.mounts)
        if (!owned.point.empty() && owned.resource == resource) mounts[n_mounts++] = owned;
    char const* cgroup = nullptr;
    for (OwnedCgroup const& owned : g.cgroups)
        if (owned.resource == resource) cgroup = owned.path.s;
    bool const ok = write_owned(g.options.run_dir.s, resource, {processes, n_processes, addresses, n_addresses, mounts, n_mounts, cgroup});
    if (!ok)
        log(Level::error, "resource %s: can't record in %s/owned what it owns: %s", resource, g.options.run_dir.s, strerror(errno));
    return ok;
}

namespace {

struct Marked {
    Text<160> variable;
    bool kill = false;
    int n = 0;
};

void visit_marked(Running const& process, void* context) {
    auto& marked = *static_cast<Marked*>(context);
    for (Process const& known : g.processes)
        if (known.pid == process.pid && known.running) return;  // counted and killed by the table
    Has const has = has_variable(process.pid, marked.variable.s);
    if (has == Has::no) return;
    ++marked.n;  // also if that can't be told for an instant: "nothing is left" must be true, and the next look knows
    if (marked.kill && has == Has::yes) signal_exactly(process, SIGKILL);
}

int marked_of(char const* resource, bool kill_them) {
    Marked marked;
    marked.variable.add("CLUSTERD_RESOURCE=%s", resource);
    marked.kill = kill_them;
    for_each_descendant(getpid(), g.worker.pid, visit_marked, &marked);
    return marked.n;
}

}  // namespace

int alive_of(char const* resource) {
    int known = 0;
    for (Process const& process : g.processes)
        if (process.pid && process.running && process.resource == resource) ++known;
    Path unit;
    int const in_unit = unit_of(resource, unit) ? cgroup_count(unit.s) : 0;
    if (g.cgroup.empty()) return known + in_unit + marked_of(resource, false);
    int const inside = cgroup_count(cgroup_path(g.cgroup, "res", resource).s);
    return (inside > known ? inside : known) + in_unit;
}

void kill_resource(char const* resource) {
    if (!g.cgroup.empty()) kill_cgroup(cgroup_path(g.cgroup, "res", resource).s);
    if (Path unit; unit_of(resource, unit) && cgroup_populated(unit.s)) kill_cgroup(unit.s);
    for (Process const& process : g.processes) {
        if (process.pid == 0 || !process.running || !(process.resource == resource)) continue;
        kill(-process.pid, SIGKILL);
        kill(process.pid, SIGKILL);
    }
    if (g.cgroup.empty()) marked_of(resource, true);
}

void client_closed(int slot) {
    Client& client = g.clients[slot];
    if (client.fd < 0) return;
    close(client.fd);  // leaves the epoll set with it
    client.fd = -1;
    ++client.generation;
}

}  // namespace clusterd::guard
