// The type print-queue: a queue of the CUPS that runs on both nodes, there and printing on the owner only. By lpadmin, cupsenable, cupsaccept,
// cupsreject, cupsdisable and lpstat; no other queue, and never cupsd itself, is touched. docs/types/print-queue.md.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_print_queue_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
