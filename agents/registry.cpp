// Which agent a <health> has. Called by the agent host; config's table has the same names.
#include "agents/agent.hpp"
#include "agents/exec.hpp"
#include "agents/http.hpp"
#include "agents/process.hpp"
#include "agents/tcp.hpp"

namespace clusterd {
namespace {

class Unknown final : public Agent {
public:
    explicit Unknown(std::string type) : type_(std::move(type)) {}
    CheckOutcome check(Instant) override {
        return {Health::unknown,
                "this cluster-agent doesn't know health type " + type_ + "; install the same version as clusterd's"};
    }

private:
    std::string const type_;
};

struct Type {
    char const* name;
    AgentPtr (*make)(HealthSpec const&, ResourceSpec const&, GuardClient&, GuardEvents&);
};
constexpr Type types[] = {
    {"exec", make_exec_agent},
    {"http", make_http_agent},
    {"process", make_process_agent},
    {"tcp", make_tcp_agent},
};

}  // namespace

AgentPtr make_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events) {
    for (Type const& t : types)
        if (health.type == t.name) return t.make(health, resource, guard, events);
    return std::make_unique<Unknown>(health.type);
}

}  // namespace clusterd
