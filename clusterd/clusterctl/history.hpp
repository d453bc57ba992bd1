// The history as the daemon has it, for the verbs that read it: history_verb.cpp, why_verb.cpp.
#pragma once

#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/wire/api.hpp"

#include <string>
#include <vector>

namespace clusterd::tool {

inline constexpr unsigned most_events = 1000;  // of one answer

// Oldest first: what is newer than the event `after`, or the newest `limit`. Waits so long for the first one.
std::vector<EventRecord> fetch_events(Daemon& daemon, std::string const& after, unsigned limit, unsigned wait_ms);

}  // namespace clusterd::tool
