// See nfs.hpp.
#include "agents/nfs.hpp"

#include "clusterd/talk/connection.hpp"
#include "agents/rpc.hpp"
#include "resources/attributes.hpp"

#include <fmt/format.h>

#include <sys/random.h>
#include <cstring>

namespace clusterd {
namespace {

constexpr std::uint32_t nfs_program = 100003;

class Nfs final : public Agent {
public:
    explicit Nfs(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        to_ = endpoint(attributes.text("address"), attributes.number("port", 2049));
        version_ = attributes.number("version", 4);
    }

    CheckOutcome check(Instant deadline) override {
        Connection server(to_);
        if (auto const opened = server.open(deadline); opened.result != Health::ok) return opened;
        std::uint32_t id = 0;
        if (getrandom(&id, sizeof id, 0) != sizeof id) return {Health::unknown, "no random numbers"};
        if (auto const out = server.say(write_null_call(id, nfs_program, static_cast<std::uint32_t>(version_)), deadline); out.result != Health::ok)
            return out;
        std::string heard;
        for (;;) {
            if (auto const reply = read_null_reply(heard, id)) {
                if (!*reply) return {Health::failed, fmt::format("{}: {}", to_.where, reply->error())};
                return {Health::ok, fmt::format("{}: serves NFS version {}", to_.where, version_)};
            }
            switch (server.hear(heard, deadline)) {
                case Connection::Heard::more: break;
                case Connection::Heard::late: return {Health::failed, to_.where + ": connected, but no answer in time"};
                case Connection::Heard::closed: return {Health::failed, to_.where + ": it closed the connection"};
                case Connection::Heard::error: return {Health::failed, fmt::format("{}: {}", to_.where, std::strerror(server.error()))};
            }
        }
    }

private:
    Endpoint to_;
    int version_;
};

}  // namespace

AgentPtr make_nfs_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Nfs>(health);
}

}  // namespace clusterd
