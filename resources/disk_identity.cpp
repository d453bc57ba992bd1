// See disk_identity.hpp. Where the bytes stand: ext4's "Super Block", xfs' "struct xfs_dsb", the UEFI specification's "GPT header".
#include "resources/disk_identity.hpp"

#include <fmt/format.h>

namespace clusterd {
namespace {

constexpr std::size_t uuid_size = 16;

// `at` + 16 bytes are there. GPT writes the first three fields little endian.
std::string uuid_at(std::string_view bytes, std::size_t at, bool mixed_endian = false) {
    static constexpr unsigned char plain[uuid_size] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static constexpr unsigned char mixed[uuid_size] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    std::string text;
    for (std::size_t i = 0; i < uuid_size; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[at + (mixed_endian ? mixed[i] : plain[i])]));
    }
    return text;
}

bool has(std::string_view bytes, std::size_t at, std::string_view magic) {
    return bytes.size() >= at + magic.size() && bytes.substr(at, magic.size()) == magic;
}

}  // namespace

DiskIdentity identify_disk(std::string_view bytes) {
    constexpr std::size_t ext = 1024;
    if (has(bytes, ext + 0x38, "\x53\xef") && bytes.size() >= ext + 0x68 + uuid_size) return {"ext", uuid_at(bytes, ext + 0x68)};
    if (has(bytes, 0, "XFSB") && bytes.size() >= 32 + uuid_size) return {"xfs", uuid_at(bytes, 32)};
    for (std::size_t sector : {512u, 4096u})
        if (has(bytes, sector, "EFI PART") && bytes.size() >= sector + 56 + uuid_size) return {"GPT", uuid_at(bytes, sector + 56, true)};
    return {};
}

}  // namespace clusterd
