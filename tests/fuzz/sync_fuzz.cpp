// libFuzzer: bytes from the peer as a sync message (reports and decisions within). What is taken must encode and decode to itself.
#include "clusterd/wire/sync.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    auto decoded = decode_sync({reinterpret_cast<char const*>(data), size});
    if (!decoded) return 0;
    if (decoded->decision) {
        auto config = std::make_shared<Config>();
        config->hash = decoded->decision->config;
        decoded->decision->decision.config = config;
        set_decision(decoded->message, std::make_shared<Decision const>(decoded->decision->decision));
    }
    std::string const bytes = encode_sync(decoded->message);
    auto const again = decode_sync(bytes);
    if (!again || again->message.index() != decoded->message.index()) std::abort();
    return 0;
}
