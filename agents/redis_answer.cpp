// See redis_answer.hpp.
#include "agents/redis_answer.hpp"

#include <charconv>

namespace clusterd {
namespace {

constexpr std::size_t max_bulk = 64u << 10;
constexpr long max_elements = 64;  // ROLE of a master with many replicas: the rest isn't needed, but must be skipped
constexpr int max_depth = 4;

RedisReply const not_redis{};

// The number behind the type's letter; nullopt = none.
std::optional<long> number(std::string_view digits) {
    long n = 0;
    auto const [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (failed != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return n;
}

std::optional<RedisReply> read(std::string_view bytes, int depth) {
    std::size_t const end = bytes.find("\r\n");
    if (end == std::string_view::npos) return bytes.size() > max_bulk ? std::optional(not_redis) : std::nullopt;
    if (end == 0 || depth > max_depth) return not_redis;
    std::string_view const line = bytes.substr(1, end - 1);
    RedisReply reply;
    reply.size = end + 2;
    switch (bytes[0]) {
        case '-':
            reply.error = true;
            [[fallthrough]];
        case '+':
        case ':':
            reply.text = line;
            return reply;
        case '$': {
            auto const n = number(line);
            if (!n || *n < -1 || *n > static_cast<long>(max_bulk)) return not_redis;
            if (*n == -1) return reply;
            auto const length = static_cast<std::size_t>(*n);
            if (bytes.size() < reply.size + length + 2) return std::nullopt;
            reply.text = bytes.substr(reply.size, length);
            reply.size += length + 2;
            return reply;
        }
        case '*': {
            auto const n = number(line);
            if (!n || *n < -1 || *n > max_elements) return not_redis;
            for (long i = 0; i < *n; ++i) {
                auto const element = read(bytes.substr(reply.size), depth + 1);
                if (!element) return std::nullopt;
                if (element->size == 0) return not_redis;
                if (i == 0) reply.text = element->text;
                reply.size += element->size;
            }
            return reply;
        }
        default:
            return not_redis;
    }
}

}  // namespace

std::optional<RedisReply> read_redis_reply(std::string_view bytes) { return read(bytes, 0); }

}  // namespace clusterd
