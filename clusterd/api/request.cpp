// Splits and decodes a request's target.
#include "clusterd/api/request.hpp"

#include <charconv>
#include <optional>

namespace clusterd::api {
namespace {

constexpr std::size_t longest_target = 2048;

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            unsigned value = 0;
            if (i + 2 >= text.size()) return std::nullopt;
            auto const [end, failed] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
            if (failed != std::errc{} || end != text.data() + i + 3) return std::nullopt;
            c = static_cast<char>(value);
            i += 2;
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
        out.push_back(c);
    }
    return out;
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t n = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

// An empty answer: taken; else what is wrong.
std::string take_parameter(Request& r, std::string_view name, std::string const& value) {
    if (name == "after") {
        r.after = value;
        r.after_n = number(value).value_or(0);
        return {};
    }
    auto const n = number(value);
    if (name == "limit") {
        if (!n || *n < 1 || *n > 1000) return "limit: a number from 1 to 1000 is expected";
        r.limit = *n;
        return {};
    }
    if (name == "wait_ms") {
        if (!n) return "wait_ms: a number of milliseconds is expected";
        r.wait_ms = *n;
        return {};
    }
    return "'" + std::string(name) + "' is not a parameter (after, limit, wait_ms)";
}

}  // namespace

Result<Request> parse_target(Method method, std::string_view target) {
    if (target.size() > longest_target) return Error{"the request's target is longer than 2048 characters"};
    if (target.empty() || target.front() != '/') return Error{"the request's target doesn't start with /"};
    Request r;
    r.method = method;
    std::size_t const question = target.find('?');
    auto path = percent_decoded(target.substr(0, question));
    if (!path) return Error{"the request's path has a broken %-escape or a control character"};
    r.path = std::move(*path);
    std::string_view query = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    while (!query.empty()) {
        std::size_t const end = query.find('&');
        std::string_view const pair = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        if (pair.empty()) continue;
        std::size_t const equals = pair.find('=');
        auto const value = percent_decoded(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1));
        if (!value) return Error{"a parameter has a broken %-escape or a control character"};
        if (std::string wrong = take_parameter(r, pair.substr(0, equals), *value); !wrong.empty()) return Error{std::move(wrong)};
    }
    return r;
}

}  // namespace clusterd::api
