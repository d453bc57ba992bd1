// A guard within the test: it really starts, signals and reaps processes, each in a session of its own, and tells their ends to the
// hub from a thread of its own, as the GuardClient's reader does.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "resources/guard_events.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

namespace clusterd {

class LocalGuard : public GuardClient {
public:
    LocalGuard() : reaper_([this] { reap(); }) {}
    ~LocalGuard() override {
        ending_ = true;
        reaper_.join();
        std::lock_guard lock(mutex_);
        for (auto const& [pid, process] : all_) ::kill(-pid, SIGKILL);
        for (auto const& [pid, process] : all_)
            if (process.running) waitpid(pid, nullptr, 0);
    }

    GuardEvents hub;
    std::atomic<bool> broken{false};  // every call fails, as when the guard has closed the connection
    std::atomic<bool> no_permit{false};

    Result<pid_t> spawn(SpawnRequest const& request) override {
        if (broken) return Error{"the guard has closed the connection"};
        if (no_permit && (request.role == "main" || request.role.starts_with("start"))) return Error{"main refused: no permit"};
        int error[2];
        if (pipe2(error, O_CLOEXEC) != 0) return Error{"no pipe"};
        std::unique_lock lock(mutex_);
        pid_t const pid = fork();
        if (pid == 0) run(request, error[1]);
        close(error[1]);
        char text[256] = {};
        bool const failed = read(error[0], text, sizeof text - 1) > 0;
        close(error[0]);
        if (failed) {
            waitpid(pid, nullptr, 0);
            return Error{text};
        }
        all_[pid] = {request.resource, request.role, pid, true, 0};
        return pid;
    }
    Result<Done> signal(std::string const& resource, std::string const& role, int number) override {
        if (broken) return Error{"the guard has closed the connection"};
        std::lock_guard lock(mutex_);
        for (auto const& [pid, process] : all_) {
            if (process.resource != resource || process.role != role || !process.running) continue;
            ::kill(role == "main" ? pid : -pid, number);
            return Done{};
        }
        return Error{"no such process runs"};
    }
    Result<int> kill_all(std::string const& resource) override {
        if (broken) return Error{"the guard has closed the connection"};
        auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        while (std::chrono::steady_clock::now() < end) {
            {
                std::lock_guard lock(mutex_);
                for (auto const& [pid, process] : all_)
                    if (process.resource == resource) ::kill(-pid, SIGKILL);
            }
            if (*count(resource) == 0) {
                std::lock_guard lock(mutex_);
                std::erase_if(all_, [&](auto const& one) { return one.second.resource == resource; });
                return 0;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return *count(resource);
    }
    Result<std::vector<ProcessInfo>> processes(std::string const& resource) override {
        if (broken) return Error{"the guard has closed the connection"};
        std::lock_guard lock(mutex_);
        std::vector<ProcessInfo> found;
        for (auto const& [pid, process] : all_)
            if (process.resource == resource && (process.running || process.role == "main")) found.push_back(process);
        return found;
    }
    Result<int> count(std::string const& resource) override {  // process groups that still have a member
        if (broken) return Error{"the guard has closed the connection"};
        std::lock_guard lock(mutex_);
        int n = 0;
        for (auto const& [pid, process] : all_)
            if (process.resource == resource && (process.running || ::kill(-pid, 0) == 0)) ++n;
        return n;
    }
    pid_t main_pid(std::string const& resource) {
        std::lock_guard lock(mutex_);
        for (auto const& [pid, process] : all_)
            if (process.resource == resource && process.role == "main" && process.running) return pid;
        return 0;
    }

private:
    [[noreturn]] static void run(SpawnRequest const& request, int error) {
        setsid();
        if (request.output_fd >= 0) {
            dup2(request.output_fd, 1);
            dup2(request.output_fd, 2);
        }
        std::vector<char*> argv;
        for (auto const& a : request.argv) argv.push_back(const_cast<char*>(a.c_str()));
        argv.push_back(nullptr);
        for (auto const& e : request.env) putenv(const_cast<char*>(e.c_str()));
        std::string text;
        if (chdir(request.working_directory.empty() ? "/" : request.working_directory.c_str()) != 0)
            text = "can't change to directory " + request.working_directory;
        else
            execvp(argv[0], argv.data());
        if (text.empty()) text = std::string("can't execute ") + argv[0] + ": " + std::strerror(errno);
        (void)!write(error, text.data(), text.size());
        _exit(127);
    }
    void reap() {
        while (!ending_) {
            std::vector<GuardEvent> events;
            {
                std::lock_guard lock(mutex_);
                for (auto& [pid, process] : all_) {
                    int status = 0;
                    if (!process.running || waitpid(pid, &status, WNOHANG) != pid) continue;
                    process.running = false;
                    process.wait_status = status;
                    events.push_back(
                        {.kind = GuardEvent::Kind::exited, .process = process, .host = {}, .proven = true, .message = {}});
                }
            }
            for (auto const& event : events) hub.dispatch(event);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    std::mutex mutex_;
    std::map<pid_t, ProcessInfo> all_;
    std::atomic<bool> ending_{false};
    std::thread reaper_;
};

}  // namespace clusterd
