// The validated configuration: what config/ makes of the XML, immutable from then on.
//
// Everything here is already checked (names unique, dependencies acyclic, addresses well formed, timing consistent),
// so the core asks no questions. Strings that only a driver or agent understands stay in `attributes`.
#pragma once

#include "clusterd/core/ids.hpp"
#include "clusterd/core/time.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clusterd {

struct LinkSpec {
    std::string address;  // IPv4 or IPv6 literal, no prefix
    std::uint16_t port = 7780;
    bool operator==(LinkSpec const&) const = default;
};

// links[i] of one node talks to links[i] of the other.
struct NodeSpec {
    std::string name;
    std::vector<LinkSpec> links;
    bool operator==(NodeSpec const&) const = default;
};

// protocol.md, "Parties and constants".
struct Timing {
    std::string profile = "default";
    Duration heartbeat = std::chrono::milliseconds(50);
    Duration suspect = std::chrono::milliseconds(300);
    Duration permit = std::chrono::milliseconds(1000);
    Duration kill = std::chrono::milliseconds(250);
    int rho_permille = 10;  // relative clock drift allowed for
    // P(1+rho): how long the other side's permit can last on my clock.
    Duration permit_with_drift() const { return permit + permit * rho_permille / 1000; }
    bool operator==(Timing const&) const = default;
};

// The machine's watchdog device, the same path on both nodes; an empty one: none is used.
struct WatchdogSpec {
    std::string device;
    Duration timeout{0};
    bool operator==(WatchdogSpec const&) const = default;
};

struct NetworkSpec {
    std::string name;
    std::string interface;
    std::vector<std::string> ping;  // the network is well while one of them answers; empty: carrier only
    bool operator==(NetworkSpec const&) const = default;
};

// `depends`: names with and / or / parentheses. A leaf has `name`; all/any have children.
struct Dependency {
    enum class Kind : std::uint8_t { name, all, any };
    Kind kind = Kind::all;  // `all` of nothing = no dependency
    std::string name;
    std::vector<Dependency> children;
    bool operator==(Dependency const&) const = default;
};

struct HealthSpec {
    std::string type;  // an agent: http, tcp, process, exec, ...
    std::map<std::string, std::string> attributes;
    Duration every = std::chrono::seconds(1);
    Duration timeout = std::chrono::seconds(1);
    int failures = 2;          // this many `failed` in a row make the resource fail
    int unknown_failures = 0;  // this many `unknown` in a row do, too; 0 = never
    bool operator==(HealthSpec const&) const = default;
};

struct RestartSpec {
    int limit = 3;  // restarts on this node within `period` (sliding); 0 = never restart here
    Duration period = std::chrono::minutes(15);
    Duration delay{0};
    bool operator==(RestartSpec const&) const = default;
};

struct ResourceSpec {
    std::string name;
    std::string type;
    int line = 0;                                   // in the file, for messages
    std::map<std::string, std::string> attributes;  // the type's own, after defaults
    Dependency depends;
    std::array<bool, 2> possible{true, true};
    std::vector<HealthSpec> health;
    RestartSpec restart;
    bool affects_group = true;
    Duration retry_after = std::chrono::minutes(1);  // first retry of what stays failed; doubles, at most an hour
    Duration online_timeout = std::chrono::minutes(3);
    Duration offline_timeout = std::chrono::minutes(3);
    bool isolate = false;
    bool operator==(ResourceSpec const&) const = default;
};

struct FailbackSpec {
    enum class Kind : std::uint8_t { never, immediate, window };
    Kind kind = Kind::never;
    int from_minute = 0;  // window, minutes of the day; to < from spans midnight
    int to_minute = 0;
    bool operator==(FailbackSpec const&) const = default;
};

struct GroupSpec {
    enum class Start : std::uint8_t { automatic, manual, as_was };
    std::string name;
    int line = 0;
    std::vector<ResourceSpec> resources;  // in the file's order
    std::optional<NodeIndex> preferred;
    std::array<bool, 2> possible{true, true};  // where every resource is possible
    FailbackSpec failback;
    int failover_limit = 2;  // within failover_period (sliding); 0 = never fails over by failure
    Duration failover_period = std::chrono::hours(6);
    Start start = Start::automatic;
    int priority = 0;          // higher first
    std::string apart, after;  // names of groups, or empty
    bool operator==(GroupSpec const&) const = default;
};

struct Spec {
    std::string cluster;
    std::uint64_t version = 1;
    std::array<NodeSpec, 2> nodes;
    std::optional<std::string> quorum_disk;  // absolute path
    Timing timing;
    WatchdogSpec watchdog;
    std::vector<NetworkSpec> networks;
    std::vector<GroupSpec> groups;
    bool operator==(Spec const&) const = default;
};

// A configuration as it is stored and sent: by its hash. `spec` is what config/ made of `xml`.
struct Config {
    Hash hash{};
    std::string xml;
    Spec spec;
};
using ConfigPtr = std::shared_ptr<Config const>;

}  // namespace clusterd
