// libFuzzer's entry to the configuration: any bytes give a valid spec or problems, and nothing crashes, hangs or leaks.
#include "config/parse.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string const xml(reinterpret_cast<char const*>(data), size);
    clusterd::ParseResult const result = clusterd::parse_config(xml, "fuzz.xml");
    bool refused = false;
    for (clusterd::Problem const& problem : result.problems) {
        refused = refused || !problem.warning;
        std::string const line = clusterd::format(problem, "fuzz.xml");
        if (problem.line < 1 || line.find('\n') != std::string::npos) {
            std::fprintf(stderr, "a problem without line, or of several: %s\n", line.c_str());
            std::abort();
        }
    }
    if (result.spec.has_value() == refused) std::abort();  // exactly one of the two
    if (result.spec && !(clusterd::parse_config(xml, "fuzz.xml").spec == result.spec)) std::abort();
    return 0;
}
