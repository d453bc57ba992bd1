// One safe line of any bytes. See text.hpp.
#include "agents/text.hpp"

namespace clusterd {
namespace {

// The length of the UTF-8 character that begins here; 0: none does.
std::size_t utf8_length(std::string_view s) {
    auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    unsigned char const b = byte(0);
    std::size_t const n = b < 0x80 ? 1 : b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
    if (n == 0 || n > s.size()) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    if (n == 3 && ((b == 0xe0 && byte(1) < 0xa0) || (b == 0xed && byte(1) >= 0xa0))) return 0;  // too long; surrogates
    if (n == 4 && ((b == 0xf0 && byte(1) < 0x90) || (b == 0xf4 && byte(1) >= 0x90))) return 0;
    return n;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t max) {
    constexpr std::string_view blank = " \t\r\n\v\f";
    std::size_t const begin = text.find_first_not_of(blank);
    if (begin == std::string_view::npos) return {};
    text = text.substr(begin);
    text = text.substr(0, text.find('\n'));
    std::string out;
    while (!text.empty()) {
        std::size_t const n = utf8_length(text);
        if (out.size() + (n ? n : 1) > max) break;
        if (n == 0)
            out += '?';
        else if (n == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f))
            out += ' ';
        else
            out += text.substr(0, n);
        text.remove_prefix(n ? n : 1);
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

}  // namespace clusterd
