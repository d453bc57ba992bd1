// Runs a monitoring plugin through the guard. See exec.hpp.
#include "agents/exec.hpp"

#include "agents/plugin.hpp"
#include "clusterd/guard/client/client.hpp"
#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/guard_events.hpp"
#include "resources/secret_file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <atomic>
#include <csignal>

namespace clusterd {
namespace {

constexpr std::size_t flood = 1u << 20;  // a plugin that writes more has its output closed

// A role of its own for each run: it is by its role that the guard is told which process to end.
std::string next_role() {
    static std::atomic<unsigned> last{0};
    return fmt::format("check:{}.{}", getpid(), ++last);
}

struct Fd {
    int fd = -1;
    Fd() = default;
    Fd(Fd const&) = delete;
    Fd& operator=(Fd const&) = delete;
    ~Fd() { reset(); }
    void reset() {
        if (fd >= 0) close(fd);
        fd = -1;
    }
};

// One run: the output so far, and how the program ended once it has.
class Run {
public:
    bool prepare() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return false;
        read_.fd = ends[0], write_.fd = ends[1];
        fcntl(read_.fd, F_SETFL, O_NONBLOCK);
        ended_.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return ended_.fd >= 0;
    }
    int output() const { return write_.fd; }
    void started() { write_.reset(); }

    // On the guard client's thread.
    void exited(int wait_status) {
        wait_status_ = wait_status;
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(ended_.fd, &one, sizeof one);
    }

    // True once the program has ended; false at the deadline.
    bool wait(Instant deadline) {
        for (;;) {
            pollfd fds[] = {{ended_.fd, POLLIN, 0}, {read_.fd, POLLIN, 0}};
            int const ms = deadline == forever ? -1 : ms_left(deadline);
            poll(fds, read_.fd >= 0 ? 2 : 1, ms);
            read_some();
            if (fds[0].revents & POLLIN) return true;  // a child of its may hold the pipe: its end isn't waited for
            if (ms == 0) return false;
        }
    }
    int wait_status() const { return wait_status_; }
    std::string const& text() const { return text_; }
    bool flooded() const { return total_ > flood; }

private:
    void read_some() {
        char buffer[4096];
        for (int i = 0; i < 64 && read_.fd >= 0; ++i) {
            ssize_t const n = read(read_.fd, buffer, sizeof buffer);
            if (n < 0) return;
            total_ += static_cast<std::size_t>(n);
            if (text_.size() < max_plugin_output)
                text_.append(buffer, std::min(static_cast<std::size_t>(n), max_plugin_output - text_.size()));
            if (n == 0 || flooded()) read_.reset();
        }
    }
    Fd read_, write_, ended_;
    std::atomic<int> wait_status_{0};
    std::string text_;
    std::size_t total_ = 0;
};

class Exec final : public Agent {
public:
    Exec(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events)
        : resource_(resource.name), guard_(guard), events_(events) {
        Attributes const attributes(health.attributes);
        environment_file_ = attributes.text("environment-file");
        if (auto words = split_words(attributes.text("command")); words && !words->empty()) argv_ = *words;
    }

    CheckOutcome check(Instant deadline) override {
        if (argv_.empty()) return {Health::unknown, "the check has no command"};
        SpawnRequest request{.resource = resource_,
                             .role = next_role(),
                             .argv = argv_,
                             .env = {},
                             .working_directory = {},
                             .user = {},
                             .output_fd = -1};
        if (!environment_file_.empty()) {
            auto lines = read_secret_lines(environment_file_);
            if (!lines) return {Health::unknown, "the check can't be run: " + lines.error()};
            request.env = *lines;
        }
        Run run;
        if (!run.prepare()) return {Health::unknown, "the check can't be run: no more files can be opened"};
        request.output_fd = run.output();
        auto const subscription = events_.subscribe(resource_, [&](GuardEvent const& e) {
            if (e.process.role == request.role) run.exited(e.process.wait_status);
        });
        if (auto const pid = guard_.spawn(request); !pid)
            return {Health::unknown, fmt::format("{} can't be run: {}", argv_[0], pid.error())};
        run.started();
        if (!run.wait(deadline)) {
            [[maybe_unused]] auto const killed = guard_.signal(resource_, request.role, SIGKILL);
            return {Health::unknown, fmt::format("{} wasn't done in time; it was killed", argv_[0])};
        }
        CheckOutcome outcome = plugin_outcome(run.wait_status(), run.text());
        if (run.flooded()) outcome.message += " (it wrote more than 1 MiB; the rest was cut off)";
        return outcome;
    }

private:
    std::string const resource_;
    GuardClient& guard_;
    GuardEvents& events_;
    std::string environment_file_;
    std::vector<std::string> argv_;
};

}  // namespace

AgentPtr make_exec_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events) {
    return std::make_unique<Exec>(health, resource, guard, events);
}

}  // namespace clusterd
