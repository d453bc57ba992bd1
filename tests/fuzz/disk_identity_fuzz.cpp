// Any bytes as the first ones of a disk: a UUID or none, never a crash.
#include "resources/disk_identity.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    auto const is = clusterd::identify_disk({reinterpret_cast<char const*>(data), size});
    if (is.kind.empty() != is.uuid.empty()) std::abort();
    if (!is.uuid.empty() && is.uuid.size() != 36) std::abort();
    return 0;
}
