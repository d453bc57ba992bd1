// What is done on the quorum disk, synchronously, one step after the other: the body of the disk's I/O thread.
//
// It promises: nothing is written to a disk that isn't this cluster's; a slot that is bad, lost, rolled back or wiped is an error,
// never a free one; a slot isn't written that would take back what this node wrote before; a decision or configuration that the
// node's own slot on the disk names is never overwritten.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/quorum/disk_file.hpp"
#include "clusterd/shell/io_thread.hpp"
#include "clusterd/wire/decision.hpp"
#include "clusterd/wire/disk.hpp"

#include <array>
#include <functional>
#include <optional>

namespace clusterd {

using ParseConfig = std::function<Result<ConfigPtr>(std::string xml)>;

class DiskSession {
public:
    struct Settings {
        std::string path;
        std::string cluster;
        NodeIndex self = NodeIndex::a;
        Key key;  // the cluster's; the disk's own is derived
        ParseConfig parse_config;
        DiskOpener opener = open_disk;
        std::function<Instant()> clock = boottime_now;
    };
    explicit DiskSession(Settings settings);

    // All zero: any with the right cluster name.
    void expect(Uuid const& cluster) { expected_ = cluster; }
    // Opens the disk where it isn't open. The header is read and held against cluster and uuid every time slots are read.
    Result<Done> open();
    void close() { file_.reset(); }
    bool is_open() const { return file_ != nullptr; }
    // After an error: the disk is there and never was initialised.
    bool uninitialised() const { return uninitialised_; }
    DiskFile::Facts const* facts() const { return file_ ? &file_->facts() : nullptr; }

    struct Slots {
        Slot own, peer;
        StoreId disk = 0;
        Uuid cluster{};
    };
    Result<Slots> read_slots();
    // Write my slot, then read both: the peer's, and mine as a proof that the write arrived. `started` is taken just before the
    // write, also where it fails.
    Result<Slot> cycle(Slot const& mine, Instant& started);
    Result<Done> store_decision(Decision const& decision, std::uint8_t area);
    // The newest of what both slots name; null: none was ever written. A configuration that can't be parsed is an error.
    Result<DecisionPtr> load_decisions();

private:
    struct Seen {  // of one node's slot, on the disk `of`: what may never go back
        StoreId of = 0;
        Incarnation incarnation = 0;
        std::uint64_t beat = 0;
        Term alone_term = 0;
    };

    Result<Slots> read_front();  // with retries; checks header and both slots, and remembers them
    Result<Slots> read_front_once();
    Result<Done> check_header(std::string_view block);
    Result<Done> check_not_back(NodeIndex node, Slot const& slot) const;
    void remember(NodeIndex node, Slot const& slot);
    Result<Done> may_write(Slot const& mine) const;
    Result<Done> write_and_prove(std::uint64_t offset, std::string const& bytes);
    // Nothing there: no header in the optional.
    Result<std::optional<AreaHeader>> area_header(NodeIndex node, AreaKind kind, std::uint8_t area);
    Result<std::string> area_content(NodeIndex node, AreaHeader const& header);
    Result<Done> store_config(Config const& config, Slot const& own);
    Result<DecodedDecision> named_decision(NodeIndex node, Slot const& slot);
    Result<DecisionPtr> load_decisions_once();
    Result<ConfigPtr> find_config(Hash const& hash, NodeIndex first);
    std::uint64_t offset_of(NodeIndex node, AreaKind kind, std::uint8_t area) const;
    std::uint64_t size_of(AreaKind kind) const;
    Error about(std::string const& what) const { return Error{"the quorum disk " + settings_.path + ": " + what}; }

    Settings settings_;
    Key key_;
    Uuid expected_{};
    std::unique_ptr<DiskFile> file_;
    DiskHeader header_;  // as read last; valid while disk != 0
    bool uninitialised_ = false;
    StoreId accepted_ = 0;  // the disk that read_slots() last told; cycles on another one are refused until it told that
    std::array<Seen, 2> seen_{};
    Seen attempted_;  // of my own writes, whether they arrived or not
    std::array<std::optional<Hash>, 2> config_there_{};  // known to stand intact in my configuration areas of the disk `config_there_of_`
    StoreId config_there_of_ = 0;
};

}  // namespace clusterd
