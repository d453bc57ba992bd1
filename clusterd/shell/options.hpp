// The worker's command line: the guard passes its own on. main.cpp only.
#pragma once

#include "clusterd/core/result.hpp"

namespace clusterd {

struct WorkerOptions {
    std::string node;
    std::string config = "/etc/clusterd/cluster.xml";
    std::string state_dir = "/var/lib/clusterd";
    std::string run_dir = "/run/clusterd";
    std::string key = "/etc/clusterd/key";
    std::string log_format;  // journal | text | json; empty: journal where stderr goes there, else text
};

Result<WorkerOptions> parse_worker_options(int argc, char** argv);

}  // namespace clusterd
