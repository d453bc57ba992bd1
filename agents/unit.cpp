// See unit.hpp.
#include "agents/unit.hpp"

#include "resources/attributes.hpp"
#include "resources/systemd_manager.hpp"

#include <fmt/format.h>

namespace clusterd {
namespace {

class Unit final : public Agent {
public:
    explicit Unit(HealthSpec const& health) : unit_(Attributes(health.attributes).text("unit")) {}

    CheckOutcome check(Instant deadline) override {
        auto const bus = SystemdManager::connect(deadline);
        if (!bus) return {Health::unknown, bus.error()};
        auto const state = (*bus)->state(unit_);
        if (!state) return {Health::unknown, state.error()};
        std::string const seen = fmt::format("unit {}: {} ({})", unit_, state->active, state->sub);
        if (state->load == "not-found") return {Health::failed, fmt::format("unit {}: there is no such unit on this node", unit_)};
        if (state->active == "active") return {Health::ok, seen};
        // Between two starts of one that ends at once, over and over.
        if (state->sub == "auto-restart") return {Health::failed, fmt::format("{}: it ended ({}) and is to be started again", seen, state->result)};
        if (state->active == "failed") return {Health::failed, fmt::format("{}: {}; see journalctl -u {}", seen, state->result, unit_)};
        if (state->active == "inactive" || state->active == "deactivating") return {Health::failed, seen};
        return {Health::degraded, seen};  // activating, reloading, maintenance
    }

private:
    std::string const unit_;
};

}  // namespace

AgentPtr make_unit_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) { return std::make_unique<Unit>(health); }

}  // namespace clusterd
