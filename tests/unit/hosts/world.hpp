// A worker's world for the tests of hosts: a real loop, real cluster-agent processes, and a guard that starts and kills them.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "clusterd/hosts/hosts.hpp"
#include "clusterd/shell/loop_asio.hpp"
#include "clusterd/wire/host_message.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace clusterd {

// Keeps a spare of each host's socket, as the guard does. Processes are started by one thread that lives as long as it does:
// cluster-agent dies with the thread that started it.
class HostGuard : public GuardClient {
public:
    HostGuard() : thread_([this] { work(); }) {}
    ~HostGuard() override {
        ask([this] {
            for (auto& [name, h] : hosts_) end(h);
            for (Host& h : left_) end(h);
        });
        {
            std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    Result<int> host(std::string const& name) override {
        if (refuse) return Error{"no more processes"};
        Result<int> fd = -1;
        ask([&] {
            auto& h = hosts_[name];
            if (h.pid != 0 && kill(h.pid, 0) == 0 && waitpid(h.pid, nullptr, WNOHANG) == 0) {
            } else
                start(name, h);
            fd = dup(h.worker_fd);
        });
        return fd;
    }
    Result<Done> kill_host(std::string const& name) override {
        bool ended = true;
        ask([&] {
            auto const it = hosts_.find(name);
            if (it == hosts_.end()) return;
            ended = !unkillable.exchange(false);
            if (ended)
                end(it->second);
            else
                left_.push_back(it->second);
            hosts_.erase(it);
        });
        if (!ended) return Error{"agent host " + name + " can't be killed"};
        return Done{};
    }
    pid_t pid(std::string const& name) {
        pid_t p = 0;
        ask([&] {
            auto const it = hosts_.find(name);
            if (it != hosts_.end()) p = it->second.pid;
        });
        return p;
    }
    std::atomic<bool> refuse{false};
    std::atomic<bool> unkillable{false};  // the next that is to be killed waits in the kernel, as it seems
    rlim_t memory = RLIM_INFINITY;        // of hosts that are started from now on
    std::string preload, said_in;         // and a library, and a file for what they say

private:
    struct Host {
        pid_t pid = 0;
        int worker_fd = -1, guard_fd = -1;
    };
    void start(std::string const& name, Host& h) {
        if (h.worker_fd >= 0) close(h.worker_fd), close(h.guard_fd);
        int frames[2], control[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, frames) != 0 ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0)
            return;
        std::string const program = std::string(BINARY_DIR) + "/bin/cluster-agent";
        std::string const worker = "CLUSTERD_WORKER_FD=" + std::to_string(frames[1]),
                          guard = "CLUSTERD_GUARD_FD=" + std::to_string(control[1]);
        char const* run = std::getenv("CLUSTERD_RUN_DIR");
        std::string const directory = std::string("CLUSTERD_RUN_DIR=") + (run ? run : "");
        char const* argv[] = {program.c_str(), name.c_str(), nullptr};
        std::string const library = "LD_PRELOAD=" + preload;
        char const* const orders = std::getenv("CLUSTERD_TEST_HARM");
        std::string const harm = std::string("CLUSTERD_TEST_HARM=") + (orders ? orders : "");
        char const* env[] = {worker.c_str(), guard.c_str(), directory.c_str(), harm.c_str(), library.c_str(), nullptr};
        h.pid = fork();
        if (h.pid == 0) {
            rlimit const limit{memory, memory};
            setrlimit(RLIMIT_DATA, &limit);
            if (int const log = said_in.empty() ? -1 : open(said_in.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600); log >= 0) dup2(log, 2);
            fcntl(frames[1], F_SETFD, 0);
            fcntl(control[1], F_SETFD, 0);
            execve(program.c_str(), const_cast<char**>(argv), const_cast<char**>(env));
            _exit(127);
        }
        close(frames[1]);
        close(control[1]);
        h.worker_fd = frames[0];
        h.guard_fd = control[0];
    }
    static void end(Host& h) {
        kill(h.pid, SIGKILL);
        waitpid(h.pid, nullptr, 0);
        close(h.worker_fd);
        close(h.guard_fd);
    }
    void ask(std::function<void()> job) {
        std::unique_lock lock(mutex_);
        bool done = false;
        jobs_.push_back([&] { job(), done = true; });
        changed_.notify_all();
        changed_.wait(lock, [&] { return done; });
    }
    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
            if (jobs_.empty()) return;
            auto job = std::move(jobs_.front());
            jobs_.erase(jobs_.begin());
            job();
            changed_.notify_all();
        }
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::function<void()>> jobs_;
    std::map<std::string, Host> hosts_;
    std::vector<Host> left_;
    bool ending_ = false;
    std::thread thread_;
};

// Hosts, and what they delivered.
class World : public testing::Test {
protected:
    World() {
        std::string pattern = testing::TempDir() + "hosts.XXXXXX";
        directory = mkdtemp(pattern.data());
        setenv("CLUSTERD_RUN_DIR", directory.c_str(), 1);
    }
    ~World() override {
        hosts.reset();
        drain();
        unsetenv("CLUSTERD_RUN_DIR");
        std::filesystem::remove_all(directory);
    }
    // A new worker, as after a crash of the one before.
    void begin(GuardClient& with) {
        hosts = std::make_unique<Hosts>(*loop, with, [this](Event e) { events.push_back(std::move(e)); });
        hosts->configure(spec);
    }
    void drain() {
        loop->post([this] { loop->stop(); });
        loop->run();
    }
    // Runs the loop until `true`; false when it takes too long.
    bool until(std::function<bool()> const& condition, std::int64_t ms = 30'000) {
        Instant const end = loop->now().mono + std::chrono::milliseconds(ms);
        while (!condition()) {
            if (loop->now().mono >= end) return false;
            auto const timer = loop->at(loop->now().mono + std::chrono::milliseconds(5), [this] { loop->stop(); });
            loop->run();
        }
        return true;
    }
    ResourceSpec& resource(std::string const& name, std::map<std::string, std::string> attributes = {}, bool isolate = false) {
        if (spec.groups.empty()) spec.groups.resize(1);
        ResourceSpec r;
        r.name = name;
        r.type = "dummy";
        r.attributes = std::move(attributes);
        r.isolate = isolate;
        return spec.groups[0].resources.emplace_back(std::move(r));
    }
    void act(std::uint64_t action, ActionKind kind, std::string const& name, std::int64_t timeout_ms = 20'000) {
        hosts->perform(effect::ResourceAction{kind, name, action, std::chrono::milliseconds(timeout_ms)});
    }
    // The ResourceChanged of this action (0: unasked, the next one), taken out.
    std::optional<event::ResourceChanged> answer(std::uint64_t action, std::string const& name, std::int64_t ms = 30'000) {
        std::optional<event::ResourceChanged> found;
        until(
            [&] {
                for (auto it = events.begin(); it != events.end(); ++it) {
                    auto* c = std::get_if<event::ResourceChanged>(&*it);
                    if (!c || c->action != action || c->resource != name) continue;
                    found = *c;
                    events.erase(it);
                    return true;
                }
                return false;
            },
            ms);
        return found;
    }
    ResourceState state_after(std::uint64_t action, ActionKind kind, std::string const& name) {
        act(action, kind, name);
        auto const a = answer(action, name);
        EXPECT_TRUE(a);
        return a ? a->state : ResourceState::unknown;
    }
    int kills() const {
        int n = 0;
        for (auto const& h : hosts->states()) n += h.kills;
        return n;
    }
    int health_results(std::string const& name) const {
        int n = 0;
        for (Event const& e : events)
            if (auto* h = std::get_if<event::HealthResult>(&e)) n += h->resource == name;
        return n;
    }

    std::string directory;
    std::unique_ptr<AsioLoop> loop = make_loop();
    std::vector<Event> events;
    Spec spec;
    std::unique_ptr<Hosts> hosts;
};

}  // namespace clusterd
