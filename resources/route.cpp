// See route.hpp.
#include "resources/route.hpp"

#include "clusterd/address/netlink.hpp"
#include "clusterd/address/routes.hpp"
#include "resources/attributes.hpp"
#include "resources/route_watch.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace clusterd {
namespace {

class RouteDriver final : public Driver {
public:
    RouteDriver(ResourceSpec const& resource, DriverContext context) : name_(resource.name), context_(std::move(context)) {
        Attributes const attributes(resource.attributes);
        text_ = attributes.text("destination");
        interface_ = attributes.text("interface");
        if (auto const to = parse_network(text_))
            wanted_.to = *to;
        else
            broken_ = say(to.error());  // config/ has refused it before
        if (auto const gateway = parse_gateway(attributes.text("gateway"))) wanted_.gateway = *gateway;
        if (auto const source = parse_address(attributes.text("source"))) wanted_.source = *source;
        wanted_.metric = static_cast<std::uint32_t>(parse_integer_or(attributes.text("metric"), wanted_.to.address.v6 ? 1024 : 0));
        wanted_.table = static_cast<std::uint32_t>(parse_integer_or(attributes.text("table"), 254));
    }
    ~RouteDriver() override { watch_.end(); }

    DriverOutcome probe(Instant) override {
        watch_.end();
        DriverOutcome const outcome = look();
        return outcome.state == ResourceState::online ? watch() : outcome;
    }

    DriverOutcome start(Instant) override {
        watch_.end();
        if (!broken_.empty()) return {ResourceState::failed, broken_, false};
        DriverOutcome const before = look();
        if (before.state == ResourceState::online) return watch();
        if (before.state != ResourceState::offline) return {ResourceState::failed, before.message, before.restart_here};
        net::Route route = wanted_;
        if (!interface_.empty()) {
            auto const link = net::find_link(interface_);
            if (!link) return {ResourceState::failed, say(link.error()), true};
            if (auto const why = unfit(*link); !why.empty()) return {ResourceState::failed, say(why), false};
            route.link = (*link)->index;
        }
        if (auto const added = net::add_route(route); !added) return {ResourceState::failed, say(added.error()), true};
        DriverOutcome const after = look();
        if (after.state != ResourceState::online) return {ResourceState::failed, after.state == ResourceState::offline ? say("it was gone at once after it had been added") : after.message, true};
        return watch();
    }

    // All of the cluster's to that network with that metric: also one that was changed.
    DriverOutcome stop(Instant) override {
        watch_.end();
        if (!broken_.empty()) return {ResourceState::offline, {}, true};  // nothing could ever be started
        std::string errors;
        for (int attempt = 0; attempt < 3; ++attempt) {
            auto const stand = standing();
            if (!stand) return {ResourceState::unknown, say(stand.error()), true};
            if (stand->empty()) return {ResourceState::offline, {}, true};
            for (net::Route const& route : *stand)
                if (auto const removed = net::remove_route(route); !removed) errors = ": " + removed.error();
        }
        return {ResourceState::failed, say("it still stands" + errors), true};
    }

private:
    static std::int64_t parse_integer_or(std::string const& text, std::int64_t fallback) {
        auto const n = parse_integer(text);
        return n ? *n : fallback;
    }
    std::string say(std::string const& what) const { return fmt::format("route to {}: {}", text_, what); }

    Result<std::vector<net::Route>> standing() const {
        auto found = net::find_routes(wanted_.to, wanted_.table);
        if (found) std::erase_if(*found, [this](net::Route const& r) { return r.metric != wanted_.metric; });
        return found;
    }

    static std::string unfit(std::optional<net::Link> const& link) {
        if (!link) return "its interface isn't there on this node";
        if (!link->up) return fmt::format("interface {} is down; set it up", link->name);
        if (!link->carrier) return fmt::format("interface {} has no carrier; look at cable and switch", link->name);
        return {};
    }

    DriverOutcome look() const {
        if (!broken_.empty()) return {ResourceState::failed, broken_, false};
        auto const stand = standing();
        if (!stand) return {ResourceState::unknown, say(stand.error()), true};
        if (stand->empty()) return {ResourceState::offline, {}, true};
        net::Route const& route = stand->front();
        std::string const device = net::link_name(route.link);
        if (route.gateway != wanted_.gateway || route.source != wanted_.source || (!interface_.empty() && device != interface_))
            return {ResourceState::failed, say(fmt::format("stands as {}; take this resource offline, which takes it off", net::format_route(route))), true};
        auto const link = net::find_link(device);
        if (!link) return {ResourceState::unknown, say(link.error()), true};
        if (auto const why = unfit(*link); !why.empty()) return {ResourceState::failed, say(why), false};
        return {ResourceState::online, {}, true};
    }

    // Why it isn't there any more.
    DriverOutcome lost() const {
        if (!interface_.empty()) {
            auto const link = net::find_link(interface_);
            if (link)
                if (auto const why = unfit(*link); !why.empty()) return {ResourceState::failed, say(why), false};
        }
        if (wanted_.source) {
            auto const stands = net::find_address(*wanted_.source);
            if (stands && stands->empty()) return {ResourceState::failed, say(fmt::format("it went with its source address {}", format_address(*wanted_.source))), true};
        }
        return {ResourceState::failed, say("it was removed by someone else, or with its interface or gateway's network"), true};
    }

    // Listens first and looks then: what is removed in between is seen by one of the two.
    DriverOutcome watch() {
        auto const begun = watch_.begin(wanted_.to.address.v6, [this] {
            DriverOutcome outcome = look();
            if (outcome.state == ResourceState::online || outcome.state == ResourceState::unknown) return true;  // unknown: the next event tells
            if (outcome.state == ResourceState::offline) outcome = lost();
            context_.changed(std::move(outcome));
            return false;
        });
        if (!begun) return {ResourceState::failed, say(begun.error()), true};
        return {ResourceState::online, {}, true};
    }

    std::string const name_;
    DriverContext const context_;
    std::string text_, interface_, broken_;
    net::Route wanted_;
    RouteWatch watch_;
};

}  // namespace

DriverPtr make_route_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<RouteDriver>(resource, std::move(context));
}

}  // namespace clusterd
