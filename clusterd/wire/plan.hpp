// The answer to `clusterctl plan`: what would happen, and how long it would take, as JSON. The daemon writes it, the tool reads it.
#pragma once

#include "clusterd/core/forecast.hpp"
#include "clusterd/core/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

struct PlanAnswer {
    Forecast typical;                             // by the median of what was measured
    std::vector<Duration> shortest, longest;      // per group of `typical`, by the least and the most of it: when it is online again
    std::optional<Forecast> used_up;              // `fail RESOURCE`, where it is restarted here: what happens once its restarts are used up
    std::size_t measured = 0;                     // failovers and moves that the times come from
    std::vector<std::string> unmeasured;          // what no time is known of: it counts as nothing
    bool operator==(PlanAnswer const&) const = default;
};

std::string plan_json(PlanAnswer const& answer);
Result<PlanAnswer> parse_plan(std::string_view json);

}  // namespace clusterd
