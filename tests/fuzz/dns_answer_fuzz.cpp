// Any bytes as what a DNS server answers: read or refused, never a crash, and addresses only of the kind that was asked for.
#include "clusterd/talk/dns_answer.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string_view const in(reinterpret_cast<char const*>(data), size);
    for (bool const v6 : {false, true}) {
        auto const answer = clusterd::read_dns_answer(in, {"www.shop.test", v6, 7});
        if (!answer) continue;
        for (auto const& address : answer->addresses)
            if ((address.find(':') != std::string::npos) != v6) std::abort();
        if (clusterd::dns_code(answer->code).empty()) std::abort();
    }
    return 0;
}
