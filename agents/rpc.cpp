// See rpc.hpp.
#include "agents/rpc.hpp"

namespace clusterd {
namespace {

constexpr std::uint32_t last_fragment = 0x80000000u, max_reply = 4096, call = 0, reply = 1, rpc_version = 2;

void put(std::string& to, std::uint32_t word) {
    for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(word >> shift & 0xff);
}

// Reads words until there are no more: then zero, and `short_of` says so.
struct Words {
    std::string_view bytes;
    bool short_of = false;
    std::uint32_t next() {
        if (bytes.size() < 4) {
            short_of = true;
            return 0;
        }
        std::uint32_t word = 0;
        for (int i = 0; i < 4; ++i) word = word << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
        bytes.remove_prefix(4);
        return word;
    }
    void skip(std::uint32_t n) {
        std::size_t const padded = (std::size_t{n} + 3) / 4 * 4;
        if (bytes.size() < padded)
            short_of = true;
        else
            bytes.remove_prefix(padded);
    }
};

}  // namespace

std::string write_null_call(std::uint32_t id, std::uint32_t program, std::uint32_t version) {
    std::string body;
    for (std::uint32_t const word : {id, call, rpc_version, program, version, 0u, 0u, 0u, 0u, 0u}) put(body, word);  // NULL; no credentials
    std::string out;
    put(out, last_fragment | static_cast<std::uint32_t>(body.size()));
    return out + body;
}

std::optional<Result<Done>> read_null_reply(std::string_view bytes, std::uint32_t id) {
    Error const not_rpc{"what came is no reply of an RPC server"};
    if (bytes.size() < 4) return std::nullopt;
    Words words{bytes};
    std::uint32_t const mark = words.next(), length = mark & ~last_fragment;
    if (!(mark & last_fragment) || length > max_reply) return Result<Done>(not_rpc);
    if (words.bytes.size() < length) return std::nullopt;
    words.bytes = words.bytes.substr(0, length);
    if (words.next() != id || words.next() != reply) return Result<Done>(not_rpc);
    if (words.next() != 0) return Result<Done>(words.short_of ? not_rpc : Error{"it denies the call (authentication)"});
    words.next();             // the verifier's kind
    words.skip(words.next());
    std::uint32_t const status = words.next();
    if (words.short_of) return Result<Done>(not_rpc);
    switch (status) {
        case 0: return Result<Done>(Done{});
        case 1: return Result<Done>(Error{"it has no such program: NFS isn't served there"});
        case 2: {
            std::uint32_t const low = words.next(), high = words.next();
            if (words.short_of) return Result<Done>(not_rpc);
            return Result<Done>(Error{"it serves versions " + std::to_string(low) + " to " + std::to_string(high)});
        }
        default: return Result<Done>(Error{"it doesn't do the call: error " + std::to_string(status)});
    }
}

}  // namespace clusterd
