// The configurations that counted, with when, by whom and why: kept in the state directory (configurations.jsonl), shown by
// `show config --history`, brought back by `apply --revision N`. Each node keeps what it went over to itself: one that was away while two
// were applied has the later one only.
#pragma once

#include "clusterd/core/decision.hpp"
#include "clusterd/store/journal.hpp"
#include "clusterd/store/store.hpp"
#include "clusterd/wire/api.hpp"

#include <deque>
#include <memory>
#include <string>

namespace clusterd {

class Revisions {
public:
    Revisions(std::string const& state_dir, StateStore& store);

    // It counts on this node now. Known already: nothing is done.
    void counts(ConfigOrigin const& origin, Config const& config);
    std::deque<ConfigRevision> const& all() const { return all_; }  // oldest first; the newest 100

private:
    StateStore& store_;
    std::shared_ptr<Journal> file_;
    std::deque<ConfigRevision> all_;
};

}  // namespace clusterd
