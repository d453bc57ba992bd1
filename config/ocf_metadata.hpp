// The meta-data of an OCF agent (resource-agent-api.md, "Metadata"): which parameters it takes, and what its actions want. Called by
// `clusterctl check`, where the agent is installed on its machine, and by the driver, for how often and how long it is monitored. Pure; any bytes give meta-data or a reason.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/spec.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

inline constexpr std::size_t max_ocf_metadata = 1u << 20;

struct OcfParameter {
    std::string name, type;  // string, integer, boolean, select, ...
    bool required = false;
};
struct OcfMetadata {
    std::vector<OcfParameter> parameters;
    Duration start_timeout{0}, stop_timeout{0};  // 0: it suggests none
    Duration monitor_interval{0}, monitor_timeout{0};  // of its plain monitor, likewise
};
Result<OcfMetadata> parse_ocf_metadata(std::string_view xml);

// What is wrong with the parameters of a resource of type ocf, and with its time-outs; each a line for people.
std::vector<std::string> check_against(OcfMetadata const& metadata, ResourceSpec const& resource);

}  // namespace clusterd
