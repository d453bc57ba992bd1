// libFuzzer: bytes from the network as a heartbeat; as they come, and as the inside of a packet that is sealed with our key.
#include "clusterd/wire/heartbeat.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    std::string_view const input(reinterpret_cast<char const*>(data), size);
    Key const key;
    (void)read_heartbeat_header(input);
    (void)open_heartbeat(input, key);
    // A valid packet with the input laid over it: nothing but the packet itself may open.
    static std::string const good = seal_heartbeat(Heartbeat{}, cluster_tag("fuzz"), 0, 1, key);
    std::string mixed = good;
    for (std::size_t i = 0; i < size && i < mixed.size(); ++i) mixed[i] = static_cast<char>(mixed[i] ^ input[i]);
    if (open_heartbeat(mixed, key) && mixed != good) std::abort();
    return 0;
}
