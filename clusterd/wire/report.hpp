// A report as bytes, for the sync channel.
#pragma once

#include "clusterd/core/report.hpp"
#include "clusterd/core/result.hpp"

#include <string>
#include <string_view>

namespace clusterd {

std::string encode_report(Report const& report);  // messages longer than the limits of bytes.hpp are clipped
// Refuses unknown versions, trailing bytes and anything above the limits; never crashes.
Result<Report> decode_report(std::string_view bytes);

}  // namespace clusterd
