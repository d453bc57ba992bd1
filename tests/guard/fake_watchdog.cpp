// A watchdog device for one guard (LD_PRELOAD), as sbd's tests have one: a plain file FAKE_WATCHDOG that answers the kernel's ioctls.
// What is done with it is written into it: k for each feeding; the guard's own writes (the magic close, V) stand in it anyway.
#include <linux/watchdog.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

bool is_the_watchdog(int fd) {
    char const* const wanted = getenv("FAKE_WATCHDOG");
    char link[64] = "/proc/self/fd/", target[512] = {};
    char digits[16];
    int n = 0;
    for (unsigned rest = static_cast<unsigned>(fd); n == 0 || rest > 0; rest /= 10) digits[n++] = static_cast<char>('0' + rest % 10);
    for (char* at = link + std::strlen(link); n > 0;) *at++ = digits[--n];
    return wanted && readlink(link, target, sizeof target - 1) > 0 && std::strcmp(target, wanted) == 0;
}

int at_least() {
    char const* const text = getenv("FAKE_WATCHDOG_MIN");
    return text ? std::atoi(text) : 1;
}

}  // namespace

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    if (!is_the_watchdog(fd)) return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
    switch (request) {
        case WDIOC_GETSUPPORT: {
            auto* const info = static_cast<watchdog_info*>(argument);
            info->options = WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING;
            std::strcpy(reinterpret_cast<char*>(info->identity), "a file");
            return 0;
        }
        case WDIOC_SETTIMEOUT: {
            int& seconds = *static_cast<int*>(argument);
            if (seconds < at_least()) seconds = at_least();
            return 0;
        }
        case WDIOC_KEEPALIVE:
            return lseek(fd, 0, SEEK_END) >= 0 && write(fd, "k", 1) == 1 ? 0 : -1;
        default:
            errno = ENOTTY;
            return -1;
    }
}
