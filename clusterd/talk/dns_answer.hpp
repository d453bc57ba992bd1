// A question to a DNS server and its answer (RFC 1035), with libresolv's own parser. For the agent dns and the type network-name; pure.
#pragma once

#include "clusterd/core/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

struct DnsQuestion {
    std::string name;
    bool v6 = false;  // AAAA, else A
    std::uint16_t id = 0;
    bool txt = false;  // TXT, whatever v6 says
};
// An error where the name isn't one.
Result<std::string> write_dns_question(DnsQuestion const& question);

struct DnsAnswer {
    bool ours = false;   // id and question are those that were asked; all else is ignored
    bool cut = false;    // there is more than fits: ask by TCP
    int code = 0;        // 0 no error, 2 server failure, 3 no such name, 5 refused ...
    std::vector<std::string> addresses;
    std::vector<std::string> texts;  // of TXT: each record's first string
};
// An error where the bytes are no DNS message.
Result<DnsAnswer> read_dns_answer(std::string_view bytes, DnsQuestion const& question);
std::string dns_code(int code);  // in words

}  // namespace clusterd
