// The clock of drivers and agents: the node's CLOCK_BOOTTIME, on which the core's instants and deadlines are told.
#pragma once

#include "clusterd/core/time.hpp"

#include <ctime>

namespace clusterd {

inline Instant boot_now() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return Instant{std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
}

// What is left until `deadline`, in whole milliseconds rounded up, for poll() and curl; 0 once it has passed.
inline int ms_left(Instant deadline) {
    std::int64_t const ns = deadline.ns - boot_now().ns;
    if (ns <= 0) return 0;
    std::int64_t const ms = (ns - 1) / 1'000'000 + 1;
    return ms > 3'600'000 ? 3'600'000 : static_cast<int>(ms);
}

}  // namespace clusterd
