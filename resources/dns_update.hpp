// What is said to nsupdate(1), what it says, and the key file it reads. For the type network-name; pure.
//
// Beside the name's addresses stands a text, _clusterd.NAME, that is another one after each start: it tells whose the name is now. Both
// nodes write the same addresses, so without it a node that comes back late would take away what the other one has put there.
#pragma once

#include "clusterd/core/result.hpp"
#include "config/values.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

struct DnsUpdate {
    std::string server;
    int port = 53;
    std::string zone;  // empty: nsupdate asks the server
    std::string name;
    std::int64_t ttl_s = 60;
    std::vector<IpAddress> addresses;
    std::string token;
};
std::string owner_name(std::string const& name);        // where the text stands
std::string claim_script(DnsUpdate const& update);      // the name is ours now, whatever it was
std::string release_script(DnsUpdate const& update);    // it is gone, if all of it still is as claim_script made it

struct NsupdateAnswer {
    enum class What { done, not_ours, refused, no_answer };
    What what = What::done;
    std::string message;  // refused, no_answer: for people
};
NsupdateAnswer read_nsupdate(bool succeeded, std::string_view output, DnsUpdate const& update, std::string const& key);

// The key's name in what tsig-keygen writes: key "NAME" { algorithm ...; secret "..."; }; - errors never repeat what stands there.
Result<std::string> tsig_key_name(std::string_view text);

}  // namespace clusterd
