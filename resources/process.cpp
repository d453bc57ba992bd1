// A command, started and watched by the guard. See process.hpp.
#include "resources/process.hpp"

#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/one_shot.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

namespace clusterd {
namespace {

constexpr auto look_again = std::chrono::milliseconds(10);  // whether it is ready; its exit comes by itself

int signal_number(std::string const& name) {
    for (int s = 1; s < NSIG; ++s)
        if (char const* known = sigabbrev_np(s); known && name == known) return s;
    return SIGTERM;
}

bool connects(int family, void const* address, socklen_t size) {
    int const fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    bool done = connect(fd, static_cast<sockaddr const*>(address), size) == 0;
    if (!done && errno == EINPROGRESS) {
        pollfd p{fd, POLLOUT, 0};
        int error = 0;
        socklen_t length = sizeof error;
        done = poll(&p, 1, 100) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
    }
    close(fd);
    return done;
}

bool port_answers(std::uint16_t port) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connects(AF_INET, &v4, sizeof v4)) return true;
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    return connects(AF_INET6, &v6, sizeof v6);
}

// A file as it is now: one left by an earlier run is told from a new one.
struct FileSeen {
    bool exists = false;
    ino_t inode = 0;
    std::int64_t changed_ns = 0;
    bool operator==(FileSeen const&) const = default;
};
FileSeen look_at_file(std::string const& path) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return {};
    return {true, st.st_ino, st.st_ctim.tv_sec * 1'000'000'000LL + st.st_ctim.tv_nsec};
}

class Process final : public Driver {
public:
    Process(ResourceSpec resource, DriverContext context)
        : resource_(std::move(resource)),
          context_(std::move(context)),
          attributes_(resource_.attributes),
          stop_timeout_(attributes_.duration("stop-timeout", std::chrono::seconds(10))) {
        if (auto ready = parse_ready(attributes_.text("ready", "started"))) ready_ = *ready;
        if (auto words = split_words(attributes_.text("command"))) argv_ = *words;
        if (auto words = split_words(attributes_.text("stop-command"))) stop_argv_ = *words;
        subscription_ = context_.events.subscribe(resource_.name, [this](GuardEvent const& event) { on_exit(event.process); });
    }

    DriverOutcome probe(Instant) override {
        auto const known = context_.guard.processes(resource_.name);
        auto const alive = context_.guard.count(resource_.name);
        if (!known || !alive) return unknown(known ? alive.error() : known.error());
        int left = *alive;
        for (ProcessInfo const& p : *known)
            if (p.role == "main" && p.running)
                return watch(p.pid) ? online() : ended();
            else if (p.running && p.role.starts_with("check") && left > 0)
                --left;
        for (ProcessInfo const& p : *known)  // the guard forgets one that was stopped: this one ended by itself
            if (p.role == "main") return failed("its process " + exit_in_words(p.wait_status));
        if (left > 0) return failed(fmt::format("its main process is gone, {} other processes of it are left", left));
        return {ResourceState::offline, {}, true};
    }

    DriverOutcome start(Instant deadline) override {
        auto const known = context_.guard.processes(resource_.name);
        if (!known) return unknown(known.error());
        for (ProcessInfo const& p : *known)
            if (p.role == "main" && p.running && watch(p.pid)) return online();
        // What an earlier run left (a killed master's workers) would hold its ports and files.
        if (auto gone = end_all(); gone.state != ResourceState::offline)
            return {ResourceState::failed, gone.message, gone.restart_here};
        if (argv_.empty()) return {ResourceState::failed, say("no command"), false};
        auto const settings = command_settings(resource_.name, resource_.attributes);
        if (!settings) return {ResourceState::failed, settings.error(), false};
        if (ready_.kind == ReadyWhen::Kind::tcp && port_answers(ready_.port))
            return failed(fmt::format("another program already takes connections on port {}; see `ss -ltnp sport = {}`",
                                      ready_.port, ready_.port));
        FileSeen const before = ready_.kind == ReadyWhen::Kind::file ? look_at_file(ready_.path) : FileSeen{};
        forget_exit();
        auto const pid =
            context_.guard.spawn({resource_.name, "main", argv_, settings->env, settings->working_directory, settings->user, -1});
        if (!pid) return {ResourceState::failed, say(pid.error()), !lasting_start_error(pid.error())};
        return wait_ready(*pid, before, before_deadline(deadline));
    }

    DriverOutcome stop(Instant deadline) override {
        unwatch();
        auto const known = context_.guard.processes(resource_.name);
        if (!known) return unknown(known.error());
        for (ProcessInfo const& p : *known)
            if (p.role == "main" && p.running) ask_to_end(p.pid, before_deadline(deadline));
        return end_all();
    }

    DriverOutcome kill(Instant) override {
        unwatch();
        return end_all();
    }

private:
    std::string say(std::string const& what) const { return fmt::format("process {}: {}", resource_.name, what); }
    DriverOutcome online() const { return {ResourceState::online, {}, true}; }
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, say(what), true}; }
    DriverOutcome unknown(std::string const& what) const { return {ResourceState::unknown, say(what), true}; }

    // On the guard client's thread.
    void on_exit(ProcessInfo const& process) {
        if (process.role != "main") return;
        bool tell = false;
        {
            std::lock_guard lock(mutex_);
            last_exit_ = process;
            tell = watched_ == process.pid;
            if (tell) watched_ = 0;
            exited_.notify_all();
        }
        if (tell) context_.changed(failed("its process " + exit_in_words(process.wait_status)));
    }

    bool has_exited(pid_t pid) const { return last_exit_ && last_exit_->pid == pid; }  // with mutex_

    // False: it has ended meanwhile.
    bool watch(pid_t pid) {
        std::lock_guard lock(mutex_);
        if (has_exited(pid)) return false;
        watched_ = pid;
        return true;
    }
    void unwatch() {
        std::lock_guard lock(mutex_);
        watched_ = 0;
    }
    void forget_exit() {  // its number may be given to the next one
        std::lock_guard lock(mutex_);
        last_exit_.reset();
    }
    DriverOutcome ended() {
        std::lock_guard lock(mutex_);
        return failed("its process " + exit_in_words(last_exit_->wait_status));
    }

    bool is_ready(FileSeen const& before) const {
        switch (ready_.kind) {
            case ReadyWhen::Kind::started:
                return true;
            case ReadyWhen::Kind::tcp:
                return port_answers(ready_.port);
            case ReadyWhen::Kind::file: {
                FileSeen const now = look_at_file(ready_.path);
                return now.exists && now != before;
            }
        }
        return false;
    }

    DriverOutcome wait_ready(pid_t pid, FileSeen const& before, Instant deadline) {
        for (;;) {
            if (is_ready(before)) return watch(pid) ? online() : ended();
            {
                std::unique_lock lock(mutex_);
                exited_.wait_for(lock, look_again, [&] { return has_exited(pid); });
                if (has_exited(pid))
                    return failed(fmt::format("its process {} before it was ready", exit_in_words(last_exit_->wait_status)));
            }
            if (ms_left(deadline) > 0) continue;
            end_all();
            return failed(
                fmt::format("it runs, but was not ready ({}) in time; allow a longer online-timeout, or look into its own log",
                            attributes_.text("ready")));
        }
    }

    // Until it has ended, stop-timeout is over or the deadline comes.
    void ask_to_end(pid_t pid, Instant deadline) {
        Instant const until = std::min(boot_now() + stop_timeout_, deadline);
        if (!stop_argv_.empty()) {
            if (auto const settings = command_settings(resource_.name, resource_.attributes))
                OneShot(context_.guard, context_.events).run(resource_.name, "stop", stop_argv_, *settings, until);
        } else if (!context_.guard.signal(resource_.name, "main", signal_number(attributes_.text("stop-signal", "TERM")))) {
            return;  // it has ended by itself
        }
        std::unique_lock lock(mutex_);
        while (!has_exited(pid) && ms_left(until) > 0)
            exited_.wait_for(lock, std::chrono::milliseconds(ms_left(until)), [&] { return has_exited(pid); });
    }

    // Whatever is left is killed; offline once the guard counts none.
    DriverOutcome end_all() {
        return end_processes(context_.guard, resource_.name, [this](std::string const& what) { return say(what); });
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    Duration const stop_timeout_;
    ReadyWhen ready_;
    std::vector<std::string> argv_, stop_argv_;
    mutable std::mutex mutex_;
    std::condition_variable exited_;
    std::optional<ProcessInfo> last_exit_;       // of a main process, ever
    pid_t watched_ = 0;                          // its exit is a failure; 0 = none
    GuardEvents::SubscriptionPtr subscription_;  // last: ends before what its function uses
};

}  // namespace

DriverPtr make_process_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Process>(resource, std::move(context));
}

}  // namespace clusterd
