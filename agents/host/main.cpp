// cluster-agent NAME: one agent host. Started by the guard only, with two sockets by environment: CLUSTERD_GUARD_FD to the guard,
// CLUSTERD_WORKER_FD to the worker. What it does is in host.hpp.
// cluster-agent --try TYPE NAME=VALUE...: one check by hand (try.hpp).
#include "agents/host/host.hpp"
#include "agents/host/memory.hpp"
#include "agents/host/try.hpp"
#include "clusterd/guard/client/client.hpp"
#include "resources/guard_events.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>

namespace {

// -1: not given, or not an open descriptor.
int fd_from(char const* variable) {
    char const* text = std::getenv(variable);
    if (!text || !*text) return -1;
    char* end = nullptr;
    long const fd = std::strtol(text, &end, 10);
    if (*end || fd < 0 || fd > 1'000'000 || fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC) != 0) return -1;
    return static_cast<int>(fd);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace clusterd;
    if (std::string const mode = argc > 1 ? argv[1] : ""; mode == "--try" || mode == "--try-json")
        return try_agent({argv + 2, argv + argc}, mode == "--try-json");
    int const guard_fd = fd_from("CLUSTERD_GUARD_FD"), worker_fd = fd_from("CLUSTERD_WORKER_FD");
    if (argc != 2 || guard_fd < 0 || worker_fd < 0) {
        fmt::print(stderr,
                   "cluster-agent: it is clusterd that starts this program, as cluster-agent NAME with CLUSTERD_GUARD_FD and "
                   "CLUSTERD_WORKER_FD set\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // without the guard nothing we started could be ended any more
    prctl(PR_SET_NAME, argv[1]);
    std::signal(SIGPIPE, SIG_IGN);
    begin_with_limited_memory(argv[1]);
    unsetenv("CLUSTERD_GUARD_FD");
    unsetenv("CLUSTERD_WORKER_FD");
    try {
        GuardEvents events;
        GuardClient guard(guard_fd, [&events](GuardEvent const& event) {
            if (event.kind == GuardEvent::Kind::closed) _exit(1);
            events.dispatch(event);
        });
        AgentHost host(argv[1], worker_fd, guard, events, {.resources = limit_memory});
        host.run();
        _exit(0);  // a driver that hangs must not hold us up
    } catch (std::exception const& e) {
        fmt::print(stderr, "cluster-agent {}: {}\n", argv[1], e.what());
        return 1;
    }
}
