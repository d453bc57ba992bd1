// `clusterctl quorum init` and `quorum show`: making a quorum disk, and looking at one. They need no daemon and no configuration.
#pragma once

#include "clusterd/core/heartbeat.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/quorum/disk_file.hpp"
#include "clusterd/wire/disk.hpp"

#include <array>
#include <optional>
#include <string>

namespace clusterd {

struct InitRequest {
    std::string path;
    std::string cluster;
    std::string force;          // the same path once more; empty: refuse what carries data
    std::optional<Uuid> uuid;   // to replace a disk of this cluster; else one is drawn: a new cluster's
};
struct InitReport {
    DiskHeader header;
    std::uint64_t bytes = 0;
    bool created = false;    // the file was made
    bool grown = false;      // the file was shorter than 8 MiB
    std::string overwritten; // what it carried; empty: nothing
    std::string warning;     // no O_DIRECT
};
// Refuses without `force`: a filesystem, partition table or other known content, unknown data, a quorum disk (of another cluster or
// this one). Refuses always: a device that is mounted or in use, one shorter than 8 MiB, anything but a device or regular file.
Result<InitReport> quorum_init(InitRequest const& request);

struct SlotView {
    enum class State : std::uint8_t { never_written, ok, unchecked, bad };  // unchecked: no key to check its MAC with
    State state = State::never_written;
    Slot slot;         // of ok and unchecked
    std::string error; // of bad
};
struct DecisionView {
    enum class State : std::uint8_t { none, ok, unchecked, bad };
    State state = State::none;  // none: the slot names none
    DecisionId id;
    Hash config{};
    bool config_found = false;  // one of the configuration areas holds it, intact
    std::string error;
};
struct DiskView {
    std::string path;
    std::uint64_t bytes = 0;
    bool block_device = false;
    DiskHeader header;
    std::array<SlotView, 2> slots;          // by NodeIndex
    std::array<DecisionView, 2> decisions;  // the newest that each slot names
};
// `key`: the cluster's, or null.
Result<DiskView> quorum_show(std::string const& path, Key const* key);
std::string to_text(DiskView const& view);

}  // namespace clusterd
