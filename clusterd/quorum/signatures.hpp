// What a device carries already: filesystems, partition tables, volume managers, known by their magic numbers. Asked by
// `quorum init` before it writes anything.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/quorum/disk_file.hpp"

#include <optional>
#include <string>
#include <vector>

namespace clusterd {

struct Signature {
    std::string name;      // "an ext2, ext3 or ext4 filesystem"
    std::uint64_t offset;  // where its magic number stands
};
// All that are found. `data_at`: the first byte of the device's first MiB that isn't zero; none: it is empty there.
struct Contents {
    std::vector<Signature> signatures;
    std::optional<std::uint64_t> data_at;
};
Result<Contents> look_at(DiskFile& disk);

}  // namespace clusterd
