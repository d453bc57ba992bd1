// How things look: colour and box characters where a person watches, plain text where a program reads; aligned tables; wrapped
// text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd::tool {

enum class Tone : std::uint8_t { plain, good, warn, bad, faint, strong };

struct Paint {
    bool colour = false;
    bool utf8 = false;
    bool terminal = false;  // stdout is one
    int width = 80;         // of the terminal; 80 where there is none
    int height = 24;
    std::string operator()(Tone tone, std::string_view text) const;
};
// Of stdout: colour on a terminal unless NO_COLOR is set or TERM=dumb.
Paint stdout_paint();

// Columns a terminal needs for UTF-8 text (one a code point; control bytes none).
int columns_of(std::string_view text);
// At most `columns`, the rest cut with ~ or an ellipsis. Control bytes become '?': what others say can't steer the terminal.
std::string clipped(std::string_view text, int columns, bool utf8);
std::string printable(std::string_view text);
// Lines of at most `width` columns, all but the first indented; the first leaves room for as much, which the caller has written.
std::string wrapped(std::string_view text, int width, int indent);

class Table {
public:
    struct Cell {
        std::string text;
        Tone tone = Tone::plain;
    };
    using Row = std::vector<Cell>;
    // No column wider than its limit (0 = none).
    explicit Table(std::vector<int> limits = {}) : limits_(std::move(limits)) {}
    void add(Row row) { rows_.push_back(std::move(row)); }
    std::string text(Paint const& paint) const;

private:
    std::vector<int> limits_;
    std::vector<Row> rows_;
};

std::string local_time(std::int64_t wall_ms, std::int64_t now_ms);  // 20:01:07, or with the date where it isn't within a day
std::string local_date_time(std::int64_t wall_ms);                  // 2026-11-22 20:01:07.123
std::string for_people(std::int64_t ms);                            // 12 ms, 3.4 s, 5 min, 3 h, 2 d
std::int64_t wall_now_ms();

}  // namespace clusterd::tool
