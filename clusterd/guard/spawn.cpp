// fork and exec, with care; see spawn.hpp.
#include "clusterd/guard/spawn.hpp"

#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace clusterd::guard {

namespace {

constexpr int first_free_fd = 5;  // 0-2, and what is passed as 3 and 4

[[noreturn]] void fail(int error_fd, char const* what, char const* name) {
    int const error = errno;
    Line text;
    text.add("%s %s: %s", what, name, strerror(error));
    (void)!write(error_fd, text.s, std::strlen(text.s));
    _exit(127);
}

void plain_scheduling() {
    sched_param none{};
    sched_setscheduler(0, SCHED_OTHER, &none);
    for (int s = 1; s < NSIG; ++s) signal(s, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    umask(022);
    write_file("/proc/self/oom_score_adj", "0");  // the guard's own protection isn't for what it starts
}

// Above everything that will be overwritten; -1 stays -1.
int lifted(int fd, int error_fd) {
    if (fd < 0) return -1;
    int const high = fcntl(fd, F_DUPFD_CLOEXEC, 64);
    if (high < 0) fail(error_fd, "can't duplicate", "a descriptor");
    return high;
}

void arrange_fds(Launch const& launch, int& error_fd) {
    error_fd = lifted(error_fd, error_fd);
    int const output = lifted(launch.output_fd, error_fd);
    int const pass[2] = {lifted(launch.pass[0], error_fd), lifted(launch.pass[1], error_fd)};
    int const null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) fail(error_fd, "can't open", "/dev/null");
    dup2(null, STDIN_FILENO);
    if (output >= 0) dup2(output, STDERR_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    for (int i = 0; i < 2; ++i)
        if (pass[i] >= 0) dup2(pass[i], 3 + i);
    int first = 3;
    while (first < first_free_fd && pass[first - 3] >= 0) ++first;
    if (syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) != 0)  // before 5.11: one by one
        for (int fd = first; fd < 4096; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void become(char const* user, int error_fd, Text<300>& home, Text<160>& name) {
    errno = 0;
    passwd const* entry = getpwnam(user);
    std::uint64_t uid = 0;
    if (!entry && parse_number(user, UINT32_MAX - 1u, uid)) entry = getpwuid(static_cast<uid_t>(uid));
    if (!entry) {
        if (errno == 0) errno = ENOENT;
        fail(error_fd, "there is no user", user);
    }
    home.add("HOME=%s", entry->pw_dir);
    name.add("USER=%s", entry->pw_name);
    if (entry->pw_uid == geteuid() && geteuid() != 0) return;  // that's who we are; groups can't be changed
    if (initgroups(entry->pw_name, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0)
        fail(error_fd, "can't become user", user);
}

[[noreturn]] void run_child(Launch const& launch, pid_t guard, int error_fd, bool join_cgroup) {
    setsid();
    plain_scheduling();
    arrange_fds(launch, error_fd);
    if (join_cgroup) {
        int const fd = openat(launch.cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) (void)!write(fd, "0", 1);
    }
    static Text<300> home;
    static Text<160> name;
    if (launch.user[0]) become(launch.user, error_fd, home, name);
    // After setuid(), which would clear it again; and the guard may have died before it was set.
    if (launch.dies_with_guard && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != guard)) _exit(127);
    if (chdir(launch.directory) != 0) fail(error_fd, "can't change to directory", launch.directory);
    static char* env[600];
    int n = 0;
    while (launch.env[n] && n < 590) {
        env[n] = launch.env[n];
        ++n;
    }
    if (!home.empty()) {
        env[n++] = home.s;
        env[n++] = name.s;
    }
    env[n] = nullptr;
    environ = env;
    execvp(launch.argv[0], launch.argv);
    fail(error_fd, "can't execute", launch.argv[0]);
}

// Into the cgroup by the kernel itself where it can (no instant outside, and cheaper); `join_cgroup`: the child has to do it. Until
// then it is known by its pid.
pid_t fork_into(int cgroup_fd, bool fresh, bool& join_cgroup) {
    clone_args args{};
    args.exit_signal = SIGCHLD;
    join_cgroup = cgroup_fd >= 0;
    if (join_cgroup && fresh) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(cgroup_fd);
        long const pid = syscall(SYS_clone3, &args, sizeof args);
        if (pid >= 0) {
            join_cgroup = false;
            return static_cast<pid_t>(pid);
        }
        if (errno == EAGAIN || errno == ENOMEM) return -1;
    }
    return fork();
}

}  // namespace

Launched launch(Launch const& launch) {
    Launched result;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0) return result;
    pid_t const guard = getpid();
    bool join_cgroup = false;
    result.pid = fork_into(launch.cgroup_fd, launch.cgroup_fresh, join_cgroup);
    if (result.pid == 0) run_child(launch, guard, pipe_fds[1], join_cgroup);
    int const error = errno;
    close(pipe_fds[1]);
    if (result.pid < 0) {
        close(pipe_fds[0]);
        errno = error;
        return result;
    }
    result.error_fd = pipe_fds[0];
    return result;
}

}  // namespace clusterd::guard
