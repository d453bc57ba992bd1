// What happened: events and failovers, kept in the state directory, shown by the API, told to the log and to the peer.
//
// Ids are NODE-N, counting up over restarts: an event keeps its id on both nodes. Bounded: the newest are in memory, older ones in
// the journals' files until those are rotated away.
#pragma once

#include "clusterd/shell/log.hpp"
#include "clusterd/store/journal.hpp"
#include "clusterd/store/store.hpp"

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

namespace clusterd {

class History {
public:
    History(std::string node, std::string const& state_dir, StateStore& store, Log log);

    EventRecord add(Now now, effect::RecordEvent const& e);
    FailoverRecord add(FailoverRecord record);
    // From the peer: false where it is known already.
    bool take(EventRecord const& event);
    bool take(FailoverRecord const& failover);

    std::vector<EventRecord> events(std::string const& after_id, std::size_t limit) const;
    std::vector<FailoverRecord> failovers() const;
    // Empty: the newest line is on disk. What can't be written is still shown, but a restart forgets it.
    std::string last_error() const;
    // This node's own newest events, for a peer that was away.
    std::vector<EventRecord> own_events(std::size_t limit) const;

private:
    void keep(EventRecord const& e);
    void keep(FailoverRecord const& f);
    std::uint64_t number_of(std::string const& id) const;
    struct Writing {  // shared with the store's thread
        std::mutex mutex;
        std::string error;
    };
    void write(std::shared_ptr<Journal> file, std::string line);

    std::string node_;
    StateStore& store_;
    Log log_;
    std::shared_ptr<Journal> event_file_, failover_file_;
    std::shared_ptr<Writing> writing_ = std::make_shared<Writing>();
    std::deque<EventRecord> events_;
    std::deque<FailoverRecord> failovers_;
    std::uint64_t last_event_ = 0, last_failover_ = 0;
};

}  // namespace clusterd
