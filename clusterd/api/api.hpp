// The local API: HTTP with JSON on a Unix socket, for clusterctl. Everything is answered from memory on the loop's thread; a
// request that waits (a command's outcome, new events) is parked and costs nothing.
//
// The shell's main makes one ApiServer and implements ApiBackend. Promises: never blocks the loop; only root and the daemon's own
// user get an answer; sizes, connections and waiting times are bounded. docs of the endpoints: api/routes.hpp.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/result.hpp"
#include "clusterd/core/status.hpp"
#include "clusterd/shell/loop_asio.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/plan.hpp"
#include "clusterd/wire/readiness.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clusterd {

// What the API asks the shell. Called on the loop's thread, answered from memory at once.
struct ApiBackend {
    virtual ~ApiBackend() = default;
    virtual Status status() = 0;
    // The id is in the command. What becomes of it comes through ApiServer::command_update, maybe already from within this call.
    virtual void submit(Command command) = 0;
    virtual void abandon(std::string const& id) = 0;  // nobody waits for it any more
    // Oldest first. After an id: what is newer (all that is kept, where the id isn't known any more). Without: the newest `limit`.
    virtual std::vector<EventRecord> events(std::string const& after_id, std::size_t limit) = 0;
    virtual std::vector<FailoverRecord> failovers() = 0;  // oldest first
    virtual TimingInfo timing() = 0;
    // What would come of it; `fail` takes a node, too. nullopt: it is being found out, and event_recorded() tells when to ask again.
    virtual std::optional<PlanAnswer> plan(Command const& command) = 0;
    virtual std::string config_xml() = 0;  // of the configuration that counts; empty = none known
    virtual std::vector<ConfigRevision> revisions() = 0;  // that counted on this node, oldest first
    virtual Readinesses readiness() = 0;      // as last told by each node
    virtual void look_at_readiness() = 0;     // both look again; it takes some seconds
    // What `quorum force` would go on with and what could be lost, as text for a person.
    virtual std::string force_preview() = 0;
    virtual Result<Done> force() = 0;
};

struct ApiLimits {
    std::size_t connections = 64;
    std::size_t header_bytes = 8 * 1024;
    std::size_t body_bytes = 8 * 1024 * 1024;  // the largest configuration, as JSON
    Duration request = std::chrono::seconds(15);  // a whole request, from the moment the connection is idle; also a whole answer
    Duration farewell = std::chrono::seconds(1);  // that a client has to hang up after its last answer; as many may do so as may be connected
    Duration longest_wait = std::chrono::seconds(60);
    Duration keep_finished = std::chrono::minutes(5);  // what became of a command stays readable for so long
    std::size_t commands = 1000;
    std::size_t updates_per_command = 200;
};

struct ApiCounters {
    std::uint64_t requests = 0;
    std::uint64_t forbidden = 0;  // connections of other users
    std::uint64_t bad = 0;        // malformed, too large or too slow
    std::uint64_t refused_full = 0;
};

class ApiServer {
public:
    // Listens at once; a stale socket is removed first. Throws std::runtime_error naming the path where that can't be done.
    // The loop and the backend outlive the server.
    ApiServer(AsioLoop& loop, std::string socket_path, ApiBackend& backend, ApiLimits limits = {});
    ~ApiServer();  // closes every connection and removes its socket
    ApiServer(ApiServer const&) = delete;
    ApiServer& operator=(ApiServer const&) = delete;

    // The shell performs effect::CommandUpdate and effect::RecordEvent here, too: they wake who waits. Loop's thread only.
    void command_update(effect::CommandUpdate update);
    void event_recorded(EventRecord const& event);
    ApiCounters counters() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace clusterd
