// What a Redis server answers (RESP2), as far as the agent needs it: whole replies out of bytes that come in pieces. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

struct RedisReply {
    bool error = false;    // "-..."
    std::string text;      // simple string, error, bulk string, or number; of an array its first element's
    std::size_t size = 0;  // bytes it took
};

// nullopt: not all of it is there yet. A reply with an empty text and size 0: these bytes are no RESP2.
std::optional<RedisReply> read_redis_reply(std::string_view bytes);

}  // namespace clusterd
