// A wall clock that is wrong, for one process of the lab (LD_PRELOAD): CLOCK_REALTIME and what else tells the time of day go by as
// many seconds wrong as the file LAB_WALLCLOCK says (a 64-bit number, read at every look). The clocks that only go forward are left
// alone: a machine's administrator can't set those either.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

std::int64_t seconds_wrong() {
    static std::int64_t const volatile* const offset = [] {
        char const* const path = getenv("LAB_WALLCLOCK");
        int const fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void* const at = fd < 0 ? MAP_FAILED : mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0) close(fd);
        return at == MAP_FAILED ? nullptr : static_cast<std::int64_t const volatile*>(at);
    }();
    return offset ? *offset : 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* to) noexcept {
    long const result = syscall(SYS_clock_gettime, clock, to);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) to->tv_sec += seconds_wrong();
    return static_cast<int>(result);
}

time_t time(time_t* to) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(timeval* to, void*) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    *to = {now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
}
