// Any bytes as what nsupdate says, as a TSIG key file and as a name: read or refused, never a crash; no line of a script is anything but ours.
#include "resources/dns_update.hpp"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string const in(reinterpret_cast<char const*>(data), size);
    clusterd::DnsUpdate update{.server = "10.0.0.53", .name = "web.shop.test", .addresses = {*clusterd::parse_address("10.0.0.100")}, .token = "abc"};
    for (bool const succeeded : {false, true}) {
        auto const answer = clusterd::read_nsupdate(succeeded, in, update, "key");
        if (answer.message.size() > 700) std::abort();
        if (!succeeded && answer.what == clusterd::NsupdateAnswer::What::done) std::abort();
    }
    if (auto const key = clusterd::tsig_key_name(in); key && (key->empty() || key->find_first_of(" \n\";") != std::string::npos)) std::abort();
    if (auto const name = clusterd::parse_dns_name(in)) {
        update.name = update.zone = *name;
        for (std::string const& script : {clusterd::claim_script(update), clusterd::release_script(update)})
            if (std::count(script.begin(), script.end(), '\n') != 8) std::abort();
    }
    return 0;
}
