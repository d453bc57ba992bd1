// What the agents' tests check: small servers on loopback, and a guard that really starts programs.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "resources/clock.hpp"
#include "resources/guard_events.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace clusterd {

inline Instant within(std::int64_t ms) {
    return boot_now() + std::chrono::milliseconds(ms);
}

// Takes connections on 127.0.0.1 and gives each to `talk`, one after the other, on a thread of its own.
class Server {
public:
    explicit Server(std::function<void(int fd)> talk) : talk_(std::move(talk)) {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 || listen(fd_, 16) != 0 ||
            getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
            throw std::runtime_error("no server can be started");
        }
        port_ = ntohs(at.sin_port);
        end_ = eventfd(0, EFD_CLOEXEC);
        thread_ = std::thread([this] { run(); });
    }
    ~Server() {
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(end_, &one, sizeof one);
        thread_.join();
        close(fd_);
        close(end_);
    }
    int port() const { return port_; }
    std::string url(std::string const& path = "/") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    // Waits until the other side closes, or this server ends: for talkers that say nothing.
    void hold(int fd) const {
        pollfd fds[] = {{fd, POLLRDHUP, 0}, {end_, POLLIN, 0}};
        poll(fds, 2, -1);
    }

private:
    void run() {
        for (;;) {
            pollfd fds[] = {{fd_, POLLIN, 0}, {end_, POLLIN, 0}};
            poll(fds, 2, -1);
            if (fds[1].revents) return;
            int const client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0) continue;
            talk_(client);
            close(client);
        }
    }
    std::function<void(int)> const talk_;
    int fd_ = -1, end_ = -1, port_ = 0;
    std::thread thread_;
};

inline void say(int fd, std::string const& text) {
    for (std::size_t at = 0; at < text.size();) {
        ssize_t const n = send(fd, text.data() + at, text.size() - at, MSG_NOSIGNAL);
        if (n <= 0) return;
        at += static_cast<std::size_t>(n);
    }
}

// Until `end` has been seen or the other side has closed.
inline std::string hear(int fd, std::string const& end) {
    std::string all;
    char buffer[1024];
    while (all.find(end) == std::string::npos) {
        ssize_t const n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        all.append(buffer, static_cast<std::size_t>(n));
    }
    return all;
}

// A port on which nobody listens: bound, so that nobody else gets it, but refusing.
class RefusingPort {
public:
    RefusingPort() {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 ||
            getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw std::runtime_error("no port");
        port_ = ntohs(at.sin_port);
    }
    ~RefusingPort() { close(fd_); }
    int port() const { return port_; }

private:
    int fd_ = -1, port_ = 0;
};

// Starts programs for real; tells their end as the guard does.
class SpawningGuard : public GuardClient {
public:
    explicit SpawningGuard(GuardEvents& events) : events_(events) {}
    ~SpawningGuard() override {
        for (std::thread& t : waiters_) t.join();
    }
    Result<pid_t> spawn(SpawnRequest const& request) override {
        if (refuse) return Error{"the guard refuses"};
        int errors[2];
        if (pipe2(errors, O_CLOEXEC) != 0) return Error{"no pipe"};
        std::vector<char*> argv, env;
        for (auto const& a : request.argv) argv.push_back(const_cast<char*>(a.c_str()));
        for (auto const& e : request.env) env.push_back(const_cast<char*>(e.c_str()));
        argv.push_back(nullptr);
        env.push_back(nullptr);
        pid_t const pid = fork();
        if (pid == 0) {
            dup2(request.output_fd, 1);
            dup2(request.output_fd, 2);
            execvpe(argv[0], argv.data(), env.data());
            int const e = errno;
            [[maybe_unused]] ssize_t const n = write(errors[1], &e, sizeof e);
            _exit(127);
        }
        close(errors[1]);
        int error = 0;
        bool const failed = read(errors[0], &error, sizeof error) > 0;
        close(errors[0]);
        if (failed) {
            waitpid(pid, nullptr, 0);
            return Error{std::strerror(error)};
        }
        std::lock_guard lock(mutex_);
        roles.push_back(request.role);
        running_[request.resource + " " + request.role] = pid;
        waiters_.emplace_back([this, pid, resource = request.resource, role = request.role] {
            int status = 0;
            waitpid(pid, &status, 0);
            {
                std::lock_guard inner(mutex_);
                running_.erase(resource + " " + role);
            }
            GuardEvent event;
            event.kind = GuardEvent::Kind::exited;
            event.process = {resource, role, pid, false, status};
            events_.dispatch(event);
        });
        return pid;
    }
    Result<Done> signal(std::string const& resource, std::string const& role, int signal) override {
        std::lock_guard lock(mutex_);
        auto const it = running_.find(resource + " " + role);
        if (it == running_.end()) return Error{"no such process"};
        if (!in_the_kernel) kill(it->second, signal);
        return Done{};
    }
    Result<std::vector<ProcessInfo>> processes(std::string const&) override {
        if (refuse) return Error{"the guard refuses"};
        return known;
    }
    Result<int> count(std::string const&) override {
        if (refuse) return Error{"the guard refuses"};
        return alive;
    }
    std::size_t running() {
        std::lock_guard lock(mutex_);
        return running_.size();
    }
    std::atomic<bool> refuse{false};
    std::atomic<bool> in_the_kernel{false};  // where no signal reaches them, as it seems
    std::vector<std::string> roles;
    std::vector<ProcessInfo> known;
    int alive = 0;

private:
    GuardEvents& events_;
    std::mutex mutex_;
    std::map<std::string, pid_t> running_;
    std::vector<std::thread> waiters_;
};

}  // namespace clusterd
