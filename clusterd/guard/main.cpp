// clusterd: the unit's main process, the guard. Checks what must be true before anything starts, gets what rights it can, ends what
// an earlier one left behind, then starts the worker and watches over the permit (guard.hpp).
#include "clusterd/guard/cgroup.hpp"
#include "clusterd/guard/guard.hpp"
#include "clusterd/guard/log.hpp"

#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cerrno>
#include <cstdlib>
#include <initializer_list>

namespace clusterd::guard {

namespace {

constexpr std::int64_t lock_limit = 2 * second;

bool find_programs() {
    ssize_t const n = readlink("/proc/self/exe", g.self.s, sizeof g.self.s - 1);
    if (n <= 0) {
        log(Level::error, "/proc/self/exe: %s; is /proc mounted? Not started", strerror(errno));
        return false;
    }
    g.self.s[n] = 0;
    constexpr char deleted[] = " (deleted)";  // after a package upgrade: the new file has the old name
    if (char* end = std::strstr(g.self.s, deleted); end && end[sizeof deleted - 1] == 0) *end = 0;
    // Beside it (a build tree), or where both were installed to: found from here, for the prefix is chosen when they are installed.
    Path here, installed;
    here.set(g.self.s);
    *std::strrchr(here.s, '/') = 0;
    installed.add("%s/../libexec/clusterd", here.s);
    for (char const* directory : {static_cast<char const*>(here.s), static_cast<char const*>(installed.s)}) {
        Path worker;
        worker.add("%s/clusterd-worker", directory);
        if (access(worker.s, X_OK) != 0) continue;
        g.programs.set(directory);
        return true;
    }
    log(Level::error, "clusterd-worker is neither in %s nor in %s; not started", here.s, installed.s);
    return false;
}

bool take_run_dir() {
    char const* dir = g.options.run_dir.s;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        log(Level::error, "can't make run directory %s: %s; not started", dir, strerror(errno));
        return false;
    }
    Path path;
    path.add("%s/guard.pid", dir);
    g.lock_fd = open(path.s, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (g.lock_fd < 0) {
        log(Level::error, "can't open %s: %s; not started", path.s, strerror(errno));
        return false;
    }
    // A killed guard's child that was just being started holds the lock until its exec; from then on the sweep can find it.
    std::int64_t const until = boot_now() + lock_limit;
    while (flock(g.lock_fd, LOCK_EX | LOCK_NB) != 0 && boot_now() < until) {
        timespec const pause{0, 5 * ms};
        nanosleep(&pause, nullptr);
    }
    if (flock(g.lock_fd, LOCK_EX | LOCK_NB) != 0) {
        char pid[32] = "?";
        read_file(path.s, pid, sizeof pid);
        if (char* end = std::strchr(pid, '\n')) *end = 0;
        log(Level::error,
            "run directory %s is in use by another clusterd (pid %s); stop it, or give this one a --run-dir of its own. Not "
            "started",
            dir, pid);
        return false;
    }
    Text<32> pid;
    pid.add("%d\n", getpid());
    if (ftruncate(g.lock_fd, 0) != 0 || pwrite(g.lock_fd, pid.s, std::strlen(pid.s), 0) < 0) {
        log(Level::error, "can't write %s: %s; not started", path.s, strerror(errno));
        return false;
    }
    return true;
}

// The name under which this node's things are found again by the next guard: of node and run directory, the same at each start.
std::uint64_t identity() {
    struct stat st {};
    stat(g.options.run_dir.s, &st);
    Line text;
    text.add("%s %lu %lu", g.options.node.s, static_cast<unsigned long>(st.st_dev), static_cast<unsigned long>(st.st_ino));
    std::uint64_t hash = 14695981039346656037ull;
    for (char const* c = text.s; *c; ++c) hash = (hash ^ static_cast<unsigned char>(*c)) * 1099511628211ull;
    return hash;
}

bool lock_memory() {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    // With MCL_FUTURE and a small limit, the first allocation beyond it would fail: no lock is better than that.
    if (geteuid() != 0 && limit.rlim_cur < (64u << 20)) {
        errno = EPERM;
        return false;
    }
    return mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
}

bool become_realtime() {
    sched_param priority{};
    priority.sched_priority = sched_get_priority_min(SCHED_RR) + 10;
    return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &priority) == 0;
}

std::uint32_t acquire_rights() {
    std::uint32_t granted = 0;
    if (lock_memory())
        granted |= granted_mlock;
    else
        log(Level::warning,
            "memory is not locked (%s): under memory pressure the permit may be enforced late; give LimitMEMLOCK=infinity",
            strerror(errno));
    if (become_realtime())
        granted |= granted_realtime;
    else
        log(Level::warning,
            "no real-time scheduling (%s): under load the permit may be enforced late; give LimitRTPRIO=", strerror(errno));
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        log(Level::warning, "not a subreaper (%s): daemons that detach themselves are lost sight of", strerror(errno));
    std::uint64_t const id = identity();
    g.mark.add("CLUSTERD_RUN=%016lx", static_cast<unsigned long>(id));
    Line why;
    if (make_cgroup_base(g.options.node.s, id, g.cgroup, why))
        granted |= granted_cgroup;
    else {
        g.cgroup = {};
        log(Level::warning, "no cgroups (%s): process groups and the process tree are used instead", why.s);
    }
    return granted;
}

bool start_fresh() {
    if (!take_run_dir()) return false;
    std::uint32_t const granted = acquire_rights();
    if (!sweep(g.options.run_dir.s, g.cgroup.s, g.mark.s)) return false;
    g.shared_fd = make_shared_memory();
    g.shared = g.shared_fd < 0 ? nullptr : map_shared_memory(g.shared_fd, true);
    if (!g.shared) {
        log(Level::error, "no memory to share with the worker: %s; not started", strerror(errno));
        return false;
    }
    g.shared->granted.store(granted);
    arm_recorded_watchdog();  // what an earlier guard left is swept: it may be fed
    return set_up_loop();
}

bool start_again() {
    std::uint32_t const granted = acquire_rights();
    if (!set_up_loop() || !take_over_state()) {
        log(Level::error, "the state of the guard before the re-execution can't be read: ends, so that everything is started anew");
        return false;
    }
    g.shared->granted.store(granted);
    log(Level::notice, "re-executed as clusterd " CLUSTERD_VERSION ", hosts and processes go on");
    return true;
}

int run(int argc, char** argv) {
    switch (parse_options(argc, argv, g.options)) {
        case Parsed::shown:
            return 0;
        case Parsed::usage:
            return 2;
        case Parsed::run:
            break;
    }
    umask(022);
    if (inherited_state()) return find_programs() && start_again() ? run_loop() : 1;
    if (!key_file_is_safe(g.options.key.s) || !find_programs() || !start_fresh()) return 1;
    return run_loop();
}

}  // namespace

}  // namespace clusterd::guard

int main(int argc, char** argv) {
    return clusterd::guard::run(argc, argv);
}
