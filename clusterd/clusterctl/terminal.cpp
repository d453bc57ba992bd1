// Colours, tables and times for people.
#include "clusterd/clusterctl/terminal.hpp"

#include <fmt/format.h>

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdlib>
#include <ctime>

namespace clusterd::tool {
namespace {

bool continues(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}
bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string padded(std::string text, int columns) {
    int const missing = columns - columns_of(text);
    if (missing > 0) text.append(static_cast<std::size_t>(missing), ' ');
    return text;
}

}  // namespace

std::string Paint::operator()(Tone tone, std::string_view text) const {
    if (!colour || tone == Tone::plain || text.empty()) return std::string(text);
    char const* code = "1";
    switch (tone) {
        case Tone::good:
            code = "32";
            break;
        case Tone::warn:
            code = "33";
            break;
        case Tone::bad:
            code = "1;31";
            break;
        case Tone::faint:
            code = "2";
            break;
        case Tone::strong:
        case Tone::plain:
            break;
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

Paint stdout_paint() {
    std::setlocale(LC_CTYPE, "");
    Paint paint;
    bool const tty = isatty(STDOUT_FILENO) == 1;
    char const* const no_colour = std::getenv("NO_COLOR");
    char const* const term = std::getenv("TERM");
    paint.colour = tty && (no_colour == nullptr || *no_colour == 0) && term != nullptr && std::string_view(term) != "dumb";
    paint.terminal = tty;
    paint.utf8 = tty && std::string_view(nl_langinfo(CODESET)) == "UTF-8";
    winsize size{};
    if (tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 && size.ws_row >= 4) {
        paint.width = size.ws_col;
        paint.height = size.ws_row;
    }
    return paint;
}

int columns_of(std::string_view text) {
    return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c) && !is_control(c); }));
}

std::string printable(std::string_view text) {
    std::string out(text);
    std::replace_if(out.begin(), out.end(), is_control, '?');
    return out;
}

std::string clipped(std::string_view text, int columns, bool utf8) {
    std::string out = printable(text);
    if (columns <= 0 || columns_of(out) <= columns) return out;
    std::size_t end = 0;
    for (int n = 0; n < columns - 1; ++n) {
        ++end;
        while (end < out.size() && continues(out[end])) ++end;
    }
    return out.substr(0, end) + (utf8 ? "\u2026" : "~");
}

std::string wrapped(std::string_view given, int width, int indent) {
    std::string const text = printable(given);
    std::string out, line;
    int const room = std::max(width - indent, 20);
    std::size_t at = 0;
    auto const flush = [&] {
        if (!out.empty()) out.append("\n").append(static_cast<std::size_t>(indent), ' ');
        out += line;
        line.clear();
    };
    while (at < text.size()) {
        std::size_t const end = std::min(text.find(' ', at), text.size());
        std::string const word = text.substr(at, end - at);
        if (!line.empty() && columns_of(line) + 1 + columns_of(word) > room) flush();
        line += (line.empty() ? "" : " ") + word;
        at = end + 1;
    }
    if (!line.empty()) flush();
    return out;
}

std::string Table::text(Paint const& paint) const {
    std::vector<int> widths;
    std::vector<Row> rows = rows_;
    for (auto& row : rows) {
        if (widths.size() < row.size()) widths.resize(row.size(), 0);
        for (std::size_t i = 0; i < row.size(); ++i) {
            row[i].text = clipped(row[i].text, i < limits_.size() ? limits_[i] : 0, paint.utf8);
            widths[i] = std::max(widths[i], columns_of(row[i].text));
        }
    }
    std::string out;
    for (auto& row : rows) {
        while (!row.empty() && row.back().text.empty()) row.pop_back();
        int used = 0;
        for (std::size_t i = 0; i < row.size(); ++i) {
            bool const last = i + 1 == row.size();
            // The last column takes what is left of the line, and no more.
            std::string const cell =
                last ? clipped(row[i].text, std::max(paint.width - used, 8), paint.utf8) : padded(row[i].text, widths[i]);
            out += paint(row[i].tone, cell);
            if (!last) out += "  ";
            used += widths[i] + 2;
        }
        out += '\n';
    }
    return out;
}

std::int64_t wall_now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string local_date_time(std::int64_t wall_ms) {
    std::time_t const seconds = static_cast<std::time_t>(wall_ms / 1000);
    std::tm local{};
    localtime_r(&seconds, &local);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    return fmt::format("{}.{:03}", text, wall_ms % 1000);
}

std::string local_time(std::int64_t wall_ms, std::int64_t now_ms) {
    if (wall_ms <= 0) return "-";
    std::string const whole = local_date_time(wall_ms);
    bool const today = now_ms - wall_ms < 24 * 3600 * 1000LL;
    return today ? whole.substr(11, 8) : whole.substr(0, 16);
}

std::string for_people(std::int64_t ms) {
    if (ms < 1000) return fmt::format("{} ms", ms);
    if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000.0);
    if (ms < 3'600'000) return fmt::format("{} min", ms / 60'000);
    if (ms < 48 * 3'600'000LL) return fmt::format("{} h", ms / 3'600'000);
    return fmt::format("{} d", ms / 86'400'000);
}

}  // namespace clusterd::tool
