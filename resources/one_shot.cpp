// Runs one command of a resource through the guard; see one_shot.hpp.
#include "resources/one_shot.hpp"

#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/secret_file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

namespace clusterd {

namespace {

constexpr std::size_t output_room = 1u << 20;  // what a command and all it leaves behind may write; then its writes fail
constexpr auto end_after_kill = std::chrono::seconds(2);

// A file in memory that can't grow: what is written beyond it is refused, and nobody is killed for it.
class Output {
public:
    Output() : fd_(memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
        if (fd_ >= 0 && (ftruncate(fd_, output_room) != 0 || fcntl(fd_, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0)) reset();
    }
    Output(Output const&) = delete;
    Output& operator=(Output const&) = delete;
    ~Output() { reset(); }
    int fd() const { return fd_; }

    // The last whole lines that fit; the position is shared with the writers.
    std::string tail(std::size_t kept) const {
        off_t const written = fd_ < 0 ? 0 : lseek(fd_, 0, SEEK_CUR);
        if (written <= 0) return {};
        off_t const from = written > static_cast<off_t>(kept) ? written - static_cast<off_t>(kept) : 0;
        std::string text(static_cast<std::size_t>(written - from), '\0');
        ssize_t const n = pread(fd_, text.data(), text.size(), from);
        text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        if (from > 0)
            if (auto const line = text.find('\n'); line != std::string::npos && line + 1 < text.size()) text.erase(0, line + 1);
        while (!text.empty() && std::strchr("\n\r \t", text.back())) text.pop_back();  // '\0', too
        return text;
    }

private:
    void reset() {
        if (fd_ >= 0) close(fd_);
        fd_ = -1;
    }
    int fd_;
};

std::string next_role(std::string const& kind) {
    static std::atomic<unsigned> last{0};
    return fmt::format("{}:{}.{}", kind, getpid(), ++last);
}

}  // namespace

std::string exit_in_words(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        char const* name = sigabbrev_np(WTERMSIG(wait_status));
        return name ? fmt::format("was killed by SIG{}", name) : fmt::format("was killed by signal {}", WTERMSIG(wait_status));
    }
    return fmt::format("exited with status {}", WEXITSTATUS(wait_status));
}

Result<CommandSettings> command_settings(std::string const& resource, std::map<std::string, std::string> const& all) {
    Attributes const attributes(all);
    CommandSettings settings;
    settings.user = attributes.text("user");
    settings.working_directory = attributes.text("working-directory", "/");
    auto const environment = parse_environment(attributes.text("environment"));
    if (!environment) return Error{fmt::format("resource {}: environment {}", resource, environment.error())};
    for (auto const& [name, value] : *environment) settings.env.push_back(name + "=" + value);
    std::string const file = attributes.text("environment-file");
    if (file.empty()) return settings;
    auto const lines = read_secret_lines(file);
    if (!lines) return Error{fmt::format("resource {}: environment-file {}", resource, lines.error())};
    for (std::string const& line : *lines) {
        std::size_t const equals = line.find('=');
        if (equals == std::string::npos || equals == 0)
            return Error{fmt::format("resource {}: environment-file {} has a line that isn't NAME=value", resource, file)};
        settings.env.push_back(line);
    }
    return settings;
}

bool lasting_start_error(std::string const& error) {
    for (char const* what : {"can't execute", "there is no user", "can't become user", "can't change to directory"})
        if (error.find(what) != std::string::npos) return true;
    return false;
}

OneShotResult OneShot::run(std::string const& resource, std::string const& kind, std::vector<std::string> argv,
                           CommandSettings const& settings, Instant deadline) {
    Output output;
    SpawnRequest const request{resource,      next_role(kind), std::move(argv), settings.env, settings.working_directory,
                               settings.user, output.fd()};
    std::optional<int> ended;
    OneShotResult result;
    auto const subscription = events_.subscribe(resource, [&](GuardEvent const& event) {
        if (event.process.role != request.role) return;
        std::lock_guard lock(mutex_);
        ended = event.process.wait_status;
        changed_.notify_all();
    });
    {
        std::lock_guard lock(mutex_);
        if (cancelled_) {
            result.end = OneShotResult::End::cancelled;
            return result;
        }
    }
    if (auto const pid = guard_.spawn(request); !pid) {
        result.error = pid.error();
        return result;
    }
    std::unique_lock lock(mutex_);
    auto const over = [&] { return ended.has_value() || cancelled_; };
    while (!over() && ms_left(deadline) > 0) changed_.wait_for(lock, std::chrono::milliseconds(ms_left(deadline)), over);
    if (!ended) {
        result.end = cancelled_ ? OneShotResult::End::cancelled : OneShotResult::End::too_late;
        lock.unlock();
        (void)guard_.signal(resource, request.role, SIGKILL);  // where it has just ended: nothing to signal
        lock.lock();
        changed_.wait_for(lock, end_after_kill, [&] { return ended.has_value(); });
    } else {
        result.end = OneShotResult::End::exited;
        result.wait_status = *ended;
    }
    result.output = output.tail(kept_);
    return result;
}

void OneShot::cancel() {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
}

}  // namespace clusterd
