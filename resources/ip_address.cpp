// Puts an address on an interface, watches it and takes it off. See ip_address.hpp.
#include "resources/ip_address.hpp"

#include "clusterd/guard/client/client.hpp"
#include "resources/address_watch.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "clusterd/address/neighbours.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <thread>

namespace clusterd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds probe_patience{200};  // ahead of a takeover, while the peer's permit runs out: costs nothing
constexpr milliseconds start_patience{50};   // where nobody looked ahead: clients are waiting
constexpr milliseconds permit_patience{1000};  // for a permit with enough left for a lifetime
constexpr Duration probe_keeps = std::chrono::seconds(2);  // what prepare() found out counts so long

// Without it, removing the first address of a network removes the others of that network with it.
void keep_secondaries(std::string const& interface) {
    int const fd = open(("/proc/sys/net/ipv4/conf/" + interface + "/promote_secondaries").c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    [[maybe_unused]] ssize_t const n = write(fd, "1", 1);  // a read-only /proc (a container): as it was
    close(fd);
}

class IpAddressDriver final : public Driver {
public:
    IpAddressDriver(ResourceSpec const& resource, DriverContext context) : name_(resource.name), context_(std::move(context)) {
        Attributes const attributes(resource.attributes);
        text_ = attributes.text("address");
        interface_ = attributes.text("interface");
        announcements_ = std::clamp(attributes.number("announce", 5), 0, 100);
        ask_neighbours_ = attributes.yes("probe-conflict", true);
        auto const permit = parse_duration(attributes.text("permit"));
        if (permit && context_.permit_end)
            lifetime_ = {.renew_every = *permit / 4, .alone = !attributes.yes("gate", true), .permit_end = context_.permit_end};
        if (auto prefix = parse_address_prefix(text_))
            wanted_ = *prefix;
        else
            broken_ = prefix.error();
    }

    ~IpAddressDriver() override { end_watch(); }

    DriverOutcome probe(Instant) override {
        if (!broken_.empty()) return {ResourceState::failed, broken_, false};
        auto const stands = net::find_address(wanted_.address);
        if (!stands) return unknown(stands.error());
        if (stands->empty()) {
            end_watch();
            return {ResourceState::offline, {}, true};
        }
        auto const link = net::find_link(interface_);
        if (!link) return unknown(link.error());
        if (auto const wrong = misplaced(*stands, *link); !wrong.empty()) return {ResourceState::failed, wrong, true};
        if (auto const why = unfit(*link); !why.empty()) return {ResourceState::failed, why, false};
        // Known to the guard in any case: an emergency stop may have forgotten it, and whoever put it there may be gone.
        [[maybe_unused]] auto const owned = context_.guard.own_address(name_, text_, interface_);
        return watch(**link, 0, has_lifetime(stands->front()));
    }

    void announce(int times) override {
        if (watching_) watch_->announce_again(watching_, times);
    }

    void prepare(Instant deadline) override {
        auto const link = broken_.empty() ? net::find_link(interface_) : Result<std::optional<net::Link>>(Error{broken_});
        if (!ask_neighbours_ || !link || !unfit(*link).empty()) return;
        auto const stands = net::find_address(wanted_.address);
        if (!stands || !stands->empty()) return;
        // Only "nobody answers" is remembered: the node we take over from may rightly have answered until its permit ended.
        auto const other = net::who_else_has(wanted_.address, **link, patience(probe_patience, deadline));
        if (other && !*other) free_at_ = boot_now();
    }

    DriverOutcome start(Instant deadline) override {
        if (!broken_.empty()) return {ResourceState::failed, broken_, false};
        auto const link = net::find_link(interface_);
        if (!link) return failed(link.error());
        if (auto const why = unfit(*link); !why.empty()) return {ResourceState::failed, why, false};
        auto const stands = net::find_address(wanted_.address);
        if (!stands) return failed(stands.error());
        if (auto const wrong = misplaced(*stands, *link); !wrong.empty()) return {ResourceState::failed, wrong, true};
        if (stands->empty()) {
            if (ask_neighbours_ && boot_now() - free_at_ > probe_keeps) {
                auto const other = net::who_else_has(wanted_.address, **link, patience(start_patience, deadline));
                if (!other) return failed(other.error());
                if (*other)
                    return failed(fmt::format("another machine, {}, answers for it on {}; take it off there",
                                              net::format_mac(**other), interface_));
            }
        }
        free_at_ = long_ago;
        // Named to the guard also where it stands already: an earlier host may have died in between.
        if (auto const owned = context_.guard.own_address(name_, text_, interface_); !owned)
            return failed("the guard can't remember it: " + owned.error());
        if (stands->empty()) {
            keep_secondaries(interface_);
            std::uint32_t const lifetime = first_lifetime(deadline);
            if (lifetime == 0 && lifetime_.renew_every.count() > 0) return failed("too little is left of the permit to put it online");
            if (auto const added = net::add_address(wanted_.address, wanted_.length, (*link)->index, lifetime); !added)
                return failed(added.error());
        }
        return watch(**link, announcements_, stands->empty() || has_lifetime(stands->front()));
    }

    // From wherever it stands: an address of the cluster may not be on this node while it is offline here.
    DriverOutcome stop(Instant) override {
        if (!broken_.empty()) return {ResourceState::offline, {}, true};  // nothing could ever be started
        end_watch();
        free_at_ = long_ago;
        auto const stands = net::find_address(wanted_.address);
        if (!stands) return unknown(stands.error());
        std::string errors;
        for (net::AddressOnLink const& a : *stands) {
            keep_secondaries(net::link_name(a.link));
            auto const removed = net::remove_address(wanted_.address, a.prefix, a.link);
            if (!removed) errors += fmt::format("{}{}: {}", errors.empty() ? "" : "; ", net::link_name(a.link), removed.error());
        }
        auto const left = net::find_address(wanted_.address);
        if (!left) return unknown(left.error());
        if (!left->empty())
            return failed(fmt::format("still stands on {} ({})", net::link_name(left->front().link),
                                      errors.empty() ? "someone adds it again" : errors));
        // A record too many costs nothing: the sweep finds nothing to remove.
        [[maybe_unused]] auto const disowned = context_.guard.disown_address(name_, text_, interface_);
        return {ResourceState::offline, {}, true};
    }

private:
    DriverOutcome failed(std::string const& why) const { return {ResourceState::failed, fmt::format("{}: {}", text_, why), true}; }
    DriverOutcome unknown(std::string const& why) const {
        return {ResourceState::unknown, fmt::format("{}: {}", text_, why), true};
    }

    static milliseconds patience(milliseconds most, Instant deadline) {
        return deadline == forever ? most : std::min(most, milliseconds(ms_left(deadline)));
    }

    // May be renewed? An IPv6 address that was added to last is left so: giving it a lifetime now would give one to the network's route,
    // too, which the node's own address needs.
    bool has_lifetime(net::AddressOnLink const& stands) const { return !wanted_.address.v6 || !stands.lasts; }

    // In seconds, from its first moment on; 0: none. Waits for a fresh permit where what is known of it is too short.
    std::uint32_t first_lifetime(Instant deadline) const {
        if (lifetime_.renew_every.count() == 0) return 0;
        Instant const until = boot_now() + patience(permit_patience, deadline);
        for (;;) {
            std::uint32_t const seconds = net::lifetime_for(lifetime_.permit_end() - boot_now(), lifetime_.alone);
            if (seconds > 0 || boot_now() >= until) return seconds;
            std::this_thread::sleep_for(milliseconds(5));
        }
    }

    // Why the interface can't carry it; empty: it can.
    std::string unfit(std::optional<net::Link> const& link) const {
        if (!link) return fmt::format("{}: interface {} isn't there on this node", text_, interface_);
        if (!link->up) return fmt::format("{}: interface {} is down; set it up", text_, interface_);
        if (!link->carrier) return fmt::format("{}: interface {} has no carrier; look at cable and switch", text_, interface_);
        return {};
    }

    // Where it stands but not as asked for; empty: it stands nowhere or rightly.
    std::string misplaced(std::vector<net::AddressOnLink> const& stands, std::optional<net::Link> const& link) const {
        for (net::AddressOnLink const& a : stands) {
            if (link && a.link == link->index && a.prefix == wanted_.length) continue;
            return fmt::format(
                "{}: stands on {} as /{}, not on {} as /{}; take it off there, or take this resource offline, which does so", text_,
                net::link_name(a.link), a.prefix, interface_, wanted_.length);
        }
        return {};
    }

    // Watches first and looks then: what is removed in between is seen by one of the two.
    DriverOutcome watch(net::Link const& link, int announcements, bool with_lifetime) {
        if (watching_ && announcements == 0) return {ResourceState::online, {}, true};
        end_watch();
        auto shared = net::AddressWatch::shared();
        if (!shared) return failed(shared.error());
        watch_ = *shared;
        auto lost = [changed = context_.changed, text = text_](std::string why, bool restart_here) {
            changed({ResourceState::failed, fmt::format("{}: {}", text, why), restart_here});
        };
        watching_ = watch_->watch({wanted_.address, wanted_.length, link, std::move(lost), announcements, context_.may_announce,
                                   with_lifetime ? lifetime_ : net::Lifetime{}});
        auto const stands = net::find_address(wanted_.address);
        if (!stands) return unknown(stands.error());
        if (!stands->empty()) return {ResourceState::online, {}, true};
        end_watch();
        return failed("it was gone at once after it had been added; does another program manage the interface?");
    }

    void end_watch() {
        if (watching_) watch_->forget(watching_);
        watching_ = 0;
        watch_.reset();
    }

    std::string const name_;
    DriverContext const context_;
    std::string text_, interface_;
    int announcements_ = 0;
    bool ask_neighbours_ = true;
    net::Lifetime lifetime_;
    IpPrefix wanted_;
    std::string broken_;  // why the address can't be read; config/ has refused it before
    std::shared_ptr<net::AddressWatch> watch_;
    std::uint64_t watching_ = 0;  // 0 = not
    Instant free_at_ = long_ago;  // when prepare() last heard nobody
};

}  // namespace

DriverPtr make_ip_address_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<IpAddressDriver>(resource, std::move(context));
}

}  // namespace clusterd
