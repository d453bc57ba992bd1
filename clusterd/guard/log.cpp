// Lines on stderr that never wait; see log.hpp.
#include "clusterd/guard/log.hpp"

#include "clusterd/guard/util.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <cerrno>
#include <cstdlib>

namespace clusterd::guard {

namespace {

LogFormat format_used = LogFormat::text;
unsigned long lines_lost = 0;

char const* level_name(Level level) {
    switch (level) {
        case Level::error:
            return "error";
        case Level::warning:
            return "warning";
        case Level::notice:
            return "notice";
        case Level::info:
            return "info";
    }
    return "";
}

bool put(char const* data, std::size_t size) {
    ssize_t n = send(STDERR_FILENO, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) {
        // At most PIPE_BUF bytes: a pipe that polls writable takes them without waiting.
        pollfd p{STDERR_FILENO, POLLOUT, 0};
        if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT)) return false;
        n = write(STDERR_FILENO, data, size);
    }
    return n == static_cast<ssize_t>(size);
}

using Out = Text<2048>;

void add_json(Out& out, char const* s) {
    for (; *s; ++s) {
        auto const c = static_cast<unsigned char>(*s);
        if (c == '"' || c == '\\')
            out.add("\\%c", c);
        else if (c < 0x20)
            out.add("\\u%04x", c);
        else
            out.add("%c", c);
    }
}

void put_line(Level level, char const* message) {
    Out out;
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    switch (format_used) {
        case LogFormat::journal:
            out.add("<%d>guard: %s", static_cast<int>(level), message);
            break;
        case LogFormat::text:
            out.add("%s.%03ldZ %s guard: %s", stamp, now.tv_nsec / ms, level_name(level), message);
            break;
        case LogFormat::json:
            out.add("{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"component\":\"guard\",\"message\":\"", stamp, now.tv_nsec / ms,
                    level_name(level));
            add_json(out, message);
            out.add("\"}");
            break;
    }
    out.add("\n");
    if (!put(out.s, std::strlen(out.s))) ++lines_lost;
}

}  // namespace

void set_log_format(LogFormat format) {
    format_used = format;
}

char const* log_format_name() {
    switch (format_used) {
        case LogFormat::journal:
            return "journal";
        case LogFormat::text:
            return "text";
        case LogFormat::json:
            return "json";
    }
    return "";
}

void log(Level level, char const* format, ...) {
    char message[1024];
    va_list args;
    va_start(args, format);
    std::vsnprintf(message, sizeof message, format, args);
    va_end(args);
    for (char* p = message; *p; ++p)
        if (*p == '\n') *p = ' ';
    unsigned long const lost = lines_lost;
    put_line(level, message);
    if (lost != 0 && lines_lost == lost) {
        Text<64> note;
        note.add("%lu lines before this one were lost: stderr was full", lost);
        lines_lost = 0;
        put_line(Level::warning, note.s);
    }
}

}  // namespace clusterd::guard
