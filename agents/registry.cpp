// Which agent a <health> has. Called by the agent host; config's table has the same names.
#include "agents/agent.hpp"
#include "agents/arp.hpp"
#include "agents/certificate.hpp"
#include "agents/disk.hpp"
#include "agents/dns.hpp"
#include "agents/exec.hpp"
#include "agents/http.hpp"
#include "agents/nfs.hpp"
#include "agents/ping.hpp"
#include "agents/postgres.hpp"
#include "agents/pressure.hpp"
#include "agents/process.hpp"
#include "agents/redis.hpp"
#include "agents/smb.hpp"
#include "agents/tcp.hpp"
#include "agents/unit.hpp"

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
    {"arp", make_arp_agent},
    {"certificate", make_certificate_agent},
    {"disk", make_disk_agent},
    {"dns", make_dns_agent},
    {"exec", make_exec_agent},
    {"http", make_http_agent},
    {"load", make_load_agent},
    {"nfs", make_nfs_agent},
    {"ping", make_ping_agent},
    {"postgres", make_postgres_agent},
    {"pressure", make_pressure_agent},
    {"process", make_process_agent},
    {"redis", make_redis_agent},
    {"smb", make_smb_agent},
    {"tcp", make_tcp_agent},
    {"unit", make_unit_agent},
};

}  // namespace

AgentPtr make_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events) {
    for (Type const& t : types)
        if (health.type == t.name) return t.make(health, resource, guard, events);
    return std::make_unique<Unknown>(health.type);
}

}  // namespace clusterd
