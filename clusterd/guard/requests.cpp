// What worker and hosts ask for, and what they are told. Whatever doesn't parse is refused with the reason; nothing here waits.
#include "clusterd/guard/address.hpp"
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"
#include "clusterd/guard/notify.hpp"
#include "clusterd/guard/proctree.hpp"
#include "clusterd/guard/spawn.hpp"

#include <sys/socket.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace clusterd::guard {

// The line that must never be crossed: what needs a permit is refused without one.
bool refused(char const* what, char const* resource, bool needs_permit, Line& why) {
    if (g.stop.active)
        why.add("%s of %s refused: an emergency stop is under way", what, resource);
    else if (needs_permit && !permit_holds(boot_now()))
        why.add("%s of %s refused: no permit: this node may not have resources online now", what, resource);
    else
        return false;
    return true;
}

bool good_resource(char const* resource, Line& why) {
    if (safe_name(resource)) return true;
    why.add("'%.64s' is no name of a resource", resource);
    return false;
}

namespace {

alignas(8) char in[max_packet + 1];
alignas(8) char out[max_packet];  // of do_processes

// ---- spawn

struct SpawnFields {
    char const *resource, *role, *directory, *user;
    bool has_output;
    char* argv[max_arguments + 1];
    char* env[max_arguments + 16];
    int n_env;
    Text<160> resource_variable;
    Text<96> role_variable, home;
};
SpawnFields fields;
char path_variable[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
char lang_variable[] = "LANG=C.UTF-8";

bool sets(char const* assignment, char const* name) {
    return std::strncmp(assignment, name, std::strlen(name)) == 0;
}

bool take_strings(Unpacker& u, char** to, std::uint32_t& n) {
    n = u.number();
    if (!u.ok || n > max_arguments) return false;
    for (std::uint32_t i = 0; i < n; ++i) to[i] = const_cast<char*>(u.text());
    to[n] = nullptr;
    return u.ok;
}

// The minimum, and the marks by which the process is found again even when it left its group; then what was asked for.
bool take_environment(Unpacker& u) {
    fields.resource_variable = {};
    fields.resource_variable.add("CLUSTERD_RESOURCE=%s", fields.resource);
    fields.role_variable = {};
    fields.role_variable.add("CLUSTERD_ROLE=%s", fields.role);
    char** at = fields.env;
    *at++ = fields.resource_variable.s;
    *at++ = g.mark.s;
    *at++ = fields.role_variable.s;
    std::uint32_t n = 0;
    if (!take_strings(u, at, n)) return false;
    bool path = false, lang = false, home = fields.user[0] != 0;
    for (std::uint32_t i = 0; i < n; ++i) {
        path = path || sets(at[i], "PATH=");
        lang = lang || sets(at[i], "LANG=");
        home = home || sets(at[i], "HOME=");
    }
    at += n;
    if (!path) *at++ = path_variable;
    if (!lang) *at++ = lang_variable;
    fields.home = {};
    char const* ours = getenv("HOME");
    fields.home.add("HOME=%s", ours ? ours : "/");
    if (!home) *at++ = fields.home.s;
    *at = nullptr;
    return true;
}

bool take_spawn(Unpacker& u, int fd, Line& why) {
    fields.resource = u.text();
    fields.role = u.text();
    fields.directory = u.text();
    fields.user = u.text();
    fields.has_output = u.number() != 0;
    std::uint32_t argc = 0;
    if (!take_strings(u, fields.argv, argc) || !take_environment(u) || !u.complete()) {
        why.add("spawn: the request doesn't parse (more than %zu arguments or variables?)", max_arguments);
        return false;
    }
    if (!good_resource(fields.resource, why)) return false;
    if (fields.role[0] == 0 || std::strlen(fields.role) > max_role)
        why.add("spawn for %s: a role of 1 to %zu letters is needed", fields.resource, max_role);
    else if (argc == 0 || fields.argv[0][0] == 0)
        why.add("spawn for %s: no command", fields.resource);
    else if (fields.has_output && fd < 0)
        why.add("spawn for %s: the output descriptor is missing", fields.resource);
    return why.empty();
}

// A slot for it: an ended process of the same role makes room, a running `main` doesn't.
Process* room_for(char const* resource, char const* role, Line& why) {
    for (Process& process : g.processes) {
        if (process.pid == 0 || !(process.resource == resource) || !(process.role == role)) continue;
        if (!process.running)
            process = {};
        else if (std::strcmp(role, "main") == 0 && !process.failed_start) {
            why.add("the main process of %s runs already (pid %d)", resource, process.pid);
            return nullptr;
        }
    }
    Process* process = free_process();
    if (!process) why.add("spawn for %s: %d processes run already", resource, max_processes);
    return process;
}

Launched launch_for_resource(int output) {
    Launch launch;
    launch.argv = fields.argv;
    launch.env = fields.env;
    launch.user = fields.user;
    launch.directory = fields.directory[0] ? fields.directory : "/";
    launch.output_fd = output;
    if (!g.cgroup.empty()) {
        launch.cgroup_fd = open_cgroup(g.cgroup, "res", fields.resource, launch.cgroup_fresh);
        if (launch.cgroup_fd < 0)
            log(Level::warning, "resource %s: no cgroup: %s; its process group is used", fields.resource, strerror(errno));
    }
    Launched const started = clusterd::guard::launch(launch);
    int const error = errno;
    if (launch.cgroup_fd >= 0) close(launch.cgroup_fd);
    errno = error;
    return started;
}

void do_spawn(int slot, std::uint64_t id, Unpacker& u, int fd) {
    Line why;
    Process* process = nullptr;
    if (take_spawn(u, fd, why) && !refused(fields.role, fields.resource, role_needs_permit(fields.role), why))
        process = room_for(fields.resource, fields.role, why);
    if (!process) {
        answer(ref(slot), id, why.s);
        return;
    }
    Launched const started = launch_for_resource(fields.has_output ? fd : -1);
    if (started.pid < 0) {
        why.add("can't start a process for %s: %s", fields.resource, strerror(errno));
        answer(ref(slot), id, why.s);
        return;
    }
    *process = {};
    process->pid = started.pid;
    process->resource.set(fields.resource);
    process->role.set(fields.role);
    if (slot > 0) process->host = g.hosts[slot - 1].name;
    Running seen;
    if (look_up(started.pid, seen)) process->start = seen.start;
    process->running = true;
    process->error_fd = started.error_fd;
    process->asked_by = ref(slot);
    process->id = id;
    watch(started.error_fd, watched_start, static_cast<int>(process - g.processes));
    record(fields.resource);
}

// ---- the other requests of hosts

void do_signal(int slot, std::uint64_t id, Unpacker& u) {
    char const* resource = u.text();
    char const* role = u.text();
    int const number = u.signed_number();
    Line why;
    if (!u.complete() || number < 0 || number >= NSIG) why.set("signal: the request doesn't parse");
    bool found = false;
    for (Process const& process : g.processes) {
        if (!why.empty() || process.pid == 0 || !process.running || !(process.resource == resource) || !(process.role == role))
            continue;
        found = true;
        // A one-shot is what its shell started, too; a daemon's main process knows its own children.
        pid_t const to = process.role == "main" ? process.pid : -process.pid;
        if (kill(to, number) != 0 && kill(process.pid, number) != 0)
            why.add("signal %d to %s of %s: %s", number, role, resource, strerror(errno));
    }
    if (why.empty() && !found) why.add("no %s process of %s runs", role, resource);
    answer(ref(slot), id, why.empty() ? nullptr : why.s);
}

void do_processes(int slot, std::uint64_t id, Unpacker& u) {
    char const* resource = u.text();
    if (!u.complete()) {
        answer(ref(slot), id, "processes: the request doesn't parse");
        return;
    }
    std::uint32_t n = 0;
    for (Process const& process : g.processes)
        if (process.pid && process.resource == resource && !process.failed_start) ++n;
    Packer p{out, sizeof out};
    p.header(Message::answer, id);
    p.number(n);
    for (Process const& process : g.processes) {
        if (process.pid == 0 || !(process.resource == resource) || process.failed_start) continue;
        p.text(process.role.s);
        p.signed_number(process.pid);
        p.number(process.running ? 1 : 0);
        p.signed_number(process.wait_status);
    }
    send_to(slot, out, p.size);
}

void do_own_address(int slot, std::uint64_t id, Unpacker& u, bool own) {
    char const* resource = u.text();
    char const* address = u.text();
    char const* interface = u.text();
    Line why;
    OwnedAddress* free = nullptr;
    OwnedAddress* same = nullptr;
    if (!u.complete())
        why.set("own_address: the request doesn't parse");
    else if (!good_resource(resource, why)) {
    } else if (!valid_address(address))
        why.add("'%.64s' is no address with prefix", address);
    else if (interface[0] == 0 || std::strlen(interface) > 15)
        why.add("'%.64s' is no interface's name", interface);
    else if (own)
        refused(address, resource, true, why);
    for (OwnedAddress& owned : g.addresses) {
        if (owned.address.empty())
            free = free ? free : &owned;
        else if (owned.resource == resource && owned.address == address && owned.interface == interface)
            same = &owned;
    }
    if (why.empty() && own && !same) {
        if (!free)
            why.add("%d addresses are owned already", max_addresses);
        else {
            free->resource.set(resource);
            free->address.set(address);
            free->interface.set(interface);
            if (!record(resource)) {
                *free = {};
                why.add("address %s of %s can't be recorded in %s/owned; nothing was done", address, resource, g.options.run_dir.s);
            }
        }
    }
    if (why.empty() && !own && same) {
        *same = {};
        record(resource);
    }
    answer(ref(slot), id, why.empty() ? nullptr : why.s);
}

void do_count(int slot, std::uint64_t id, Unpacker& u, bool kill_all) {
    char const* resource = u.text();
    Line why;
    if (!u.complete())
        why.set("count: the request doesn't parse");
    else
        good_resource(resource, why);
    if (!why.empty()) {
        answer(ref(slot), id, why.s);
        return;
    }
    if (!kill_all) {
        answer_number(ref(slot), id, static_cast<std::uint32_t>(alive_of(resource)));
        return;
    }
    kill_resource(resource);
    owe(Message::kill_all, ref(slot), id, resource, kill_limit);
}

// ---- requests of the worker

void do_worker_request(Message message, std::uint64_t id, Unpacker& u) {
    switch (message) {
        case Message::host:
        case Message::kill_host: {
            char const* name = u.text();
            if (!u.complete() || !safe_name(name)) {
                answer(ref(0), id, "host: not a name of an agent host");
                return;
            }
            int const index = find_host(name);
            if (message == Message::kill_host && index >= 0) kill_host(index);
            owe(message, ref(0), id, name, message == Message::host ? 2 * kill_limit : kill_limit);
            return;
        }
        case Message::emergency_stop: {
            char const* reason = u.text();
            if (g.stop.active && g.stop.reported)
                answer(ref(0), id, g.stop.reason.s);
            else if (owe(Message::emergency_stop, ref(0), id, "", 0))
                begin_stop(u.complete() && reason[0] ? reason : "the worker asks for it");
            return;
        }
        case Message::ready:
            g.worker.ready = true;
            if (!g.was_ready || g.reloading) notify("READY=1");
            g.was_ready = true;
            g.reloading = false;
            return;
        case Message::status_line: {
            Line status;
            status.add("STATUS=%.400s", u.text());
            for (char* c = status.s; *c; ++c)
                if (*c == '\n') *c = ' ';
            notify(status.s);
            return;
        }
        case Message::left:
            log(Level::notice, "left the cluster");
            g.left = true;
            g.leave_until = boot_now() + 5 * second;  // for the worker to end by itself
            return;
        case Message::watchdog: {
            char const* path = u.text();
            auto const seconds = static_cast<int>(u.number());
            Line why;
            if (!u.complete() || (path[0] != 0 && (path[0] != '/' || std::strchr(path, ' ') || seconds < 1 || seconds > 3600)))
                why.set("watchdog: a device's path without blanks and 1 to 3600 seconds are expected");
            else if (path[0] == 0)
                disarm_watchdog();
            else
                arm_watchdog(path, seconds, why);
            if (why.empty())
                answer_number(ref(0), id, static_cast<std::uint32_t>(g.dog.seconds));
            else
                answer(ref(0), id, why.s);
            return;
        }
        case Message::permit_began:
            return;  // every turn of the loop looks at the permit
        default:
            answer(ref(0), id, "not a request");
            return;
    }
}

void handle_request(int slot, Header const& header, Unpacker& u, int fd) {
    auto const message = static_cast<Message>(header.message);
    switch (message) {
        case Message::spawn:
            do_spawn(slot, header.id, u, fd);
            return;
        case Message::signal:
            do_signal(slot, header.id, u);
            return;
        case Message::kill_all:
            do_count(slot, header.id, u, true);
            return;
        case Message::processes:
            do_processes(slot, header.id, u);
            return;
        case Message::count:
            do_count(slot, header.id, u, false);
            return;
        case Message::own_address:
            do_own_address(slot, header.id, u, true);
            return;
        case Message::disown_address:
            do_own_address(slot, header.id, u, false);
            return;
        case Message::own_cgroup:
            do_own_cgroup(slot, header.id, u, true);
            return;
        case Message::disown_cgroup:
            do_own_cgroup(slot, header.id, u, false);
            return;
        case Message::own_mount:
            do_own_mount(slot, header.id, u);
            return;
        case Message::disown_mount:
            do_disown_mount(slot, header.id, u);
            return;
        default:
            break;
    }
    if (slot == 0)
        do_worker_request(message, header.id, u);
    else
        answer(ref(slot), header.id, "not a request that an agent host may make");
}

int passed_fd(msghdr& message) {
    int fd = -1;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        std::size_t const n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < n; ++i) {
            int one;
            std::memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof one);
            if (fd < 0)
                fd = one;
            else
                close(one);
        }
    }
    return fd;
}

void client_hung_up(int slot) {
    client_closed(slot);
    if (slot == 0) {
        if (!g.left && g.worker.pid) kill(g.worker.pid, SIGKILL);  // most often it is dead already, and will be reaped
    } else if (g.hosts[slot - 1].pid)
        kill_host(slot - 1);
}

}  // namespace

void handle_message(int slot) {
    Client const& client = g.clients[slot];
    if (client.fd < 0) return;
    iovec io{in, sizeof in};
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t const n = recvmsg(client.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        client_hung_up(slot);
        return;
    }
    int const fd = passed_fd(message);
    Unpacker u{in, static_cast<std::size_t>(n)};
    Header header;
    if (!u.header(header) || static_cast<std::size_t>(n) > max_packet) {
        log(Level::error, "a message of %s doesn't parse: it is ignored", slot == 0 ? "the worker" : g.hosts[slot - 1].name.s);
        if (u.ok && header.magic == Header::magic_value) answer(ref(slot), header.id, "the request is too large");
    } else
        handle_request(slot, header, u, fd);
    if (fd >= 0) close(fd);
}

void handle_start(int index) {
    Process& process = g.processes[index];
    if (process.pid == 0 || process.error_fd < 0) return;
    Line why;
    ssize_t const n = read(process.error_fd, why.s, sizeof why.s - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    close(process.error_fd);
    process.error_fd = -1;
    process.failed_start = n > 0;
    if (n > 0)
        answer(process.asked_by, process.id, why.s);
    else
        answer_number(process.asked_by, process.id, static_cast<std::uint32_t>(process.pid));
}

}  // namespace clusterd::guard
