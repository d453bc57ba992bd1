// The guard's one loop; guard.hpp says in which order it looks at things, and why.
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"
#include "clusterd/guard/notify.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <initializer_list>

namespace clusterd::guard {

Guard g;

namespace {

constexpr std::int64_t look_for_permit = 250 * ms;  // permit_began() comes at once; this is for a worker that dies before it
constexpr std::int64_t look_for_answers = 5 * ms;
constexpr std::int64_t new_worker_limit = 10 * second;  // so long a worker that isn't ready counts as being started

std::int64_t leave_limit() {
    std::uint64_t seconds = 90;
    if (char const* text = getenv("CLUSTERD_LEAVE_TIMEOUT_S")) {
        std::uint64_t given = 0;
        if (parse_number(text, 86400, given)) seconds = given;
    }
    return static_cast<std::int64_t>(seconds) * second;
}

void leave_signal() {
    if (g.leaving) {
        if (g.finishing) return;
        log(Level::warning, "a second signal to end: everything is stopped now");
        begin_finish(1);
        return;
    }
    log(Level::notice, "leaving the cluster: groups move away, or go offline");
    g.leaving = true;
    g.leave_until = boot_now() + leave_limit();
    notify("STOPPING=1\nSTATUS=Leaving the cluster");
    send_leave();
}

void reload_signal() {
    if (g.leaving || g.finishing || g.reload_wanted) return;
    g.reload_wanted = true;
    g.reload_until = boot_now() + 10 * second;
    Text<64> text;
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    text.add("RELOADING=1\nMONOTONIC_USEC=%lld", static_cast<long long>(now.tv_sec) * 1000000 + now.tv_nsec / 1000);
    notify(text.s);
}

void handle_signal() {
    signalfd_siginfo info;
    if (read(g.signal_fd, &info, sizeof info) != sizeof info) return;
    switch (info.ssi_signo) {
        case SIGCHLD:
            reap_children();
            break;
        case SIGTERM:
        case SIGINT:
            leave_signal();
            break;
        case SIGHUP:
            reload_signal();
            break;
        default:
            break;
    }
}

void tell_watchdog(std::int64_t now) {
    if (g.watchdog == 0 || now < g.watchdog_at) return;
    std::uint64_t const alive = g.shared->alive.load(std::memory_order_relaxed);
    bool const restarting = g.worker.pid == 0 || (!g.worker.ready && now - g.worker.started < new_worker_limit);
    if (alive != g.alive_seen || restarting || g.finishing) notify("WATCHDOG=1");
    g.alive_seen = alive;
    g.watchdog_at = now + g.watchdog / 2;
}

// A re-execution waits for answers that are owed (they would be lost), but not for long.
bool may_reexec(std::int64_t now) {
    if (!g.reload_wanted) return false;
    if (now > g.reload_until) return true;
    for (Process const& process : g.processes)
        if (process.pid && process.error_fd >= 0) return false;
    return !any_owed() && !g.stop.active;
}

void do_what_is_due(std::int64_t now) {
    end_late_units(now);
    look_at_stop(now);
    tend_watchdog(now);
    pay_owed(now);
    if (g.worker.pid == 0 && !g.finishing && now >= g.worker.start_at && !start_worker()) g.worker.start_at = now + second;
    tell_watchdog(now);
    if (g.leaving && !g.finishing && now > g.leave_until) {
        if (!g.left) log(Level::error, "the clean leave has not come to its end in time: everything is stopped now");
        begin_finish(g.left ? 0 : 1);
    }
    if (may_reexec(now)) {
        reexec();
        g.reload_wanted = false;  // it failed, and was logged: all goes on as before
        notify("READY=1");
    }
    if (g.finishing && g.worker.pid == 0 && !g.stop.active) g.finished = true;
    if (g.finishing && g.stop.active &&
        g.stop.reported) {  // what can't be ended can't be waited for: systemd and the next start go on
        g.exit_code = 1;
        g.finished = true;
    }
}

std::int64_t next_look(std::int64_t now) {
    std::int64_t at = now + look_for_permit;
    auto const by = [&at](std::int64_t when) {
        if (when < at) at = when;
    };
    if (g.permit_seen) {
        std::int64_t const k = g.shared->kill_ns.load();
        by(g.permit_end - (k < 0 ? 0 : k));
    }
    if (g.stop.active) by(g.stop.look_again);
    by(next_feeding(at));
    if (any_owed() || g.reload_wanted) by(now + look_for_answers);
    if (g.worker.pid == 0 && !g.finishing) by(g.worker.start_at);
    if (g.watchdog) by(g.watchdog_at);
    if (g.leaving) by(g.leave_until);
    return at;
}

void arm_timer(std::int64_t at) {
    if (at < 1) at = 1;  // 0 would disarm it; the past fires at once
    itimerspec spec{};
    spec.it_value.tv_sec = at / second;
    spec.it_value.tv_nsec = at % second;
    timerfd_settime(g.timer_fd, TFD_TIMER_ABSTIME, &spec, nullptr);
}

}  // namespace

bool watch(int fd, std::uint32_t type, int slot) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint64_t>(type) << 32 | static_cast<std::uint32_t>(slot);
    if (epoll_ctl(g.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) return true;
    log(Level::error, "epoll: %s", strerror(errno));
    return false;
}

bool set_up_loop() {
    sigset_t set;
    sigemptyset(&set);
    for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    g.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    g.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    g.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (g.signal_fd < 0 || g.timer_fd < 0 || g.epoll_fd < 0) {
        log(Level::error, "signalfd, timerfd or epoll: %s; not started", strerror(errno));
        return false;
    }
    g.watchdog = watchdog_interval();
    g.watchdog_at = boot_now();
    return watch(g.signal_fd, watched_signal, 0) && watch(g.timer_fd, watched_timer, 0);
}

void begin_finish(int exit_code) {
    if (g.finishing) return;
    g.finishing = true;
    g.exit_code = exit_code;
    kill_worker();
    begin_stop("clusterd ends");
}

int run_loop() {
    reap_children();
    while (!g.finished) {
        std::int64_t now = boot_now();
        enforce_permit(now);
        do_what_is_due(now);
        if (g.finished) break;
        arm_timer(next_look(now));
        epoll_event event;  // one at a time: what it leads to may close what a second one would be about
        int const n = epoll_wait(g.epoll_fd, &event, 1, -1);
        enforce_permit(boot_now());  // we may have slept, or been stopped, for any time
        if (n != 1) continue;
        int const slot = static_cast<int>(event.data.u64 & 0xffffffffu);
        switch (static_cast<Watched>(event.data.u64 >> 32)) {
            case watched_signal:
                handle_signal();
                break;
            case watched_timer: {
                std::uint64_t times;
                (void)!read(g.timer_fd, &times, sizeof times);
                break;
            }
            case watched_client:
                handle_message(slot);
                break;
            case watched_start:
                handle_start(slot);
                break;
        }
    }
    if (!g.stop.active) disarm_watchdog();  // else something is left: it is for the device, now
    if (!g.cgroup.empty()) remove_cgroup(g.cgroup.s);
    return g.exit_code;
}

}  // namespace clusterd::guard
