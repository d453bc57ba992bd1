// Whose disk is this? The UUID of what is on it, read from its first bytes: a filesystem ext2/3/4 or xfs, or a table of partitions (GPT).
// Called by the disk driver. Pure; any bytes give a UUID or none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace clusterd {

inline constexpr std::size_t identity_bytes = 4608;  // up to the GPT of a disk with sectors of 4096 bytes

struct DiskIdentity {
    std::string kind;  // ext, xfs, GPT; empty: none that is known
    std::string uuid;  // as blkid prints it
};
DiskIdentity identify_disk(std::string_view first_bytes);

}  // namespace clusterd
