// What `plan` has of the verbs about configurations (apply_verb.cpp).
#pragma once

#include "clusterd/clusterctl/tool.hpp"

namespace clusterd::tool {

int plan_apply(Options const& options, std::string const& path);

}  // namespace clusterd::tool
