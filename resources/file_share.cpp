// See file_share.hpp.
#include "resources/file_share.hpp"

#include "clusterd/guard/client/client.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/share_server.hpp"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <thread>

namespace clusterd {
namespace {

constexpr Duration to_clean_up = std::chrono::milliseconds(500);  // a call that outlives its deadline costs the host its life
constexpr int unknown_before_told = 3;                            // glances that could not be done, in a row

class FileShare final : public Driver {
public:
    FileShare(ResourceSpec const& resource, DriverContext context) : name_(resource.name), context_(std::move(context)) {
        Attributes const attributes(resource.attributes);
        server_ = attributes.text("protocol") == "smb"     ? make_samba_share(resource, context_)
                  : attributes.text("server") == "kernel" ? make_kernel_export(resource, context_)
                                                          : make_ganesha_export(resource, context_);
        wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    ~FileShare() override {
        end_watch();
        close(wake_fd_);
    }

    DriverOutcome probe(Instant deadline) override {
        end_watch();
        return settled(server_->look(earlier(deadline)));
    }
    DriverOutcome start(Instant deadline) override {
        end_watch();
        return settled(server_->add(earlier(deadline)));
    }
    DriverOutcome stop(Instant deadline) override {
        end_watch();
        return settled(server_->remove(earlier(deadline), false));
    }
    DriverOutcome kill(Instant deadline) override {
        end_watch();
        return settled(server_->remove(earlier(deadline), true));
    }

private:
    static Instant earlier(Instant deadline) { return deadline == forever ? boot_now() + std::chrono::minutes(1) : deadline - to_clean_up; }

    DriverOutcome settled(DriverOutcome outcome) {
        if (outcome.state == ResourceState::online) watch();
        if (outcome.state == ResourceState::offline)  // the empty cgroup of the commands that were run doesn't stay
            if (auto const left = context_.guard.count(name_); left && *left == 0) [[maybe_unused]] auto const none = context_.guard.kill_all(name_);
        return outcome;
    }

    void watch() {
        stopping_ = false;
        std::uint64_t times;
        [[maybe_unused]] ssize_t const n = read(wake_fd_, &times, sizeof times);
        server_->allow_glances();
        watcher_ = std::thread([this] { look_again_and_again(); });
    }
    void end_watch() {
        if (!watcher_.joinable()) return;
        stopping_ = true;
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(wake_fd_, &one, sizeof one);
        server_->cancel_glance();
        watcher_.join();
    }
    void look_again_and_again() {
        int unknown = 0;
        for (;;) {
            server_->wait(wake_fd_);
            if (stopping_) return;
            DriverOutcome const outcome = server_->glance();
            if (stopping_) return;
            unknown = outcome.state == ResourceState::unknown ? unknown + 1 : 0;
            if (outcome.state == ResourceState::online || (unknown > 0 && unknown < unknown_before_told)) continue;
            context_.changed(outcome);
            return;
        }
    }

    std::string const name_;
    DriverContext const context_;
    ShareServerPtr server_;
    int wake_fd_ = -1;
    std::atomic<bool> stopping_{false};
    std::thread watcher_;
};

}  // namespace

std::string why_no_directory(std::string const& path) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0)
        return errno == ENOENT ? "its directory " + path + " isn't there; is its filesystem mounted, and was the directory made on it?"
                               : "its directory " + path + ": " + std::strerror(errno);
    return S_ISDIR(st.st_mode) ? std::string() : path + " is no directory";
}

bool holds_directory(int pid, std::string const& path) {
    auto const lies_there = [&path](std::string const& link) {
        char target[PATH_MAX];
        ssize_t const n = readlink(link.c_str(), target, sizeof target);
        if (n < static_cast<ssize_t>(path.size()) || path.compare(0, path.size(), target, path.size()) != 0) return false;
        return n == static_cast<ssize_t>(path.size()) || target[path.size()] == '/' || target[path.size()] == ' ';  // " (deleted)"
    };
    std::string const process = "/proc/" + std::to_string(pid);
    if (lies_there(process + "/cwd")) return true;
    std::error_code error;
    for (std::filesystem::directory_iterator it(process + "/fd", error), end; !error && it != end; it.increment(error))
        if (lies_there(it->path())) return true;
    return false;
}

DriverPtr make_file_share_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<FileShare>(resource, std::move(context));
}

}  // namespace clusterd
