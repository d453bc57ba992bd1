// An operator's command given to the daemon: what happens is shown, and what became of it is the exit code.
#pragma once

#include "clusterd/clusterctl/tool.hpp"
#include "clusterd/core/events.hpp"

namespace clusterd::tool {

int give(Options const& options, Command command);  // user and id are filled in

}  // namespace clusterd::tool
