// A forecast in words: which groups it touches and for how long, then what is done in which order. Pure. For plan_verb.cpp.
#pragma once

#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/wire/plan.hpp"

#include <string>

namespace clusterd::tool {

// `question`: "alpha failed", for the line above it.
std::string plan_text(PlanAnswer const& answer, std::string const& question, Paint const& paint);

}  // namespace clusterd::tool
