// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. Pure: the nonce is the caller's.
//
// The password is taken as it is, without SASLprep: the same for ASCII, and for most of what people type.
#pragma once

#include "clusterd/core/result.hpp"

#include <string>
#include <string_view>

namespace clusterd {

std::string scram_first(std::string_view nonce);

struct ScramProof {
    std::string message;    // client-final-message
    std::string signature;  // what the server's last message must be: it knows the password, too
};
// An error says what is wrong with the server's message.
Result<ScramProof> scram_final(std::string_view password, std::string_view nonce, std::string_view server_first);

}  // namespace clusterd
