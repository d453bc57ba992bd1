// Any bytes as what lpstat says, and as a queue's name and a device: read or refused, never a crash; what is accepted as a name or a device is
// one word of a command.
#include "config/printing.hpp"
#include "resources/print_words.hpp"

#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string const in(reinterpret_cast<char const*>(data), size);
    for (char const* queue : {"laser", "a-1", ""}) {
        auto const seen = clusterd::read_lpstat(in, queue);
        if (seen.reason.size() > 300 || seen.reason.find('\n') != std::string::npos || ((seen.enabled || seen.accepting) && !seen.there)) std::abort();
        if (clusterd::count_jobs(in, queue) < 0) std::abort();
    }
    if (clusterd::is_queue_name(in) && (in.find_first_of(" \n\t/#'\"") != std::string::npos || in[0] == '-')) std::abort();
    if (clusterd::is_device_uri(in) && (in.find_first_of(" \n\t") != std::string::npos || in.find(':') == std::string::npos)) std::abort();
    return 0;
}
