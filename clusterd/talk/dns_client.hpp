// One question to a DNS server: by UDP, three times before the deadline, and by TCP where the answer was cut. For the agent dns and the
// type network-name.
#pragma once

#include "clusterd/talk/connection.hpp"
#include "clusterd/talk/dns_answer.hpp"

#include <functional>

namespace clusterd {

// ok: it answered, whatever it said (answer.code). Else the message names the server and the name. `question` gets an id; a cut answer
// that is `enough` needn't be asked for again by TCP.
CheckOutcome ask_dns(Endpoint const& to, DnsQuestion question, std::function<bool(DnsAnswer const&)> const& enough, Instant deadline,
                     DnsAnswer& answer);

}  // namespace clusterd
