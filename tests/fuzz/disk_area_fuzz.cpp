// Any bytes as the quorum disk's header and areas, as they are and with checksum and MAC made right: an answer or a refusal, never a
// crash.
#include "clusterd/wire/disk.hpp"
#include "clusterd/wire/seal.hpp"

#include <cstdlib>

namespace {

using namespace clusterd;

constexpr std::uint64_t area_size = 1u << 20;
DiskBinding const here{{1}, 1};
Key const key;

std::string header_with_checksum(std::string_view input) {
    std::string out(input.substr(0, disk_block - sizeof(Hash)));
    out.resize(disk_block - sizeof(Hash), '\0');
    Hash const sum = wire::blake2b(out);
    out.append(reinterpret_cast<char const*>(sum.data()), sum.size());
    return out;
}

std::string area_with_mac(std::string_view input) {
    std::string out(input.substr(0, area_header_bytes - sizeof(Hash)));
    out.resize(area_header_bytes - sizeof(Hash), '\0');
    Hash const mac = wire::mac_of("area", here, NodeIndex::a, out, key);
    out.append(reinterpret_cast<char const*>(mac.data()), mac.size());
    if (input.size() > area_header_bytes) out.append(input.substr(area_header_bytes));
    return out;
}

void read_header(std::string_view bytes) {
    auto const header = decode_disk_header(bytes);
    if (!header) return;
    if (header->geometry.total() < disk_front_bytes) std::abort();
    auto const again = decode_disk_header(encode_disk_header(*header));
    if (!again || !(*again == *header)) std::abort();
}

void read_area(std::string_view bytes, Key const* k) {
    auto const header = decode_area_header(bytes, area_size, here, NodeIndex::a, k);
    if (!header) return;
    if (area_read_bytes(*header) > area_size) std::abort();
    if (auto const content = decode_area_content(bytes, *header); content && content->size() != header->length) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const bytes(reinterpret_cast<char const*>(data), size);
    (void)looks_like_disk_header(bytes);
    read_header(bytes);
    read_header(header_with_checksum(bytes));
    read_area(bytes, nullptr);
    read_area(bytes, &key);
    read_area(area_with_mac(bytes), &key);
    return 0;
}
