// A node: membership, arbitration, decisions, planning and its own resources put together. The one thing the shell, the
// simulator and the exhaustive test drive.
//
// Pure: no clock, no file, no thread, no randomness (tests/unit/core/purity_test.cpp reads the symbols). The caller owes: events with the time
// they happened, in that order; effects performed in the order returned; resume_state() written where a follower of this process
// will find it *before* the effects are performed.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/resume.hpp"
#include "clusterd/core/status.hpp"

#include <memory>

namespace clusterd {

struct ForecastInput;

// What a node finds when it starts.
struct StartState {
    NodeIndex self = NodeIndex::a;
    Incarnation incarnation = 0;          // drawn by the shell; on resume the same as before
    ConfigPtr seed;                       // the file's configuration: counts only until a decision is known
    Terms terms;                          // from the state store
    DecisionPtr stored;                   // newest decision in the state store; its configuration counts
    StoreId store = 0;                    // the state store's own id
    Uuid cluster{};                       // the cluster the store belongs to; zero = none yet
    Uuid fresh_cluster{};                 // a random one, used only where a pair without quorum disk is formed
    std::optional<ResumeState> resume;    // set: go on as the same incarnation (see resume.hpp)
};

class Node {
public:
    Node(StartState start, Now now);
    ~Node();
    Node(Node&&) noexcept;
    Node& operator=(Node&&) noexcept;

    [[nodiscard]] Effects step(Now now, Event const& event);

    Instant next_wakeup() const;  // a Tick is owed then at the latest
    ResumeState resume_state() const;
    Status status(Now now) const;
    ForecastInput forecast_input(Now now) const;  // for "what would happen if" (forecast.hpp), of what this node knows now
    Spec const& spec() const;      // of the configuration that counts now
    ConfigPtr config() const;
    Instant permit_end() const;    // long_ago: none
    bool idle() const;             // no resource does, or may do, anything here
    DecisionId stored_id() const;    // newest stored here
    DecisionId peer_newest() const;  // newest the peer had stored when it was last heard
    DecisionPtr decision() const;  // the newest this node acts on; null = none

    struct Impl;  // node_impl.hpp; for the core's own files

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
