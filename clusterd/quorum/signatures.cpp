#include "clusterd/quorum/signatures.hpp"

#include "clusterd/wire/disk.hpp"

#include <algorithm>

namespace clusterd {

namespace {

using namespace std::string_view_literals;

struct Magic {
    std::uint64_t offset;
    std::string_view bytes;
    char const* name;
};

// From the device's beginning.
constexpr Magic from_start[] = {
    {0x438, "\x53\xef"sv, "an ext2, ext3 or ext4 filesystem"},
    {0, "XFSB"sv, "an XFS filesystem"},
    {0x10040, "_BHRfS_M"sv, "a Btrfs filesystem"},
    {0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"sv, "a bcache device"},
    {0x1018, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"sv, "a bcachefs filesystem"},
    {1024, "\x10\x20\xf5\xf2"sv, "an F2FS filesystem"},
    {1024, "\xe2\xe1\xf5\xe0"sv, "an EROFS filesystem"},
    {1024 + 6, "\x34\x34"sv, "a NILFS2 filesystem"},
    {1024, "H+\0\4"sv, "an HFS+ filesystem"},
    {0, "hsqs"sv, "a SquashFS filesystem"},
    {0x8000, "JFS1"sv, "a JFS filesystem"},
    {0x10034, "ReIsEr"sv, "a ReiserFS filesystem"},
    {0x10000, "\x01\x16\x19\x70"sv, "a GFS2 filesystem"},
    {0x2000, "OCFSV2"sv, "an OCFS2 filesystem"},
    {0x1000, "OCFSV2"sv, "an OCFS2 filesystem"},
    {0x400, "OCFSV2"sv, "an OCFS2 filesystem"},
    {0x8001, "CD001"sv, "an ISO 9660 image"},
    {0x8001, "NSR0"sv, "a UDF filesystem"},
    {3, "NTFS    "sv, "an NTFS filesystem"},
    {3, "EXFAT   "sv, "an exFAT filesystem"},
    {0x36, "FAT1"sv, "a FAT filesystem"},
    {0x52, "FAT32"sv, "a FAT filesystem"},
    {0x200000, "\x0d\xd0\x01\xc0"sv, "a VMFS filesystem"},
    {4086, "SWAPSPACE2"sv, "a swap area"},
    {4086, "SWAP-SPACE"sv, "a swap area"},
    {65526, "SWAPSPACE2"sv, "a swap area"},
    {510, "\x55\xaa"sv, "a partition table (MBR)"},
    {512, "EFI PART"sv, "a partition table (GPT)"},
    {4096, "EFI PART"sv, "a partition table (GPT)"},
    {0, "LUKS\xba\xbe"sv, "an encrypted volume (LUKS)"},
    {0x4000, "SKUL\xba\xbe"sv, "an encrypted volume (LUKS2)"},
    {0x018, "LVM2 001"sv, "an LVM2 physical volume"},
    {0x218, "LVM2 001"sv, "an LVM2 physical volume"},
    {0x418, "LVM2 001"sv, "an LVM2 physical volume"},
    {0x618, "LVM2 001"sv, "an LVM2 physical volume"},
    {0, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID (md)"},
    {0x1000, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID (md)"},
    {0x20000, "\x0c\xb1\xba\0\0\0\0\0"sv, "a ZFS pool"},
    {0x21000, "\x0c\xb1\xba\0\0\0\0\0"sv, "a ZFS pool"},
    {0, "bluestore block device"sv, "a Ceph BlueStore device"},
    {0x20, "ORCLDISK"sv, "an Oracle ASM disk"},
    {0, "SBD_SBD_"sv, "an SBD fencing device"},
    {0, "\x12\x21\x20\x10"sv, "a sanlock lockspace"},
    {0, "\x06\x15\x22\x08"sv, "sanlock leases"},
};

// From the end, of a device of `bytes`.
struct TailMagic {
    std::uint64_t (*at)(std::uint64_t bytes);
    std::string_view bytes;
    char const* name;
};
constexpr TailMagic from_end[] = {
    {[](std::uint64_t n) { return n - 512; }, "EFI PART"sv, "a partition table (GPT, its copy at the end)"},
    {[](std::uint64_t n) { return n - 4096; }, "EFI PART"sv, "a partition table (GPT, its copy at the end)"},
    {[](std::uint64_t n) { return n / 65536 * 65536 - 65536; }, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID (md 0.90)"},
    {[](std::uint64_t n) { return (n / 512 - 16) / 8 * 8 * 512; }, "\xfc\x4e\x2b\xa9"sv, "a member of a Linux RAID (md 1.0)"},
    {[](std::uint64_t n) { return n / 4096 * 4096 - 4096 + 60; }, "\x83\x74\x02\x6b"sv, "a DRBD device"},
    {[](std::uint64_t n) { return n / 4096 * 4096 - 4096 + 60; }, "\x83\x74\x02\x6c"sv, "a DRBD device"},
};

bool stands_at(BlockBuffer const& buffer, std::uint64_t begins, std::uint64_t offset, std::string_view bytes) {
    return offset >= begins && offset - begins + bytes.size() <= buffer.size() && buffer.view().substr(offset - begins, bytes.size()) == bytes;
}

void add(Contents& contents, char const* name, std::uint64_t offset) {
    auto const same = [&](Signature const& s) { return s.name == name; };
    if (std::none_of(contents.signatures.begin(), contents.signatures.end(), same)) contents.signatures.push_back({name, offset});
}

constexpr std::uint64_t head_bytes = (2u << 20) + disk_block;  // past the last of from_start
constexpr std::uint64_t tail_bytes = 192u << 10;
constexpr std::uint64_t first_mib = 1u << 20;

}  // namespace

Result<Contents> look_at(DiskFile& disk) {
    Contents contents;
    std::uint64_t const size = disk.facts().bytes;
    std::uint64_t const blocks = size / disk_block * disk_block;
    if (blocks == 0) return contents;
    BlockBuffer head(std::min<std::uint64_t>(head_bytes, blocks));
    if (auto const got = disk.read(0, head); !got) return Error{got.error()};
    for (auto const& magic : from_start)
        if (stands_at(head, 0, magic.offset, magic.bytes)) add(contents, magic.name, magic.offset);

    std::uint64_t const begins = blocks > tail_bytes ? blocks - tail_bytes : 0;
    BlockBuffer tail(blocks - begins);
    if (auto const got = disk.read(begins, tail); !got) return Error{got.error()};
    for (auto const& magic : from_end)
        if (size > 2 * tail_bytes && stands_at(tail, begins, magic.at(size), magic.bytes)) add(contents, magic.name, magic.at(size));

    auto const first = head.view().substr(0, first_mib);
    auto const data = std::find_if(first.begin(), first.end(), [](char c) { return c != 0; });
    if (data != first.end()) contents.data_at = static_cast<std::uint64_t>(data - first.begin());
    return contents;
}

}  // namespace clusterd
