// libFuzzer: bytes from the network as a heartbeat; as they come, laid over a valid packet, and as the inside of one that is sealed
// with our key.
#include "clusterd/wire/heartbeat.hpp"

#include <sodium.h>
#include <algorithm>
#include <cstdlib>

namespace {

using namespace clusterd;

Key const key;
std::string const good = seal_heartbeat(Heartbeat{}, cluster_tag("fuzz"), 0, 1, key);
constexpr std::size_t header_size = 38, nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
                      tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;

std::string sealed(std::string_view body) {
    std::string plain(body.substr(0, good.size() - header_size - nonce_size - tag_size));
    plain.resize(good.size() - header_size - nonce_size - tag_size);
    std::string packet = good;
    auto* const out = reinterpret_cast<unsigned char*>(packet.data());
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + header_size + nonce_size, nullptr,
                                               reinterpret_cast<unsigned char const*>(plain.data()), plain.size(), out, header_size,
                                               nullptr, out + header_size, key.bytes.data());
    return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const input(reinterpret_cast<char const*>(data), size);
    (void)read_heartbeat_header(input);
    (void)open_heartbeat(input, key);
    // Nothing but the packet itself may open.
    std::string mixed = good;
    for (std::size_t i = 0; i < size && i < mixed.size(); ++i) mixed[i] = static_cast<char>(mixed[i] ^ input[i]);
    if (open_heartbeat(mixed, key) && mixed != good) std::abort();
    // What is taken must come back the same.
    auto const taken = open_heartbeat(sealed(input), key);
    if (!taken) return 0;
    auto const again = open_heartbeat(seal_heartbeat(*taken, cluster_tag("fuzz"), 0, 1, key), key);
    if (!again || !(*again == *taken)) std::abort();
    return 0;
}
