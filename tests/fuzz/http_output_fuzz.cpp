// Any bytes as an HTTP answer's header lines and body: judged, never a crash, never kept beyond the limits.
#include "agents/http_answer.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string_view in(reinterpret_cast<char const*>(data), size);
    clusterd::HttpAnswer answer;
    clusterd::HttpExpectation expected;
    expected.body = "ok";
    expected.header_name = "x-state";
    expected.header_value = "up";
    long const status = size ? data[0] * 3L : 0;
    while (!in.empty()) {
        std::string_view const line = in.substr(0, in.find('\n') + 1);
        if (line.empty() || !answer.header_line(line)) break;
        in.remove_prefix(line.size());
        if (line == "\n") break;
    }
    answer.body_part(in);
    if (answer.judge(expected, status).message.size() > 4096) std::abort();
    return 0;
}
