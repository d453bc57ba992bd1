// What clients are told: answers, now or once what they wait for has ended, and events. Nothing here waits.
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"

#include <sys/socket.h>
#include <cerrno>
#include <csignal>

namespace clusterd::guard {

namespace {

alignas(8) char out[max_packet];

bool current(ClientRef client) {
    return client.slot >= 0 && g.clients[client.slot].fd >= 0 && g.clients[client.slot].generation == client.generation;
}
void answer_host(ClientRef client, std::uint64_t id, int index) {
    if (!current(client)) return;
    Packer p{out, sizeof out};
    p.header(Message::answer, id);
    send_to(client.slot, out, p.size, g.hosts[index].worker_fd);
}

}  // namespace

ClientRef ref(int slot) {
    return {slot, g.clients[slot].generation};
}

void send_to(int slot, char const* data, std::size_t size, int fd) {
    iovec io{const_cast<char*>(data), size};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    if (sendmsg(g.clients[slot].fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EPIPE || errno == ECONNRESET) return;
    // It hasn't read for hundreds of messages. What it missed it can't be told again, so it starts anew.
    if (slot == 0) {
        log(Level::error, "the worker doesn't read what it is told (%s): killed, a new one goes on", strerror(errno));
        if (g.worker.pid) kill(g.worker.pid, SIGKILL);
    } else {
        log(Level::error, "agent host %s doesn't read what it is told (%s): killed", g.hosts[slot - 1].name.s, strerror(errno));
        kill_host(slot - 1);
    }
}

void answer_number(ClientRef client, std::uint64_t id, std::uint32_t number) {
    if (!current(client) || id == 0) return;
    Packer p{out, sizeof out};
    p.header(Message::answer, id);
    p.number(number);
    send_to(client.slot, out, p.size);
}

bool owe(Message message, ClientRef client, std::uint64_t id, char const* name, std::int64_t limit) {
    for (Owed& owed : g.owed) {
        if (owed.id) continue;
        owed.message = message;
        owed.client = client;
        owed.id = id;
        owed.name.set(name);
        owed.until = boot_now() + limit;
        owed.quiet = false;
        return true;
    }
    answer(client, id, "the guard owes too many answers already; ask again");
    return false;
}

void answer(ClientRef client, std::uint64_t id, char const* error) {
    if (!current(client) || id == 0) return;
    Packer p{out, sizeof out};
    p.header(Message::answer, id, error ? 1 : 0);
    if (error) p.text(error);
    send_to(client.slot, out, p.size);
}

void send_leave() {
    if (g.clients[0].fd < 0) return;
    Packer p{out, sizeof out};
    p.header(Message::leave, 0);
    send_to(0, out, p.size);
}

bool send_exited(Process const& process) {
    int const index = process.host.empty() ? -1 : find_host(process.host.s);
    if (!process.host.empty() && index < 0) return false;
    int const slot = 1 + index;
    if (g.clients[slot].fd < 0) return false;
    Packer p{out, sizeof out};
    p.header(Message::exited, 0);
    p.text(process.resource.s);
    p.text(process.role.s);
    p.signed_number(process.pid);
    p.signed_number(process.wait_status);
    send_to(slot, out, p.size);
    return true;
}

void send_host_gone(char const* name) {
    if (g.clients[0].fd < 0) return;
    Packer p{out, sizeof out};
    p.header(Message::host_gone, 0);
    p.text(name);
    send_to(0, out, p.size);
}

void send_emergency_done() {
    if (g.clients[0].fd < 0) return;
    Packer p{out, sizeof out};
    p.header(Message::emergency_done, 0);
    p.number(g.stop.proven ? 1 : 0);
    p.text(g.stop.reason.s);
    send_to(0, out, p.size);
}

bool any_owed() {
    for (Owed const& owed : g.owed)
        if (owed.id) return true;
    return false;
}

void pay_owed(std::int64_t now) {
    for (Owed& owed : g.owed) {
        if (owed.id == 0) continue;
        Owed const due = owed;
        bool const late = now > due.until;
        if (!current(due.client)) {
            owed = {};
            continue;
        }
        Line why;
        switch (due.message) {
            case Message::kill_all: {
                int const left = alive_of(due.name.s);
                if (left != 0 && !late) {
                    kill_resource(due.name.s);
                    owed.quiet = false;
                    continue;
                }
                // By the process tree, one look isn't enough: it is not of one instant, and what forks meanwhile may be missed.
                if (left == 0 && g.cgroup.empty() && !owed.quiet) {
                    owed.quiet = true;
                    continue;
                }
                owed = {};
                if (left == 0) {
                    forget_ended(due.name.s);
                    if (!g.cgroup.empty()) remove_cgroup(cgroup_path(g.cgroup, "res", due.name.s).s);  // also where only a look ran in it
                }
                answer_number(due.client, due.id, static_cast<std::uint32_t>(left));
                continue;
            }
            case Message::kill_host: {
                int const index = find_host(due.name.s);
                if (index >= 0 && !late) continue;
                owed = {};
                if (index >= 0) {
                    why.add("agent host %s (pid %d) can't be killed: it waits for a device or a network filesystem that doesn't answer", due.name.s, g.hosts[index].pid);
                    make_room_for_another(index);
                }
                answer(due.client, due.id, why.empty() ? nullptr : why.s);
                continue;
            }
            case Message::host: {
                int index = find_host(due.name.s);
                bool const must_wait = g.stop.active || (index >= 0 && g.hosts[index].dying);
                if (must_wait && !late) continue;
                owed = {};
                if (must_wait) {
                    why.add("agent host %s: the old one is still being ended", due.name.s);
                    if (index >= 0 && !g.stop.active) make_room_for_another(index);  // of a worker that didn't live to hear it: for the next try
                } else if (index < 0 && start_host(due.name.s, why))
                    index = find_host(due.name.s);
                if (why.empty())
                    answer_host(due.client, due.id, index);
                else
                    answer(due.client, due.id, why.s);
                continue;
            }
            default:
                continue;  // emergency_stop: answered when it is done
        }
    }
}

}  // namespace clusterd::guard
