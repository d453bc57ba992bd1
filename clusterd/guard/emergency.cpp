// Enforces the permit's end: the guard's reason to be. See guard.hpp for the promise.
//
// Order of the stop: kill first (nothing can delay a signal), then take the addresses off (rtnetlink may have to wait for a lock
// that others hold), then look until everything has ended. What escapes by forking is caught by the next look.
#include "clusterd/guard/address.hpp"
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"
#include "clusterd/guard/proctree.hpp"

#include <cerrno>
#include <csignal>

namespace clusterd::guard {

namespace {

std::int64_t kill_budget() {
    std::int64_t const k = g.shared->kill_ns.load(std::memory_order_acquire);
    return k < 0 ? 0 : (k > 60 * second ? 60 * second : k);
}

void kill_everything() {
    for (Host& host : g.hosts) {
        if (host.pid == 0) continue;
        host.dying = true;
        kill(host.pid, SIGKILL);  // not reaped yet, so the number is still its own
    }
    if (!g.cgroup.empty()) kill_cgroup(g.cgroup.s);
    kill_units();
    for (Process const& process : g.processes) {
        if (process.pid == 0 || !process.running) continue;
        kill(-process.pid, SIGKILL);
        kill(process.pid, SIGKILL);
    }
}

int kill_descendants() {
    int n = 0;
    for_each_descendant(
        getpid(), g.worker.pid,
        [](Running const& process, void* context) {
            if (ends_a_mount(process.pid)) return;
            signal_exactly(process, SIGKILL);
            ++*static_cast<int*>(context);
        },
        &n);
    return n;
}

void drop_addresses() {
    for (OwnedAddress& owned : g.addresses) {
        if (owned.address.empty()) continue;
        if (remove_address(owned.address.s, owned.interface.s) == Removed::failed) {
            if (!g.stop.reported)
                log(Level::error, "address %s on %s can't be removed: %s", owned.address.s, owned.interface.s, strerror(errno));
            continue;
        }
        Name const resource = owned.resource;
        owned = {};
        record(resource.s);
    }
}

// What has not ended, for people; empty = everything has.
Line what_is_left() {
    Line left;
    for (Host const& host : g.hosts)
        if (host.pid) left.add("%sagent host %s (pid %d)", left.empty() ? "" : ", ", host.name.s, host.pid);
    for (Process const& process : g.processes)
        if (process.pid && process.running)
            left.add("%s%s of %s (pid %d)", left.empty() ? "" : ", ", process.role.s, process.resource.s, process.pid);
    if (left.empty() && !g.cgroup.empty() && cgroup_populated(g.cgroup.s)) left.add("processes in %s", g.cgroup.s);
    name_running_units(left);
    // After the processes: one of them may just have mounted it. It leaves mountinfo before the kernel is done with it: the child tells.
    for (OwnedMount const& owned : g.mounts)
        if (!owned.point.empty() && (owned.child != 0 || is_mounted(owned.device))) left.add("%sfilesystem %s", left.empty() ? "" : ", ", owned.point.s);
    for (OwnedAddress const& owned : g.addresses)
        if (!owned.address.empty()) left.add("%saddress %s on %s", left.empty() ? "" : ", ", owned.address.s, owned.interface.s);
    return left;
}

void answer_stop(char const* error) {
    for (Owed& owed : g.owed) {
        if (owed.id == 0 || owed.message != Message::emergency_stop) continue;
        answer(owed.client, owed.id, error);
        owed = {};
    }
}

void report_unproven(Line const& left) {
    g.stop.reported = true;
    g.stop.proven = false;
    g.shared->emergency_unproven.fetch_add(1);
    log(Level::error, "emergency stop: can't be proven stopped after 5 s: %s", left.s);
    Line text;
    text.add("can't be proven stopped: %s", left.s);
    answer_stop(text.s);
    g.stop.reason = text;
    send_emergency_done();
}

void stop_is_done(std::int64_t now) {
    g.stop.active = false;
    g.stop.proven = true;
    g.shared->emergency_done_ns.store(now);
    long const took_us = static_cast<long>((now - g.stop.begun) / 1000);
    if (!g.finishing)
        log(Level::warning, "emergency stop: everything has ended, %ld.%03ld ms after it began", took_us / 1000, took_us % 1000);
    for (Process const& process : g.processes)
        if (process.pid) record(process.resource.s);
    forget_ended(nullptr);
    if (g.finishing) forget_mounts();  // no driver comes any more to say that they are offline
    g.stop.reason.add("; everything has ended after %ld.%03ld ms", took_us / 1000, took_us % 1000);
    answer_stop(nullptr);
    send_emergency_done();
}

// A standby's permit ends each time its peer dies, just before it is to take over: its agent hosts, which have looked ahead, must
// not be killed then. Only where both the worker and our own records say that nothing was ever begun.
bool nothing_to_stop() {
    if (g.shared->idle.load(std::memory_order_acquire) != 1) return false;
    for (Process const& process : g.processes)
        if (process.pid) return false;
    for (OwnedAddress const& owned : g.addresses)
        if (!owned.address.empty()) return false;
    for (OwnedMount const& owned : g.mounts)
        if (!owned.point.empty()) return false;
    return !any_unit_runs();
}

}  // namespace

bool permit_holds(std::int64_t now) {
    std::int64_t const end = g.shared->permit_end_ns.load(std::memory_order_acquire);
    return end > 0 && now < end - kill_budget();
}

void enforce_permit(std::int64_t now) {
    std::int64_t const end = g.shared->permit_end_ns.load(std::memory_order_acquire);
    if (permit_holds(now)) {
        g.permit_seen = true;
        g.permit_end = end;
        return;
    }
    // A permit that came and went between two looks counts as one that was seen.
    bool const had_one = g.permit_seen || (end > 0 && end > g.permit_end);
    if (end > g.permit_end) g.permit_end = end;
    g.permit_seen = false;
    if (!had_one || nothing_to_stop()) return;
    if (end <= 0)
        begin_stop("the permit was given up");
    else if (now < end)
        begin_stop("the permit ends and was not renewed");
    else
        begin_stop("the permit has ended");
}

void begin_stop(char const* reason) {
    if (g.stop.active) return;
    std::int64_t const now = boot_now();
    g.stop = {};
    g.stop.active = true;
    g.stop.begun = now;
    g.stop.pause = 2 * ms;
    g.stop.look_again = now + g.stop.pause;
    g.stop.reason.set(reason);
    g.shared->emergency_stops.fetch_add(1);
    g.shared->emergency_begun_ns.store(now);
    kill_everything();
    end_mounts();
    if (!g.finishing && g.permit_end == 0)
        log(Level::warning, "emergency stop: %s; everything of every resource is killed", reason);
    else if (!g.finishing) {
        long const left_ms = static_cast<long>((g.permit_end - now) / ms);
        log(Level::warning, "emergency stop: %s (%ld ms %s the permit's end); everything of every resource is killed", reason,
            left_ms < 0 ? -left_ms : left_ms, left_ms < 0 ? "after" : "before");
    }
    drop_addresses();
    kill_descendants();
    look_at_stop(now);
}

void look_at_stop(std::int64_t now) {
    if (!g.stop.active) return;
    Line left = what_is_left();
    if (left.empty()) {
        int const escaped = kill_descendants();
        if (escaped == 0) {
            stop_is_done(boot_now());
            return;
        }
        left.add("%d processes that left their group", escaped);
    }
    if (now < g.stop.look_again) return;
    kill_everything();
    end_mounts();
    drop_addresses();
    kill_descendants();
    if (!g.stop.reported && now - g.stop.begun > kill_limit) report_unproven(left);
    std::int64_t const longest = g.stop.reported ? second : 50 * ms;
    g.stop.pause = g.stop.pause * 2 > longest ? longest : g.stop.pause * 2;
    g.stop.look_again = now + g.stop.pause;
}

}  // namespace clusterd::guard
