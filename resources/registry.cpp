// Which driver a type has. Called by the agent host; config/types.hpp has the same names.
#include "resources/disk.hpp"
#include "resources/driver.hpp"
#include "resources/dummy.hpp"
#include "resources/file_share.hpp"
#include "resources/filesystem.hpp"
#include "resources/ip_address.hpp"
#include "resources/network_name.hpp"
#include "resources/ocf.hpp"
#include "resources/print_queue.hpp"
#include "resources/process.hpp"
#include "resources/route.hpp"
#include "resources/script.hpp"
#include "resources/service.hpp"

namespace clusterd {
namespace {

// Where worker and host are of different versions: nothing of the type can be found out or done here.
class Unknown final : public Driver {
public:
    explicit Unknown(ResourceSpec const& r)
        : outcome_{ResourceState::unknown,
                   "resource " + r.name + ": this cluster-agent doesn't know type " + r.type +
                       "; install the same version as clusterd's",
                   false} {}
    DriverOutcome probe(Instant) override { return outcome_; }
    DriverOutcome start(Instant) override { return {ResourceState::failed, outcome_.message, false}; }
    DriverOutcome stop(Instant) override { return outcome_; }

private:
    DriverOutcome const outcome_;
};

struct Type {
    char const* name;
    DriverPtr (*make)(ResourceSpec const&, DriverContext);
};
constexpr Type types[] = {
    {"disk", make_disk_driver},
    {"dummy", make_dummy_driver},
    {"file-share", make_file_share_driver},
    {"filesystem", make_filesystem_driver},
    {"ip-address", make_ip_address_driver},
    {"network-name", make_network_name_driver},
    {"ocf", make_ocf_driver},
    {"print-queue", make_print_queue_driver},
    {"process", make_process_driver},
    {"route", make_route_driver},
    {"script", make_script_driver},
    {"service", make_service_driver},
};

}  // namespace

DriverPtr make_driver(ResourceSpec const& resource, DriverContext context) {
    for (Type const& t : types)
        if (resource.type == t.name) return t.make(resource, std::move(context));
    return std::make_unique<Unknown>(resource);
}

}  // namespace clusterd
