// A call of a Sun RPC program's NULL procedure and its reply (RFC 5531), as bytes on a TCP connection. For the agent nfs; pure.
#pragma once

#include "clusterd/core/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

std::string write_null_call(std::uint32_t id, std::uint32_t program, std::uint32_t version);

// nullopt: not all of it is there yet. An error says why the call wasn't done, or that this is no RPC.
std::optional<Result<Done>> read_null_reply(std::string_view bytes, std::uint32_t id);

}  // namespace clusterd
