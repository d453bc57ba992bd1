// The world of the guard's tests; see world.hpp.
#include "tests/guard/world.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace clusterd::guard_test {

namespace fs = std::filesystem;

std::int64_t boot_ns() {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * 1'000'000'000LL + ts.tv_nsec;
}

std::string text_of(std::string const& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

bool alive(pid_t pid) {
    std::string const stat = text_of("/proc/" + std::to_string(pid) + "/stat");
    auto const end = stat.rfind(')');
    return end != std::string::npos && stat.size() > end + 2 && stat[end + 2] != 'Z' && stat[end + 2] != 'X';
}

bool until(std::function<bool()> condition, std::chrono::milliseconds limit) {
    auto const end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

bool is_root() {
    return geteuid() == 0;
}

Child::~Child() {
    guard.reset();
    for (int fd : {connection, other_fd, raw_guard_fd})
        if (fd >= 0) close(fd);
    if (shared) munmap(shared, sizeof *shared);
}

void Child::order(std::string const& text) const {
    ASSERT_EQ(send(connection, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

pid_t Child::fork_a_child() const {
    order("fork");
    char text[32] = {};
    if (recv(connection, text, sizeof text - 1, 0) <= 0) return 0;
    return std::atoi(text);
}

GuardEvent Child::wait_event(GuardEvent::Kind kind, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex);
    auto const end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        for (auto it = events.begin(); it != events.end(); ++it) {
            if (it->kind != kind) continue;
            GuardEvent event = *it;
            events.erase(it);
            return event;
        }
        if (came.wait_until(lock, end) == std::cv_status::timeout) break;
    }
    ADD_FAILURE() << "no event of kind " << static_cast<int>(kind);
    return {};
}

bool Child::has_event(GuardEvent::Kind kind) {
    std::lock_guard lock(mutex);
    for (auto const& event : events)
        if (event.kind == kind) return true;
    return false;
}

World::World(bool with_cgroups) : cgroups(with_cgroups) {
    char name[] = "/tmp/guard-test-XXXXXX";
    dir = mkdtemp(name);
    fs::create_directory(dir + "/bin");
    fs::copy_file(GUARD_PROGRAM, dir + "/bin/clusterd");
    fs::copy_file(FAKE_CHILD, dir + "/bin/clusterd-worker");
    fs::copy_file(FAKE_CHILD, dir + "/bin/cluster-agent");
    std::ofstream(dir + "/key") << "not a real key\n";
    fs::permissions(dir + "/key", fs::perms::owner_read | fs::perms::owner_write);
    std::ofstream(dir + "/cluster.xml") << "<cluster/>\n";
    prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a killed guard leaves behind comes to us, to be ended for certain
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, (dir + "/fake.sock").c_str(), sizeof at.sun_path - 1);
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr const*>(&at), sizeof at), 0);
    EXPECT_EQ(listen(listener, 64), 0);
}

World::~World() {
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
    // The next start sweeps: that is also the tidiest way to end what a failed test left.
    auto const swept = run({"--node", "alpha"}, {{"FAKE_WORKER_EXIT", "1"}});
    EXPECT_EQ(swept.second.find("ot started"), std::string::npos) << swept.second;
    for (pid_t one : seen)
        if (alive(one)) kill(one, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    close(listener);
    if (::testing::Test::HasFailure()) std::fprintf(stderr, "---- the guard's log\n%s----\n", log().c_str());
    fs::remove_all(dir);
}

namespace {

void hide_cgroups() {
    unshare(CLONE_NEWNS);
    mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    std::ifstream file("/proc/self/mountinfo");
    std::vector<std::string> found;
    for (std::string line; std::getline(file, line);) {
        if (line.find(" - cgroup2 ") == std::string::npos) continue;
        std::istringstream fields(line);
        std::string field, at;
        for (int i = 0; i < 5; ++i) fields >> at;
        found.push_back(at);
    }
    for (auto const& at : found) umount2(at.c_str(), MNT_DETACH);
}

[[noreturn]] void exec_guard(World const& world, std::vector<std::string> arguments, std::map<std::string, std::string> const& env,
                             std::string const& log) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a killed test leaves no guard behind
    int const out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, 2);
    dup2(out, 1);
    if (!world.cgroups) hide_cgroups();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("JOURNAL_STREAM");
    setenv("FAKE_SOCKET", (world.dir + "/fake.sock").c_str(), 1);
    for (auto const& [name, value] : env) setenv(name.c_str(), value.c_str(), 1);
    std::string const program = world.dir + "/bin/clusterd";
    arguments.insert(arguments.begin(), program);
    for (char const* option : {"--config", "/cluster.xml", "--state-dir", "/state", "--run-dir", "/run", "--key", "/key"})
        if (option[0] == '-')
            arguments.insert(arguments.begin() + 1, option);
        else
            arguments.insert(arguments.begin() + 2, world.dir + option);
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(126);
}

}  // namespace

void World::start(std::map<std::string, std::string> const& env, std::vector<std::string> const& more) {
    std::vector<std::string> arguments = more;
    arguments.insert(arguments.begin(), {"--node", "alpha"});
    pid = fork();
    if (pid == 0) exec_guard(*this, arguments, env, dir + "/log");
}

std::pair<int, std::string> World::run(std::vector<std::string> const& arguments, std::map<std::string, std::string> const& env) {
    std::string const file = dir + "/run-log";
    fs::remove(file);
    pid_t const one = fork();
    if (one == 0) exec_guard(*this, arguments, env, file);
    int status = 0;
    waitpid(one, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(file)};
}

ChildPtr World::child() {
    pollfd p{listener, POLLIN, 0};
    if (poll(&p, 1, 20000) != 1) {
        ADD_FAILURE() << "no child introduced itself";
        return std::make_unique<Child>();
    }
    auto result = std::make_unique<Child>();
    result->connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    char text[2048] = {};
    iovec io{text, sizeof text - 1};
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    EXPECT_GT(recvmsg(result->connection, &message, MSG_CMSG_CLOEXEC), 0);
    int fds[2] = {-1, -1};
    if (cmsghdr* c = CMSG_FIRSTHDR(&message)) std::memcpy(fds, CMSG_DATA(c), sizeof fds);
    std::istringstream fields(text);
    int resumed = 0;
    fields >> result->role >> result->name >> result->pid >> resumed;
    std::getline(fields, result->arguments);
    result->resumed = resumed != 0;
    result->other_fd = fds[1];
    result->raw_guard_fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    if (result->role == "worker") result->shared = guard::map_shared_memory(fds[1]);
    Child* raw = result.get();
    result->guard = std::make_unique<GuardClient>(fds[0], [raw](GuardEvent event) {
        std::lock_guard lock(raw->mutex);
        raw->events.push_back(std::move(event));
        raw->came.notify_all();
    });
    seen.push_back(result->pid);
    return result;
}

ChildPtr World::agent(Child& worker, std::string const& name) {
    auto fd = worker.guard->host(name);
    if (!fd) {
        ADD_FAILURE() << fd.error();
        return std::make_unique<Child>();
    }
    close(*fd);
    return child();
}

void World::signal(int number) const {
    kill(pid, number);
}

int World::wait_exit(std::chrono::milliseconds limit) {
    int status = 0;
    if (!until([&] { return waitpid(pid, &status, WNOHANG) == pid; }, limit)) return -1;
    pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

SpawnRequest World::sleeper(std::string const& resource, std::string const& role, bool daemon) const {
    SpawnRequest request;
    request.resource = resource;
    request.role = role;
    std::string const file = dir + "/" + resource + "-" + role;
    std::string script = "echo $$ > " + file + ".new; mv " + file + ".new " + file + "; ";
    if (daemon)
        script +=
            "setsid sh -c 'sleep 1000 & echo $! > " + file + "-daemon.new; mv " + file + "-daemon.new " + file + "-daemon' & ";
    script += "while :; do sleep 1000; done";
    request.argv = {"sh", "-c", script};
    return request;
}

pid_t World::pid_in(std::string const& file) const {
    std::string const path = dir + "/" + file;
    EXPECT_TRUE(until([&] { return fs::exists(path); })) << path;
    return std::atoi(text_of(path).c_str());
}

void grant(Child& worker, std::chrono::milliseconds for_ms, std::chrono::milliseconds kill) {
    worker.shared->kill_ns = std::chrono::nanoseconds(kill).count();
    worker.shared->permit_end_ns = boot_ns() + std::chrono::nanoseconds(for_ms).count();
    worker.guard->permit_began();
}

}  // namespace clusterd::guard_test
