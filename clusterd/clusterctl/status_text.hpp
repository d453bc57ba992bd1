// The status for people: first how it is, then what runs where, then what is wrong and what to do about it. Pure, so tests read it.
#pragma once

#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/core/status.hpp"

#include <string>
#include <vector>

namespace clusterd::tool {

struct Headline {
    Tone tone = Tone::good;
    std::string text;  // all well | 1 group is not online | ...
};
// Something that is not as it should be, and what to do next (may be empty).
struct Concern {
    Tone tone = Tone::warn;
    std::string what, todo;
};

Headline headline(Status const& status);
std::vector<Concern> concerns(Status const& status, std::int64_t now_ms);
// With `rows`: where it needs more of them, what is wrong comes before what runs, since the end will be cut off.
std::string status_text(Status const& status, Paint const& paint, std::int64_t now_ms, int rows = 0);

}  // namespace clusterd::tool
