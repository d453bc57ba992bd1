// Could this node take over now, and could the other one? Each looks at itself every minute and when asked, and tells the other. What
// lacks is shown in the status of both, before a failover needs it; `clusterctl check-standby` shows all of it.
//
// The worker makes one and passes on what hosts and peer say. Decides nothing that the core knows of.
#pragma once

#include "clusterd/core/decision.hpp"
#include "clusterd/hosts/hosts.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/readiness.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace clusterd {

class Standby {
public:
    struct Callbacks {
        std::function<ConfigPtr()> config;         // that counts
        std::function<DecisionPtr()> decision;     // who has what; null: nothing is decided yet
        std::function<std::vector<Lack>()> node;   // what the node itself lacks
        std::function<void(std::string)> tell;     // a line for the peer; lost where it can't be reached
    };
    // The loop, the hosts and all that the callbacks use outlive it.
    Standby(Loop& loop, Hosts& hosts, NodeIndex self, Callbacks callbacks);

    void look();                        // now; again every minute
    void peer_up() { tell_own(); }      // it may have missed what was told
    bool take(std::string const& line); // from the peer: false where the line isn't about this
    void look_on_both();                // an operator asks
    Readinesses both() const { return both_; }
    std::vector<std::string> warnings(bool peer_up) const;  // what a takeover would meet, a line each; of a peer that isn't up nothing: that says more

private:
    void finish();
    void tell_own();

    Loop& loop_;
    Hosts& hosts_;
    NodeIndex self_;
    Callbacks callbacks_;
    Readinesses both_;
    Readiness next_;                // being put together
    std::set<std::string> awaited_;
    std::uint64_t rounds_ = 0;
    std::int64_t clock_apart_ms_ = 0;
    Loop::HandlePtr patience_, pace_;
};

}  // namespace clusterd
