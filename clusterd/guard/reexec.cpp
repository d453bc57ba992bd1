// SIGHUP: the guard becomes its own new version, in place. Same pid, same children; what it knows goes through a memfd as lines
// of text, so that two versions need agree on words only. Descriptors stay open across exec under their numbers.
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"

#include <sys/mman.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace clusterd::guard {

namespace {

constexpr char variable[] = "CLUSTERD_GUARD_STATE";
constexpr char first_line[] = "clusterd-guard-state 1\n";

void keep(int fd, bool across_exec) {
    if (fd >= 0) fcntl(fd, F_SETFD, across_exec ? 0 : FD_CLOEXEC);
}

// Everything that must survive, and only that.
void keep_all(bool across_exec) {
    keep(g.lock_fd, across_exec);
    keep(g.shared_fd, across_exec);
    keep(g.dog.fd, across_exec);
    for (int i = 0; i < max_hosts; ++i) {
        if (g.hosts[i].pid == 0) continue;
        keep(g.hosts[i].worker_fd, across_exec);
        keep(g.clients[1 + i].fd, across_exec);
    }
}

char const* or_dash(char const* s) {
    return *s ? s : "-";
}

bool write_state(FILE* file) {
    std::fputs(first_line, file);
    std::fprintf(file, "lock %d\nshared %d\nworker %d\nready %d\n", g.lock_fd, g.shared_fd, g.worker.pid, g.was_ready ? 1 : 0);
    std::fprintf(file, "permit %d %lld %lld %u\n", g.permit_seen ? 1 : 0, static_cast<long long>(g.shared->permit_end_ns.load()),
                 static_cast<long long>(g.shared->kill_ns.load()), g.shared->worker_starts.load());
    for (int i = 0; i < max_hosts; ++i)
        if (g.hosts[i].pid)
            std::fprintf(file, "host %s %d %d %d\n", g.hosts[i].name.s, g.hosts[i].pid, g.clients[1 + i].fd, g.hosts[i].worker_fd);
    for (Process const& p : g.processes)
        if (p.pid && !p.failed_start)
            std::fprintf(file, "process %s %s %s %d %lu %d %d\n", p.resource.s, p.role.s, or_dash(p.host.s), p.pid,
                         static_cast<unsigned long>(p.start), p.running ? 1 : 0, p.wait_status);
    for (OwnedAddress const& a : g.addresses)
        if (!a.address.empty()) std::fprintf(file, "address %s %s %s\n", a.resource.s, a.address.s, a.interface.s);
    if (g.dog.fd >= 0) std::fprintf(file, "watchdog %d %d %s\n", g.dog.fd, g.dog.seconds, g.dog.path.s);
    for (OwnedCgroup const& c : g.cgroups)
        if (!c.resource.empty()) std::fprintf(file, "cgroup %s %s\n", c.resource.s, c.path.s);
    for (OwnedMount const& m : g.mounts)
        if (!m.point.empty()) std::fprintf(file, "mount %s %s %u %u\n", m.resource.s, m.point.s, m.device.major, m.device.minor);
    std::fputs("end\n", file);
    return std::fflush(file) == 0;
}

struct Read {
    int next_host = 0, next_process = 0, next_address = 0, next_cgroup = 0, next_mount = 0;
    bool ended = false;
    long long permit_end = 0, kill = 0;
    unsigned worker_starts = 1;
};

bool read_host(char const* line, Read& r) {
    char name[128];
    int pid = 0, control = -1, frames = -1;
    if (r.next_host >= max_hosts || std::sscanf(line, "host %127s %d %d %d", name, &pid, &control, &frames) != 4) return false;
    Host& host = g.hosts[r.next_host];
    host.name.set(name);
    host.pid = pid;
    host.worker_fd = frames;
    Client& client = g.clients[1 + r.next_host];
    client.fd = control;
    client.generation = 1;
    ++r.next_host;
    return true;
}

bool read_process(char const* line, Read& r) {
    char resource[128], role[64], host[128];
    int pid = 0, running = 0, status = 0;
    unsigned long start = 0;
    if (r.next_process >= max_processes ||
        std::sscanf(line, "process %127s %63s %127s %d %lu %d %d", resource, role, host, &pid, &start, &running, &status) != 7)
        return false;
    Process& p = g.processes[r.next_process++];
    p.resource.set(resource);
    p.role.set(role);
    p.host.set(std::strcmp(host, "-") == 0 ? "" : host);
    p.pid = pid;
    p.start = start;
    p.running = running != 0;
    p.wait_status = status;
    return true;
}

bool read_address(char const* line, Read& r) {
    char resource[128], address[64], interface[16];
    if (r.next_address >= max_addresses || std::sscanf(line, "address %127s %63s %15s", resource, address, interface) != 3)
        return false;
    OwnedAddress& owned = g.addresses[r.next_address++];
    owned.resource.set(resource);
    owned.address.set(address);
    owned.interface.set(interface);
    return true;
}

bool read_cgroup(char const* line, Read& r) {
    char resource[128], path[512];
    if (r.next_cgroup >= max_cgroups || std::sscanf(line, "cgroup %127s %511s", resource, path) != 2) return false;
    OwnedCgroup& owned = g.cgroups[r.next_cgroup++];
    owned.resource.set(resource);
    owned.path.set(path);
    return true;
}

bool read_mount(char const* line, Read& r) {
    char resource[128], point[512];
    DeviceNumber device;
    if (r.next_mount >= max_mounts ||
        std::sscanf(line, "mount %127s %511s %u %u", resource, point, &device.major, &device.minor) != 4)
        return false;
    OwnedMount& owned = g.mounts[r.next_mount++];
    owned.resource.set(resource);
    owned.point.set(point);
    owned.device = device;
    return true;
}

// A line whose word a newer version added is skipped; one of ours that doesn't parse is an error.
bool read_line(char const* line, Read& r) {
    int number = 0, seconds = 0;
    char path[512];
    if (std::sscanf(line, "watchdog %d %d %511s", &number, &seconds, path) == 3) {
        adopt_watchdog(path, number, seconds);
        return true;
    }
    if (std::strncmp(line, "host ", 5) == 0) return read_host(line, r);
    if (std::strncmp(line, "process ", 8) == 0) return read_process(line, r);
    if (std::strncmp(line, "address ", 8) == 0) return read_address(line, r);
    if (std::strncmp(line, "cgroup ", 7) == 0) return read_cgroup(line, r);
    if (std::strncmp(line, "mount ", 6) == 0) return read_mount(line, r);
    if (std::strcmp(line, "end\n") == 0)
        r.ended = true;
    else if (std::sscanf(line, "lock %d", &number) == 1)
        g.lock_fd = number;
    else if (std::sscanf(line, "shared %d", &number) == 1)
        g.shared_fd = number;
    else if (std::sscanf(line, "worker %d", &number) == 1)
        g.worker.pid = number;
    else if (std::sscanf(line, "ready %d", &number) == 1)
        g.was_ready = number != 0;
    else if (std::sscanf(line, "permit %d %lld %lld %u", &number, &r.permit_end, &r.kill, &r.worker_starts) == 4)
        g.permit_seen = number != 0;
    return true;
}

// The old version's memory, where the new one understands it; else a new one with the same permit (and no state to resume from).
bool take_shared(Read const& r) {
    g.shared = map_shared_memory(g.shared_fd);
    if (!g.shared) {
        close(g.shared_fd);
        g.shared_fd = make_shared_memory();
        g.shared = g.shared_fd < 0 ? nullptr : map_shared_memory(g.shared_fd, true);
        if (!g.shared) return false;
        g.shared->permit_end_ns.store(r.permit_end);
        g.shared->kill_ns.store(r.kill);
        g.shared->worker_starts.store(r.worker_starts);
    }
    g.permit_end = g.shared->permit_end_ns.load();
    return true;
}

}  // namespace

void reexec() {
    log(Level::notice, "re-executing %s", g.self.s);
    int const fd = memfd_create("clusterd-guard-state", 0);
    FILE* file = fd < 0 ? nullptr : fdopen(dup(fd), "w");
    if (!file || !write_state(file)) {
        log(Level::error, "can't write down the state to re-execute with: %s; the reload is not done", strerror(errno));
        if (file) std::fclose(file);
        if (fd >= 0) close(fd);
        return;
    }
    std::fclose(file);
    Text<32> number;
    number.add("%d", fd);
    setenv(variable, number.s, 1);
    keep_all(true);
    char node[] = "--node", config[] = "--config", state[] = "--state-dir", run[] = "--run-dir", key[] = "--key",
         format[] = "--log-format";
    Text<16> format_name{log_format_name()};
    char* argv[] = {g.self.s,
                    node,
                    g.options.node.s,
                    config,
                    g.options.config.s,
                    state,
                    g.options.state_dir.s,
                    run,
                    g.options.run_dir.s,
                    key,
                    g.options.key.s,
                    format,
                    format_name.s,
                    nullptr};
    execv(g.self.s, argv);
    log(Level::error, "can't execute %s: %s; the reload is not done", g.self.s, strerror(errno));
    keep_all(false);
    unsetenv(variable);
    close(fd);
}

bool inherited_state() {
    return getenv(variable) != nullptr;
}

bool take_over_state() {
    std::uint64_t fd = 0;
    if (!parse_number(getenv(variable), 1 << 20, fd)) return false;
    unsetenv(variable);
    FILE* file = fdopen(static_cast<int>(fd), "r");
    if (!file) return false;
    std::rewind(file);
    char line[1024];
    Read r;
    bool ok = std::fgets(line, sizeof line, file) && std::strcmp(line, first_line) == 0;
    while (ok && !r.ended && std::fgets(line, sizeof line, file)) ok = read_line(line, r);
    std::fclose(file);
    if (!ok || !r.ended || g.lock_fd < 0 || g.shared_fd < 0 || !take_shared(r)) return false;
    keep_all(false);
    for (int i = 0; i < max_hosts; ++i)
        if (g.hosts[i].pid) watch(g.clients[1 + i].fd, watched_client, 1 + i);
    g.reloading = true;
    g.worker.started = boot_now();
    kill_worker();  // its end starts the new one
    return true;
}

}  // namespace clusterd::guard
