// The type `ip-address`: an IPv4 or IPv6 address on one of the node's interfaces.
//
// Attributes: address (with prefix), interface, announce (how many times neighbours are told), probe-conflict. Online: the address
// stands on the interface, which is up and has its carrier. It is named to the guard before it is added, so that an emergency stop
// or the sweep of the next start removes it. Not online while another machine answers for it. Offline is proven by asking the
// kernel again. The kernel's own expiry (valid_lft) isn't set here: the gate silences an address whose permit ended, and renewing a
// lifetime is the business of whoever knows the permit.
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_ip_address_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
