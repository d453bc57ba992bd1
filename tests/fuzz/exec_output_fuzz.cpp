// Any exit status and output of a monitoring plugin: one short line of UTF-8, never a crash.
#include "agents/plugin.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    if (size < 2) return 0;
    auto const outcome = clusterd::plugin_outcome(data[0] << 8 | data[1], {reinterpret_cast<char const*>(data) + 2, size - 2});
    if (outcome.message.size() > 600 || outcome.message.find('\n') != std::string::npos) std::abort();
    return 0;
}
