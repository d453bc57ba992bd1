// libFuzzer: bytes from the peer as a report. What is taken must come back the same.
#include "clusterd/wire/report.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    auto const report = decode_report({reinterpret_cast<char const*>(data), size});
    if (!report) return 0;
    auto const again = decode_report(encode_report(*report));
    if (!again || again->resources.size() != report->resources.size() || again->failed_groups != report->failed_groups) std::abort();
    return 0;
}
