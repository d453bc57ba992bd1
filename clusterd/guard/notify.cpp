// sd_notify by hand; see notify.hpp.
#include "clusterd/guard/notify.hpp"

#include "clusterd/guard/util.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <cstdlib>

namespace clusterd::guard {

void notify(char const* lines) {
    char const* path = getenv("NOTIFY_SOCKET");
    if (!path || (path[0] != '/' && path[0] != '@')) return;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::size_t const length = std::strlen(path);
    if (length >= sizeof to.sun_path) return;
    std::memcpy(to.sun_path, path, length);
    if (path[0] == '@') to.sun_path[0] = 0;  // the abstract namespace
    int const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    auto const size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    sendto(fd, lines, std::strlen(lines), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<sockaddr const*>(&to), size);
    close(fd);
}

std::int64_t watchdog_interval() {
    char const* usec = getenv("WATCHDOG_USEC");
    char const* pid = getenv("WATCHDOG_PID");
    std::uint64_t value = 0;
    if (!usec || !parse_number(usec, 1'000'000'000'000ull, value)) return 0;
    std::uint64_t whose = 0;
    if (pid && (!parse_number(pid, INT32_MAX, whose) || whose != static_cast<std::uint64_t>(getpid()))) return 0;
    return static_cast<std::int64_t>(value) * 1000;
}

}  // namespace clusterd::guard
