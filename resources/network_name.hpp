// The type network-name: a name in DNS, put there and removed by nsupdate(1) with a TSIG key (RFC 2136, RFC 8945).
//
// A name is no data: two nodes that both wrote it have done no harm, since they write the same addresses. So there is nothing for the
// guard to end, and a stop whose server doesn't answer leaves the name where it is (docs/types/network-name.md).
#pragma once

#include "resources/driver.hpp"

namespace clusterd {

DriverPtr make_network_name_driver(ResourceSpec const& resource, DriverContext context);

}  // namespace clusterd
