// Stands in for clusterd-worker or cluster-agent: gives its descriptors to the test that listens on $FAKE_SOCKET and does what it
// is told there ("exit N", "fork": leave a child in a session of its own). $FAKE_WORKER_EXIT: the worker refuses to start.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int number_from(char const* variable) {
    char const* text = std::getenv(variable);
    return text ? std::atoi(text) : -1;
}

void introduce(int fd, std::string const& text, int a, int b) {
    iovec io{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(2 * sizeof(int));
    int const fds[2] = {a, b};
    std::memcpy(CMSG_DATA(c), fds, sizeof fds);
    if (sendmsg(fd, &message, 0) < 0) std::perror("fake_child: sendmsg");
}

}  // namespace

int main(int argc, char** argv) {
    bool const worker = std::strstr(argv[0], "clusterd-worker") != nullptr;
    if (worker)
        if (char const* code = std::getenv("FAKE_WORKER_EXIT")) return std::atoi(code);
    char const* path = std::getenv("FAKE_SOCKET");
    if (!path) return 99;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    int const fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0) {
        std::perror("fake_child: connect");
        return 98;
    }
    char const* resume = std::getenv("CLUSTERD_RESUME");
    std::string text = worker ? "worker -" : std::string("agent ") + (argc > 1 ? argv[1] : "?");
    text += " " + std::to_string(getpid()) + " " + (resume ? resume : "0");
    for (int i = 1; worker && i < argc; ++i) text += std::string(" ") + argv[i];
    introduce(fd, text, number_from("CLUSTERD_GUARD_FD"),
              worker ? number_from("CLUSTERD_SHARED_FD") : number_from("CLUSTERD_WORKER_FD"));
    // The test holds them now: where it closes them, or the guard does, there must be no other copy.
    close(number_from("CLUSTERD_GUARD_FD"));
    if (!worker) close(number_from("CLUSTERD_WORKER_FD"));
    char order[64];
    for (;;) {
        ssize_t const n = recv(fd, order, sizeof order - 1, 0);
        if (n <= 0) {
            for (;;) pause();
        }
        order[n] = 0;
        if (std::strncmp(order, "exit ", 5) == 0) return std::atoi(order + 5);
        if (std::strcmp(order, "fork") == 0 && fork() == 0) {
            setsid();
            pid_t const inner = fork();
            if (inner != 0) _exit(0);
            std::string const pid = std::to_string(getpid());
            send(fd, pid.data(), pid.size(), 0);
            for (;;) pause();
        }
    }
}
