// Any bytes as a frame between worker and agent host: refused or read, never a crash; what was read can be written again.
#include "clusterd/wire/host_message.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    auto const message = clusterd::host::decode({reinterpret_cast<char const*>(data), size});
    if (message && !clusterd::host::encode(*message)) std::abort();
    return 0;
}
