// The frames between the worker and an agent host (cluster-agent): what is asked, what came of it.
//
// One frame is one SOCK_SEQPACKET message: magic, version, type, length, body. clusterd/hosts writes the first half and reads the
// second, agents/host the other way round. decode() refuses what isn't exactly one well-formed frame, and never crashes.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/core/spec.hpp"
#include "clusterd/wire/readiness.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace clusterd::host {

inline constexpr std::size_t max_frame = 256u << 10;  // a resource's attributes may be long
inline constexpr std::size_t max_lacks = 20;          // of one resource
inline constexpr std::size_t max_text = 4u << 10;     // longer messages are cut when written

// What became of an action, or what was noticed (DriverOutcome of resources/driver.hpp).
struct State {
    ResourceState state = ResourceState::unknown;
    std::string message;
    bool restart_here = true;
    bool operator==(State const&) const = default;
};

// ---- worker to host
struct Hello {
    std::uint64_t session = 0;
};  // a new worker: what was meant for the one before is void; say where things stand
struct Configure {
    ResourceSpec resource;
};  // of it: name, type, attributes, health, isolate
struct Forget {
    std::string resource;
};
struct Action {
    std::uint64_t ticket = 0;
    ActionKind kind = ActionKind::probe;
    std::string resource;
    Duration timeout{};
};
struct Checks {
    std::string resource;
    bool run = false;
};
struct Permit {
    Instant end;
};  // announcements may leave until then
struct Ping {
    std::uint64_t id = 0;
};

// ---- host to worker
struct Welcome {
    std::uint64_t session = 0;
};  // all that follows is meant for that worker
struct Busy {
    std::uint64_t ticket = 0;
    ActionKind kind = ActionKind::probe;
    std::string resource;
    Duration left{};
};  // at Hello
struct ActionDone {
    std::uint64_t ticket = 0;
    std::string resource;
    State outcome;
};
struct Changed {
    std::string resource;
    State outcome;
};
struct HealthSeen {
    std::string resource;
    std::uint32_t check = 0;
    Health result = Health::unknown;
    Duration latency{};
    std::string message;
};
struct Pong {
    std::uint64_t id = 0;
};

// ---- worker to host, since the types' numbers are their places here
struct Announce {
    std::string resource;
    std::uint32_t times = 0;
};  // tell the neighbours again where it is

struct Look {  // worker to host: what keeps it from being started on this node?
    std::string resource;
    std::vector<std::string> elsewhere;  // mount points whose files come with it
};
struct Looked {  // host to worker
    std::string resource;
    std::vector<Lack> lacks;
};

using Message = std::variant<Hello, Configure, Forget, Action, Checks, Permit, Ping, Welcome, Busy, ActionDone, Changed, HealthSeen,
                             Pong, Announce, Look, Looked>;

// An error where the frame would be too long; names the resource.
Result<std::string> encode(Message const& message);
Result<Message> decode(std::string_view frame);

}  // namespace clusterd::host
