// The timelines of what is on its way from one node to the other: when each phase ended, told once it is over. Leader only.
#pragma once

#include "clusterd/core/events.hpp"

#include <map>

namespace clusterd {

class Timelines {
public:
    // `origin`: when the trouble (or the order) began; `known`: phases that are over, the last one now.
    void begin(Now now, std::string const& group, NodeIndex from, NodeIndex to, std::string cause, Instant origin, std::vector<Phase> known);
    // Looks at what the nodes report; finished ones become RecordFailover, and a message to the peer.
    void observe(Now now, Spec const& spec, Decision const& acting, std::array<Report const*, 2> const& reports, Effects& out);
    void clear() { open_.clear(); }
    bool any() const { return !open_.empty(); }

private:
    struct Open {
        FailoverRecord record;
        NodeIndex from = NodeIndex::a, to = NodeIndex::a;
        Instant mark;           // end of the last phase
        bool stopped = false;   // seen offline on `from`
        bool handed_over = false;
        bool called_off = false;
        std::map<std::string, Instant> starting;  // resource -> since
        std::map<std::string, bool> online;
    };
    bool finished(Now now, Spec const& spec, Decision const& acting, std::array<Report const*, 2> const& reports, Open& o);

    std::map<std::string, Open> open_;
};

}  // namespace clusterd
