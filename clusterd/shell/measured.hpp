// How long each part of a move or failover takes here, from the time lines of those that were: for forecasts. Pure.
#pragma once

#include "clusterd/core/forecast.hpp"

#include <set>
#include <string>
#include <vector>

namespace clusterd {

struct Measured {
    Durations least, typical, most;  // typical: the median
    std::size_t records = 0;         // time lines that were looked at
    std::set<std::string> online;    // resources whose start was measured
    bool takeover = false;           // a lost node was
};

// The newest 50 time lines count: what was measured before a change of the machines says little. `permit`: what a takeover is taken to
// last where none was measured.
Measured measure(std::vector<FailoverRecord> const& records, Duration permit);

}  // namespace clusterd
