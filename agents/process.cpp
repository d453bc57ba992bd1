// Counts a resource's processes. See process.hpp.
#include "agents/process.hpp"

#include "clusterd/guard/client/client.hpp"
#include "resources/attributes.hpp"

#include <fmt/format.h>

#include <climits>

namespace clusterd {
namespace {

class Process final : public Agent {
public:
    Process(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard) : resource_(resource.name), guard_(guard) {
        Attributes const attributes(health.attributes);
        min_ = attributes.number("min", 1);
        max_ = attributes.number("max", INT_MAX);
    }

    CheckOutcome check(Instant) override {
        auto const known = guard_.processes(resource_);
        auto const all = guard_.count(resource_);
        if (!known || !all)
            return {Health::unknown,
                    fmt::format("processes of {} can't be counted: {}", resource_, known ? all.error() : known.error())};
        int alive = *all;
        for (ProcessInfo const& p : *known)
            if (p.running && p.role.starts_with("check") && alive > 0) --alive;
        std::string const seen = fmt::format("{} process{} alive", alive, alive == 1 ? "" : "es");
        if (alive < min_) return {Health::failed, fmt::format("{}, at least {} expected", seen, min_)};
        if (alive > max_) return {Health::degraded, fmt::format("{}, at most {} expected", seen, max_)};
        return {Health::ok, seen};
    }

private:
    std::string const resource_;
    GuardClient& guard_;
    int min_ = 1;
    int max_ = INT_MAX;
};

}  // namespace

AgentPtr make_process_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents&) {
    return std::make_unique<Process>(health, resource, guard);
}

}  // namespace clusterd
