// The type `ip-address`: an IPv4 or IPv6 address on one of the node's interfaces.
//
// Attributes: address (with prefix), interface, announce (how many times neighbours are told), probe-conflict. Online: the address
// stands on the interface, which is up and has its carrier. It is named to the guard before it is added, so that an emergency stop
// or the sweep of the next start removes it. Not online while another machine answers for it. Offline is proven by asking the
// kernel again.
// Two attributes stand in no file; the worker adds them (clusterd/hosts) where the permit is long enough for the address to have a
// lifetime (valid_lft): permit, its length, and gate="no" where nothing else silences the address (resources/lifetime.hpp).
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_ip_address_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
