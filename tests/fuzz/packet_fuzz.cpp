// Any bytes as what other machines answer to our own questions: ARP, neighbour advertisements, echo replies.
#include "clusterd/address/neighbours.hpp"
#include "clusterd/wire/echo.hpp"

#include <sys/socket.h>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    std::string_view const packet(reinterpret_cast<char const*>(data), size);
    auto const v4 = parse_address("10.0.0.100"), v6 = parse_address("fd00::100");
    net::Mac const sender{2, 0, 0, 0, 0, 1};
    if (net::holder_in(packet, *v4, sender) && size < 28) std::abort();
    if (auto const mac = net::holder_in(packet, *v6, sender); mac && (size < 64 || *mac != sender)) std::abort();
    for (bool const raw : {false, true})
        for (int const family : {AF_INET, AF_INET6})
            if (read_echo_reply(packet, family, raw) && size < (raw ? 44U : 24U)) std::abort();
    return 0;
}
