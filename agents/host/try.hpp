// `cluster-agent --try TYPE NAME=VALUE...`: one health agent, once, by hand; what `clusterctl agent try` runs. No daemon is asked, nothing
// of a cluster changes. Programs that an agent starts (exec) run as who called it, in a process group of their own.
#pragma once

#include <string>
#include <vector>

namespace clusterd {

// Prints the result (`json`: as an object) and returns 0 for ok and degraded, 1 for failed and unknown, 2 for what can't be tried.
int try_agent(std::vector<std::string> const& words, bool json);

}  // namespace clusterd
