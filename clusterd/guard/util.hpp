// Small things that libc doesn't have: strings of a fixed size, time since boot, whole small files. For the guard only.
// Nothing allocates: after mlockall the guard needs no memory that it hasn't got.
#pragma once

#include <fcntl.h>
#include <unistd.h>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace clusterd::guard {

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t second = 1'000'000'000;

inline std::int64_t boot_now() {
    timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * second + ts.tv_nsec;
}

// A string of at most N-1 bytes; what doesn't fit is cut off, and `cut` says so.
template <std::size_t N>
struct Text {
    char s[N] = {};
    bool cut = false;

    Text() = default;
    explicit Text(char const* from) { set(from); }
    void set(char const* from) {
        cut = false;
        s[0] = 0;
        add("%s", from);
    }
    [[gnu::format(printf, 2, 3)]] void add(char const* format, ...) {
        std::size_t const used = std::strlen(s);
        va_list args;
        va_start(args, format);
        int const n = std::vsnprintf(s + used, N - used, format, args);
        va_end(args);
        if (n < 0 || static_cast<std::size_t>(n) >= N - used) cut = true;
    }
    bool operator==(char const* other) const { return std::strcmp(s, other) == 0; }
    bool empty() const { return s[0] == 0; }
};
using Path = Text<512>;
using Name = Text<128>;
using Line = Text<512>;

// Reads at most capacity-1 bytes and ends them with NUL; the number read, or -1 (errno).
inline long read_file(char const* path, char* buffer, std::size_t capacity) {
    int const fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return -1;
    std::size_t used = 0;
    while (used + 1 < capacity) {
        ssize_t const n = read(fd, buffer + used, capacity - 1 - used);
        if (n < 0) {
            close(fd);
            return -1;
        }
        if (n == 0) break;
        used += static_cast<std::size_t>(n);
    }
    close(fd);
    buffer[used] = 0;
    return static_cast<long>(used);
}

inline bool write_file(char const* path, char const* text) {
    int const fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return false;
    std::size_t const length = std::strlen(text);
    bool const ok = write(fd, text, length) == static_cast<ssize_t>(length);
    close(fd);
    return ok;
}

// Decimal, the whole string, 0..max.
inline bool parse_number(char const* s, std::uint64_t max, std::uint64_t& value) {
    if (*s == 0) return false;
    value = 0;
    for (; *s; ++s) {
        if (*s < '0' || *s > '9') return false;
        std::uint64_t const digit = static_cast<std::uint64_t>(*s - '0');
        if (value > (max - digit) / 10) return false;
        value = value * 10 + digit;
    }
    return true;
}

}  // namespace clusterd::guard
