// Collects and judges an HTTP answer. See http_answer.hpp.
#include "agents/http_answer.hpp"

#include "agents/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace clusterd {
namespace {

bool same_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view s) {
    constexpr std::string_view blank = " \t\r\n";
    std::size_t const begin = s.find_first_not_of(blank);
    return begin == std::string_view::npos ? std::string_view() : s.substr(begin, s.find_last_not_of(blank) - begin + 1);
}

}  // namespace

bool HttpAnswer::header_line(std::string_view line) {
    if (line.starts_with("HTTP/")) {  // a new answer: the one before was an interim one
        headers_.clear();
        headers_size_ = 0;
    }
    headers_size_ += line.size();
    if (headers_size_ > max_headers) return false;
    headers_.emplace_back(trimmed(line));
    return true;
}

bool HttpAnswer::body_part(std::string_view part) {
    std::size_t const room = max_body - body_.size();
    body_.append(part.substr(0, room));
    cut_ = cut_ || part.size() > room;
    return !cut_;
}

CheckOutcome HttpAnswer::judge(HttpExpectation const& expected, long status) const {
    if (status < expected.status.from || status > expected.status.to) {
        std::string const wanted = expected.status.from == expected.status.to
                                       ? std::to_string(expected.status.from)
                                       : fmt::format("{}-{}", expected.status.from, expected.status.to);
        return {Health::failed, fmt::format("status {}, {} expected", status, wanted)};
    }
    if (!expected.header_name.empty()) {
        bool found = false;
        std::string seen;
        for (std::string_view line : headers_) {
            std::size_t const colon = line.find(':');
            if (colon == std::string_view::npos || !same_ignoring_case(trimmed(line.substr(0, colon)), expected.header_name))
                continue;
            seen = one_line(trimmed(line.substr(colon + 1)), 100);
            found = found || trimmed(line.substr(colon + 1)).find(expected.header_value) != std::string_view::npos;
        }
        if (!found) {
            return {Health::failed,
                    fmt::format("status {}, but header {} is {}, \"{}\" expected", status, expected.header_name,
                                seen.empty() ? "missing" : "\"" + seen + "\"", one_line(expected.header_value, 100))};
        }
    }
    if (body_.find(expected.body) == std::string::npos) {
        return {Health::failed, fmt::format("status {}, but its {} doesn't contain \"{}\"", status,
                                            cut_ ? "body's first 256 KiB" : "body", one_line(expected.body, 100))};
    }
    return {Health::ok, fmt::format("status {}", status)};
}

}  // namespace clusterd
