// libFuzzer: bytes from disk or network as a decision. What is taken must come back the same when it is encoded again.
#include "clusterd/wire/decision.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    auto decoded = decode_decision({reinterpret_cast<char const*>(data), size});
    if (!decoded) return 0;
    auto config = std::make_shared<Config>();
    config->hash = decoded->config;
    decoded->decision.config = config;
    std::string const bytes = encode_decision(decoded->decision);
    auto const again = decode_decision(bytes);
    if (!again || again->config != decoded->config || again->decision.groups != decoded->decision.groups) std::abort();
    return 0;
}
