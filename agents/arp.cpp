// See arp.hpp.
#include "agents/arp.hpp"

#include "clusterd/address/neighbours.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

namespace clusterd {
namespace {

class Arp final : public Agent {
public:
    explicit Arp(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        address_ = attributes.text("address");
        interface_ = attributes.text("interface");
    }

    CheckOutcome check(Instant deadline) override {
        auto const address = parse_address(address_);
        if (!address) return {Health::unknown, address_ + ": not an address to ask for"};
        auto const link = net::find_link(interface_);
        if (!link) return {Health::unknown, fmt::format("{}: {}", interface_, link.error())};
        if (!*link) return {Health::unknown, fmt::format("there is no interface {} on this node", interface_)};
        if (!(*link)->up || !(*link)->carrier)
            return {Health::failed, fmt::format("{}: interface {} {}", address_, interface_, (*link)->up ? "has no carrier" : "is down")};
        if (!(*link)->resolves) return {Health::unknown, fmt::format("interface {} has no neighbours to ask", interface_)};
        auto const holder = net::who_else_has(*address, **link, std::chrono::milliseconds(ms_left(deadline)));
        if (!holder) return {Health::unknown, fmt::format("{}: {}", address_, holder.error())};
        if (!*holder) return {Health::failed, fmt::format("{}: nobody on {} says that he has it", address_, interface_)};
        return {Health::ok, fmt::format("{}: is at {}", address_, net::format_mac(**holder))};
    }

private:
    std::string address_, interface_;
};

}  // namespace

AgentPtr make_arp_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Arp>(health);
}

}  // namespace clusterd
