// The public networks: is each <network> well on this node? Used by the shell, which tells the core.
//
// A network is well while its interface has carrier and, where it names ping targets, at least one of them answers. Carrier comes
// by netlink events; interfaces may come and go. Never blocks.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/spec.hpp"
#include "clusterd/shell/loop.hpp"

#include <functional>
#include <memory>

namespace clusterd {

class Networks {
public:
    struct Callbacks {
        // Once for each network soon after the start, then at each change. `network` counts as in the file.
        std::function<void(int network, bool well, std::string message)> changed;
        std::function<void(Severity, std::string)> note;  // for the record; may be empty
    };

    // A target is silent after `misses` pings `every` apart; until then it is taken to answer.
    Networks(Loop& loop, std::vector<NetworkSpec> const& networks, Callbacks callbacks, Duration every = std::chrono::seconds(1),
             int misses = 3);
    ~Networks();
    Networks(Networks&&) noexcept;
    Networks& operator=(Networks&&) noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
