// The quorum disk as the daemon uses it: requests are queued to a thread of its own, answers come back as events on the loop.
// The shell makes one per worker; quorum/session.hpp does the work.
//
// It promises: `started` of a cycle is a moment before the write began; no I/O before the flock that says that no older worker's
// I/O can be pending; no call here ever blocks, whatever the disk does.
#pragma once

#include "clusterd/core/latency.hpp"
#include "clusterd/core/status.hpp"
#include "clusterd/quorum/session.hpp"
#include "clusterd/shell/io_thread.hpp"

namespace clusterd {

struct QuorumHealth {
    QuorumState state = QuorumState::none;  // none: not yet looked at
    std::string message;                    // why, and which command to run; empty when ok
    std::string warning;                    // it works, but isn't as it should be (no O_DIRECT)
    std::optional<Duration> in_flight;      // how long the request under way has been waiting
};

class QuorumDisk {
public:
    struct Options {
        std::string path, cluster;
        NodeIndex self = NodeIndex::a;
        Key key;                 // the cluster's
        std::string lock_dir;    // holds quorum.lock: a local directory of this node's, made by the caller
        ParseConfig parse_config;  // called on the disk's thread
        std::function<void(Event)> on_event;  // called on the loop; never after the QuorumDisk is gone
        Duration slow = std::chrono::milliseconds(100);  // a request that took, or takes, longer: state slow
        Duration hung = std::chrono::milliseconds(1000); // is under way for longer: state failed
        DiskOpener opener = open_disk;
        std::function<Instant()> clock = boottime_now;
    };
    QuorumDisk(Options options, Loop& loop);

    // All zero (the start): any disk with the right cluster name.
    void set_expected_uuid(Uuid const& cluster);

    void cycle(std::uint64_t id, Slot const& mine);                                       // -> event::CycleDone
    void read(std::uint64_t id);                                                          // -> event::DiskReadDone
    void store_decision(std::uint64_t id, DecisionPtr decision, std::uint8_t area);       // -> event::DiskDecisionStored
    void load_decisions(std::uint64_t id);                                                // -> event::DiskDecisionsLoaded

    QuorumHealth health() const;
    LatencyStats latency() const;       // of whole cycles that succeeded
    LatencyStats read_latency() const;  // of reads of both slots that succeeded: all that a joined node does

private:
    struct State;
    std::shared_ptr<State> state_;  // before the thread: jobs share it
    IoThread thread_;
    template <class Job>
    void enqueue(Job job);
};

}  // namespace clusterd
