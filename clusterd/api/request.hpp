// What a request's method and target ask for: bytes of outside into a value. Called by the server for every request, and fuzzed.
#pragma once

#include "clusterd/core/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace clusterd::api {

enum class Method : std::uint8_t { get, post, erase, other };

struct Request {
    Method method = Method::other;
    std::string path;           // decoded, without the query: /v1/commands/ID
    std::string after;          // ?after=   empty = from the start, or the newest
    std::uint64_t after_n = 0;  // the same as a number; 0 where it isn't one
    std::uint64_t limit = 100;  // ?limit=   1..1000
    std::uint64_t wait_ms = 0;  // ?wait_ms=
    std::string body;
};

// The target's text is at most a header long. Unknown parameters, bad numbers and broken %-escapes are errors: a mistyped
// parameter that is ignored would be found out much later.
Result<Request> parse_target(Method method, std::string_view target);

}  // namespace clusterd::api
