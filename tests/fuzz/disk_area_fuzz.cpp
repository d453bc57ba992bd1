// Any bytes as the quorum disk's header and areas: an answer or a refusal, never a crash.
#include "clusterd/wire/disk.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    std::string_view const bytes(reinterpret_cast<char const*>(data), size);
    DiskBinding const here{{1}, 1};
    Key const key;
    if (auto const header = decode_disk_header(bytes); header && header->geometry.total() < disk_front_bytes) std::abort();
    for (Key const* const k : {static_cast<Key const*>(nullptr), &key}) {
        auto const header = decode_area_header(bytes, 1u << 20, here, NodeIndex::a, k);
        if (!header) continue;
        if (area_read_bytes(*header) > (1u << 20)) std::abort();
        if (auto const content = decode_area_content(bytes, *header); content && content->size() != header->length) std::abort();
    }
    return 0;
}
