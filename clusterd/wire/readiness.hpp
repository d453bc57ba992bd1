// What keeps a node from running what it stands by for, as it says so itself: told to the other node and to clusterctl check-standby.
#pragma once

#include "clusterd/core/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

struct Lack {
    std::string what;  // /usr/sbin/nginx isn't there
    std::string todo;  // install it on this node; may be empty
    bool operator==(Lack const&) const = default;
};

struct Readiness {
    struct Item {
        std::string resource;  // empty: the node as a whole
        Lack lack;
        bool operator==(Item const&) const = default;
    };
    std::string node, version;
    std::uint64_t round = 0;   // rises with each look of this process
    std::int64_t wall_ms = 0;  // the node's clock when it told this
    std::vector<std::string> looked_at;  // resources; the others run here, or may not
    std::vector<Item> lacks;
    bool operator==(Readiness const&) const = default;
};

// What a node knows of both: of the other one nothing where it hasn't been heard.
struct Readinesses {
    std::optional<Readiness> own, peer;
};

std::string readiness_json(Readiness const& readiness);  // one line
Result<Readiness> parse_readiness(std::string_view json);
std::string readinesses_json(Readinesses const& both);
Result<Readinesses> parse_readinesses(std::string_view json);

}  // namespace clusterd
