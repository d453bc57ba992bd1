// The state store: what a node keeps on its own disk: its terms and the newest decision. The shell opens one at start and hands it
// every Persist; nothing of a Persist counts before its Persisted came back.
//
//   lock            one daemon per directory
//   store           the store's random id, drawn when it was made
//   terms.0/.1      the commit record (record.hpp), in turn
//   decision.0/.1   the newest decision and the one before, in turn
//   config-HASH.xml each configuration once
//
// It promises: Persisted ok means durable, terms and decision together; a crash at any point leaves the state before or after; a
// record is given up for an older one only where it is provably a write that never finished; else the start is refused.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/latency.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/shell/io_thread.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clusterd {

class StateStore {
public:
    using ParseConfig = std::function<Result<ConfigPtr>(std::string xml)>;

    struct Options {
        std::string dir;  // made, 0700, where it is missing
        ParseConfig parse_config;
        std::function<void(event::Persisted)> on_persisted;  // on the loop; never after the StateStore is gone
        Duration lock_patience = std::chrono::seconds(2);    // for a worker that is just ending
        std::function<int(int fd)> sync;                     // fdatasync; the seam for tests
    };
    struct Loaded {
        Terms terms;
        DecisionPtr decision;  // null: none was ever stored
        StoreId id = 0;
        Uuid cluster{};        // the decision's; zero: none yet
        bool created = false;  // the store was made just now
        std::vector<std::string> warnings;  // what was repaired
    };

    // Locks, makes or checks, fsyncs and reads the store. Blocks; only for the start. An error is a start refused.
    static Result<std::unique_ptr<StateStore>> open(Options options, Loop& loop);
    Loaded const& loaded() const { return loaded_; }

    // Queued; several that wait are written as one. A null decision keeps the stored one.
    void persist(effect::Persist persist);
    // Other slow writing (journals) on the same thread, behind what is queued.
    void run(std::function<void()> job) { thread_->run(std::move(job)); }

    LatencyStats sync_latency() const;            // of each fdatasync: F of the timing rules
    std::optional<Duration> in_flight() const;    // how long the write under way has been waiting
    std::string last_error() const;               // empty: the last Persist was stored

private:
    struct State;
    StateStore(std::shared_ptr<State> state, Loaded loaded, Loop& loop);
    std::shared_ptr<State> state_;
    Loaded loaded_;
    std::unique_ptr<IoThread> thread_;
};

}  // namespace clusterd
