// clusterctl as a process, and what a fake daemon answers it: for the tests of its verbs.
#pragma once

#include "fake_daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace clusterd {

using namespace std::chrono_literals;
using testing::FakeDaemon;

struct Ran {
    int code = -1;
    std::string out, err;
};

// A clusterctl under way; ended and collected at the latest when this goes.
class Process {
public:
    Process(std::vector<std::string> arguments, std::string const& input, std::vector<std::string> environment) {
        int in[2], out[2], err[2];
        if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
            throw std::runtime_error("pipe2");
        arguments.insert(arguments.begin(), BINARY_DIR "/bin/clusterctl");
        environment.insert(environment.end(), {"PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C.UTF-8"});
        auto const pointers = [](std::vector<std::string>& strings) {
            std::vector<char*> p;
            for (auto& s : strings) p.push_back(s.data());
            p.push_back(nullptr);
            return p;
        };
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        posix_spawn_file_actions_adddup2(&actions, err[1], 2);
        int const failed =
            posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr, pointers(arguments).data(), pointers(environment).data());
        posix_spawn_file_actions_destroy(&actions);
        for (int const fd : {in[0], out[1], err[1]}) close(fd);
        [[maybe_unused]] ssize_t const written = write(in[1], input.data(), input.size());
        close(in[1]);
        out_ = out[0];
        err_ = err[0];
        if (failed != 0) throw std::runtime_error("can't start " + arguments[0]);
    }
    ~Process() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        close(out_);
        close(err_);
    }
    Process(Process const&) = delete;
    Process& operator=(Process const&) = delete;

    void signal(int number) const { kill(pid_, number); }
    // False: `text` wasn't on stdout within 30 s.
    bool says(std::string_view text) {
        auto const deadline = std::chrono::steady_clock::now() + 30s;
        while (ran_.out.find(text) == std::string::npos) {
            if (std::chrono::steady_clock::now() >= deadline || !collect()) return ran_.out.find(text) != std::string::npos;
        }
        return true;
    }
    Ran end() {
        while (collect()) {
        }
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        ran_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        return ran_;
    }

private:
    bool collect() {
        pollfd fds[2] = {{out_open_ ? out_ : -1, POLLIN, 0}, {err_open_ ? err_ : -1, POLLIN, 0}};
        if (!out_open_ && !err_open_) return false;
        if (poll(fds, 2, 30'000) <= 0) return false;
        auto const take = [](pollfd const& p, std::string& to, bool& open) {
            if (p.revents == 0) return;
            char buffer[4096];
            ssize_t const n = read(p.fd, buffer, sizeof buffer);
            if (n <= 0) open = false;
            if (n > 0) to.append(buffer, static_cast<std::size_t>(n));
        };
        take(fds[0], ran_.out, out_open_);
        take(fds[1], ran_.err, err_open_);
        return true;
    }
    pid_t pid_ = -1;
    int out_ = -1, err_ = -1;
    bool out_open_ = true, err_open_ = true;
    Ran ran_;
};

inline Ran run(std::vector<std::string> arguments, std::string const& input = "", std::vector<std::string> environment = {}) {
    Process p(std::move(arguments), input, std::move(environment));
    return p.end();
}

// Plays `updates` for every command, one after the other, once it was given.
inline void play(FakeDaemon& daemon, std::vector<std::pair<Outcome, std::string>> updates) {
    daemon.on_loop([&] {
        daemon.backend.on_submit = [&daemon, updates](Command const& c) {
            for (auto const& u : updates) daemon.loop().post([&daemon, u, id = c.id] { daemon.update(id, u.first, u.second); });
        };
    });
}

inline Command last_given(FakeDaemon& daemon) {
    return daemon.on_loop([&] { return daemon.backend.given.empty() ? Command{} : daemon.backend.given.back(); });
}

}  // namespace clusterd
