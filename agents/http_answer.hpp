// An HTTP answer as it comes in, bounded, and whether it is the one that was asked for. Called by the http agent; pure.
#pragma once

#include "agents/agent.hpp"
#include "config/values.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

struct HttpExpectation {
    StatusRange status;
    std::string body;                       // must be in it; empty = anything
    std::string header_name, header_value;  // must be there, its value containing this; empty name = none asked for
};

class HttpAnswer {
public:
    static constexpr std::size_t max_body = 256u << 10, max_headers = 64u << 10;

    // A header line as curl gives it, with the status lines of interim answers. False: too much.
    bool header_line(std::string_view line);
    // False: enough was read (the rest isn't kept).
    bool body_part(std::string_view part);

    bool body_cut() const { return cut_; }
    CheckOutcome judge(HttpExpectation const& expected, long status) const;

private:
    std::vector<std::string> headers_;
    std::size_t headers_size_ = 0;
    std::string body_;
    bool cut_ = false;
};

}  // namespace clusterd
