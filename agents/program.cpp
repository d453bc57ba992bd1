// See program.hpp.
#include "agents/program.hpp"

#include "agents/plugin.hpp"
#include "clusterd/guard/client/client.hpp"
#include "resources/clock.hpp"
#include "resources/guard_events.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <atomic>
#include <csignal>

namespace clusterd {
namespace {

constexpr std::size_t flood = 1u << 20;  // a program that writes more has its output closed

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

}  // namespace

struct Program::Started : Run {
    pid_t pid = 0;
    GuardEvents::SubscriptionPtr told;  // ends before the Run that its function uses
};

Program::Program(GuardClient& guard, GuardEvents& events, std::string resource) : guard_(guard), events_(events), resource_(std::move(resource)) {}
Program::~Program() = default;

ProgramResult Program::run(std::vector<std::string> argv, std::vector<std::string> env, Instant deadline) {
    ProgramResult result;
    // Those that nothing can end would be more with each run, until this node could start no process any more.
    if (left_ && !left_->wait(deadline)) {
        result.error = fmt::format("that of an earlier run (pid {}) can't be ended, even by SIGKILL: it waits for a device or a network filesystem; it isn't run again before that has ended",
                                   left_->pid);
        return result;
    }
    left_.reset();
    SpawnRequest request{.resource = resource_,
                         .role = next_role(),
                         .argv = std::move(argv),
                         .env = std::move(env),
                         .working_directory = {},
                         .user = {},
                         .output_fd = -1};
    auto started = std::make_unique<Started>();
    if (!started->prepare()) {
        result.error = "no more files can be opened";
        return result;
    }
    request.output_fd = started->output();
    started->told = events_.subscribe(resource_, [role = request.role, r = started.get()](GuardEvent const& e) {
        if (e.process.role == role) r->exited(e.process.wait_status);
    });
    auto const pid = guard_.spawn(request);
    if (!pid) {
        result.error = pid.error();
        return result;
    }
    started->started();
    bool const ended = started->wait(deadline);
    result.end = ended ? ProgramResult::End::exited : ProgramResult::End::too_late;
    result.wait_status = started->wait_status();
    result.output = started->text();
    result.flooded = started->flooded();
    if (ended) return result;
    [[maybe_unused]] auto const killed = guard_.signal(resource_, request.role, SIGKILL);
    started->pid = *pid;
    left_ = std::move(started);
    return result;
}

}  // namespace clusterd
