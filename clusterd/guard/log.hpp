// What the guard tells people: lines on stderr, for journald, for a terminal or as JSON. Never waits: where stderr is full, the
// line is lost and the next one that gets through says how many were.
#pragma once

namespace clusterd::guard {

enum class LogFormat { journal, text, json };
enum class Level { error = 3, warning = 4, notice = 5, info = 6 };  // as syslog numbers them

void set_log_format(LogFormat format);
char const* log_format_name();
[[gnu::format(printf, 2, 3)]] void log(Level level, char const* format, ...);

}  // namespace clusterd::guard
