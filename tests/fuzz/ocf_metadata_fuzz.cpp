// Any bytes as what an OCF agent prints as its meta-data: read or refused, never a crash.
#include "config/ocf_metadata.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    auto const metadata = clusterd::parse_ocf_metadata({reinterpret_cast<char const*>(data), size});
    if (!metadata) return 0;
    if (metadata->parameters.size() > 1000) std::abort();
    clusterd::ResourceSpec resource;
    resource.attributes = {{"param:ip", "10.0.0.1"}, {"param:count", "many"}, {"param-file:password", "/etc/secret"}};
    for (auto const& line : clusterd::check_against(*metadata, resource))
        if (line.empty()) std::abort();
    return 0;
}
