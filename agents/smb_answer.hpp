// SMB2's NEGOTIATE as bytes on a TCP connection ([MS-SMB2] 2.2.3, 2.2.4), and what smbclient says of a share. For the agent smb; pure.
#pragma once

#include "clusterd/core/result.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clusterd {

using SmbRandom = std::array<std::uint8_t, 48>;  // the client's GUID and the salt of the preauthentication hash
// Offers dialects 2.0.2 to 3.1.1.
std::string write_smb_negotiate(SmbRandom const& random);

// nullopt: not all of it is there yet. The dialect in words ("SMB 3.1.1"), or an error: the server refuses, or this is no SMB2 server.
std::optional<Result<std::string>> read_smb_negotiate(std::string_view bytes);

// What smbclient's output means, where it ended with an error: its first NT_STATUS_... word; empty where there is none.
std::string smb_status_in(std::string_view output);

}  // namespace clusterd
