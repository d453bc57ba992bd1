// Any bytes as a slot, as they are and sealed rightly: an answer or a refusal, never a crash. An accepted one encodes to the same.
#include "clusterd/wire/seal.hpp"

#include <cstdlib>

namespace {

using namespace clusterd;

DiskBinding const here{{1}, 1};
Key const key;

// Checksum and MAC made right, so that the fuzzer gets past them.
std::string sealed(std::string_view data) {
    std::string out(data.substr(0, slot_bytes - 64));
    out.resize(slot_bytes - 64, '\0');
    for (Hash const& h : {wire::blake2b(out)}) out.append(reinterpret_cast<char const*>(h.data()), h.size());
    for (Hash const& h : {wire::mac_of("slot", here, NodeIndex::a, out, key)}) out.append(reinterpret_cast<char const*>(h.data()), h.size());
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const bytes(reinterpret_cast<char const*>(data), size);
    (void)decode_slot(bytes, here, NodeIndex::b, nullptr);
    (void)decode_slot(bytes, here, NodeIndex::a, &key);
    std::string const good = sealed(bytes);
    auto const slot = decode_slot(good, here, NodeIndex::a, &key);
    if (slot && encode_slot(*slot, here, NodeIndex::a, key) != good) std::abort();
    return 0;
}
