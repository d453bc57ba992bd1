// Which resource lives in which agent host, and what their answers mean to the core. See hosts.hpp.
#include "clusterd/hosts/hosts.hpp"

#include "clusterd/hosts/connection.hpp"
#include "config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace clusterd {

using hosts::Connection;
using hosts::InFlight;

namespace {

constexpr Duration own_probe_timeout = std::chrono::seconds(30);
constexpr Duration announcing = std::chrono::seconds(30);  // so long after a start a host may still announce addresses
constexpr Duration announcing_again = std::chrono::seconds(3);
// Lifetimes are whole seconds, and end up to 250 ms late: with a shorter permit they would be no second line behind the gate.
constexpr Duration least_permit_for_lifetimes = std::chrono::milliseconds(1500);

std::string drivers_host(ResourceSpec const& r) {
    return r.isolate ? "r-" + r.name : "drivers";
}
std::string checks_host(ResourceSpec const& r) {
    return r.isolate ? "r-" + r.name : "checks";
}

event::ResourceChanged changed(std::string resource, std::uint64_t action, host::State const& s) {
    return {std::move(resource), action, s.state, s.message, s.restart_here};
}

}  // namespace

struct Hosts::Impl : std::enable_shared_from_this<Hosts::Impl> {
    Loop& loop;
    GuardClient& guard;
    std::function<void(Event)> deliver;
    // Unique over workers: boot time in nanoseconds. An answer to a worker before us finds no ticket here.
    std::uint64_t const session;
    std::uint64_t last_ticket;
    struct Resource {
        ResourceSpec spec;
        std::optional<host::State> known;  // as last told by its driver
        bool checked = false;
    };
    std::map<std::string, Resource> resources;
    std::map<std::string, std::unique_ptr<Connection>> connections;
    Instant permit_end = long_ago;
    Duration permit_length{0};
    bool gate = true;
    Instant lifetimes_told = long_ago;

    bool lifetimes() const { return permit_length >= least_permit_for_lifetimes; }

    // An ip-address driver is told how long permits last where its address is to have a lifetime (resources/ip_address.hpp).
    host::Configure told(ResourceSpec r) const {
        if (r.type == "ip-address" && lifetimes()) {
            r.attributes["permit"] = format_duration(permit_length);
            if (!gate) r.attributes["gate"] = "no";
        }
        return {std::move(r)};
    }

    void tell_addresses_again() {
        for (auto const& [name, r] : resources) {
            if (r.spec.type != "ip-address") continue;
            auto& c = connection(drivers_host(r.spec));
            c.send(told(r.spec));
            probe_again(c, name, r);
        }
    }

    Impl(Loop& l, GuardClient& g, std::function<void(Event)> d)
        : loop(l), guard(g), deliver(std::move(d)), session(static_cast<std::uint64_t>(l.now().mono.ns)), last_ticket(session) {}

    void tell_later(Event event) {
        loop.post([self = weak_from_this(), event = std::move(event)] {
            if (auto const impl = self.lock()) impl->deliver(event);
        });
    }

    Connection& connection(std::string const& name) {
        auto& c = connections[name];
        if (!c) {
            c = std::make_unique<Connection>(
                name, loop, guard, session,
                Connection::Callbacks{
                    [this](Connection& to) { connected(to); }, [this](Connection& from, host::Message& m) { received(from, m); },
                    [this](Connection& in, InFlight const& a, std::string const& why) { abandoned(in, a, why); },
                    [this, name](std::vector<std::string> const& in, std::string const& why) { left_hanging(name, in, why); }});
        }
        return *c;
    }

    // A host just met knows nothing, or what a worker before us told it.
    void connected(Connection& c) {
        for (auto& [name, r] : resources) {
            bool const drives = drivers_host(r.spec) == c.name(),
                       checks = checks_host(r.spec) == c.name() && !r.spec.health.empty();
            if (drives || checks) c.send(told(r.spec));
            if (checks) c.send(host::Checks{name, r.checked});
            if (drives) probe_again(c, name, r);
        }
        c.send(host::Permit{permit_end});
    }

    // A new host watches nothing until it has probed. What is unknown the core finds out itself.
    void probe_again(Connection& c, std::string const& name, Resource const& r) {
        if (!r.known || r.known->state == ResourceState::offline || r.known->state == ResourceState::unknown) return;
        if (hanging.contains(name)) return;
        for (auto const& [ticket, action] : c.in_flight())
            if (action.resource == name) return;  // that will tell
        c.ask(++last_ticket, {name, ActionKind::probe, 0, own_probe_timeout, {}, false});
    }

    void received(Connection& c, host::Message& message) {
        if (auto* done = std::get_if<host::ActionDone>(&message))
            action_done(c, *done);
        else if (auto* busy = std::get_if<host::Busy>(&message))
            c.awaits(busy->ticket, {busy->resource, busy->kind, 0, busy->left, {}, true});
        else if (auto* seen = std::get_if<host::Changed>(&message))
            noticed(seen->resource, std::move(seen->outcome));
        else if (auto* lacks = std::get_if<host::Looked>(&message)) {
            if (looked) looked(lacks->resource, std::move(lacks->lacks));
        } else if (auto* health = std::get_if<host::HealthSeen>(&message)) {
            auto const it = resources.find(health->resource);
            if (it == resources.end() || !it->second.checked || health->check >= it->second.spec.health.size()) return;
            deliver(event::HealthResult{health->resource, static_cast<int>(health->check), health->result, health->latency,
                                        std::move(health->message)});
        }
    }

    void action_done(Connection& c, host::ActionDone& done) {
        InFlight was;
        if (!c.finish(done.ticket, was)) return;
        if (was.kind == ActionKind::start) c.announcing_until = loop.now().mono + announcing;
        if (was.kind == ActionKind::prepare) return;
        auto const it = resources.find(was.resource);
        bool const news = it == resources.end() || it->second.known != done.outcome;
        if (it != resources.end()) it->second.known = done.outcome;
        if (was.action != 0 || news) deliver(changed(was.resource, was.action, done.outcome));
    }

    void noticed(std::string const& resource, host::State state) {
        auto const it = resources.find(resource);
        if (it == resources.end()) return;  // of a configuration that no longer counts
        it->second.known = state;
        deliver(changed(resource, 0, state));
    }

    void abandoned(Connection& c, InFlight const& a, std::string const& why) {
        if (a.kind == ActionKind::start) c.announcing_until = loop.now().mono;
        if (a.kind == ActionKind::prepare) return;
        if (auto const it = resources.find(a.resource); it != resources.end())
            it->second.known = host::State{ResourceState::unknown, why, true};
        deliver(event::ResourceChanged{a.resource, a.action, ResourceState::unknown, why, true});
    }

    // Another host takes the place of one that can't be killed. Of what hangs in the old one nothing is asked until that has ended: what was begun
    // there could still come about, and to ask again would make the next one hang.
    void left_hanging(std::string const& host_name, std::vector<std::string> const& in, std::string const& why) {
        if (host_name.starts_with("r-")) return;  // has no other in its place
        for (std::string const& resource : in) hanging[resource] = {host_name, why};
    }
    void ended(std::string const& host_name) {
        std::size_t const tilde = host_name.find('~');  // as the guard calls one that was left behind
        if (tilde == std::string::npos) return;
        std::erase_if(hanging, [&](auto const& each) { return each.second.host == host_name.substr(0, tilde); });
    }
    struct Hanging {
        std::string host, why;
    };
    std::map<std::string, Hanging> hanging;
    std::function<void(std::string const&, std::vector<Lack>)> looked;

    void forget(std::string const& resource, std::string const& host_name) {
        auto const it = connections.find(host_name);
        if (it != connections.end()) it->second->send(host::Forget{resource});
    }

    void change(Resource& old, ResourceSpec const& now) {
        ResourceSpec const before = std::exchange(old.spec, now);
        for (auto const& [was, is] :
             {std::pair(drivers_host(before), drivers_host(now)), std::pair(checks_host(before), checks_host(now))})
            if (was != is) forget(now.name, was);
        auto& drivers = connection(drivers_host(now));
        drivers.send(told(now));
        if (before.type != now.type || before.attributes != now.attributes || before.isolate != now.isolate)
            probe_again(drivers, now.name, old);
        if (before.health.empty() && now.health.empty()) return;
        auto& checks = connection(checks_host(now));
        if (&checks != &drivers) checks.send(told(now));
        checks.send(host::Checks{now.name, old.checked});
    }

    void configure(Spec const& spec) {
        bool const other_permit = std::exchange(permit_length, spec.timing.permit) != spec.timing.permit;
        std::map<std::string, ResourceSpec const*> wanted;
        std::set<std::string> needed;
        for (GroupSpec const& g : spec.groups) {
            for (ResourceSpec const& r : g.resources) {
                wanted[r.name] = &r;
                needed.insert(drivers_host(r));
                if (!r.health.empty()) needed.insert(checks_host(r));
            }
        }
        for (auto it = resources.begin(); it != resources.end();) {
            if (wanted.contains(it->first)) {
                ++it;
                continue;
            }
            forget(it->first, drivers_host(it->second.spec));
            forget(it->first, checks_host(it->second.spec));
            hanging.erase(it->first);
            it = resources.erase(it);
        }
        for (auto const& [name, r] : wanted) {
            auto const it = resources.find(name);
            if (it == resources.end())
                introduce(*r);
            else if (!(it->second.spec == *r))
                change(it->second, *r);
        }
        if (other_permit) tell_addresses_again();
        for (std::string const& name : needed) connection(name).open();
        end_unneeded(needed);
    }

    void introduce(ResourceSpec const& r) {
        resources[r.name].spec = r;
        connection(drivers_host(r)).send(told(r));
        if (!r.health.empty() && !r.isolate) connection(checks_host(r)).send(told(r));
    }

    // Hosts of resources that were isolated. The two common ones stay: they cost little.
    void end_unneeded(std::set<std::string> const& needed) {
        for (auto it = connections.begin(); it != connections.end();) {
            if (needed.contains(it->first) || !it->first.starts_with("r-") || !it->second->in_flight().empty()) {
                ++it;
                continue;
            }
            // Ends in a thread of its own, for it may take a while; nothing waits for it.
            it->second->retire();
            retired.push_back(std::move(it->second));
            it = connections.erase(it);
        }
        std::erase_if(retired, [](auto const& c) { return c->retired(); });
    }
    std::vector<std::unique_ptr<Connection>> retired;

    void perform(effect::ResourceAction const& a) {
        auto const it = resources.find(a.resource);
        if (it == resources.end()) {
            if (a.kind != ActionKind::prepare) {
                tell_later(event::ResourceChanged{a.resource, a.action, ResourceState::unknown,
                                                  "resource " + a.resource + " isn't in the configuration", false});
            }
            return;
        }
        if (auto const h = hanging.find(a.resource); h != hanging.end()) {
            if (a.kind != ActionKind::prepare)
                tell_later(event::ResourceChanged{a.resource, a.action, ResourceState::unknown,
                                                  fmt::format("{}; the state of {} is found out once that has ended", h->second.why, a.resource), true});
            return;
        }
        Connection& c = connection(drivers_host(it->second.spec));
        if (a.kind == ActionKind::start) {
            c.announcing_until = forever;
            c.send(host::Permit{permit_end});
        }
        c.ask(++last_ticket, {a.resource, a.kind, a.action, a.timeout, {}, false});
    }

    void perform(effect::Checks const& c) {
        auto const it = resources.find(c.resource);
        if (it == resources.end() || it->second.spec.health.empty() || it->second.checked == c.run) return;
        it->second.checked = c.run;
        Connection& host = connection(checks_host(it->second.spec));
        host.open();
        host.send(host::Checks{c.resource, c.run});
    }

    void perform(effect::Permit const& p) {
        permit_end = p.end;
        Instant const now = loop.now().mono;
        // Without a gate a lifetime must fit into what is left of the permit, so the newest is needed; else every P/4 will do.
        bool const renew = lifetimes() && (!gate || now - lifetimes_told >= permit_length / 4 || p.end <= now);
        if (renew) lifetimes_told = now;
        std::set<std::string> with_addresses;
        if (renew)
            for (auto const& [name, r] : resources)
                if (r.spec.type == "ip-address" && r.known && r.known->state == ResourceState::online) with_addresses.insert(drivers_host(r.spec));
        for (auto const& [name, c] : connections)
            if (c->announcing_until > now || with_addresses.contains(name)) c->send(host::Permit{p.end});
    }

    void announce(std::string const& resource, int times) {
        auto const it = resources.find(resource);
        if (it == resources.end()) return;
        Connection& c = connection(drivers_host(it->second.spec));
        c.send(host::Permit{permit_end});
        c.send(host::Announce{resource, static_cast<std::uint32_t>(times)});
        if (times > 1) c.announcing_until = std::max(c.announcing_until, loop.now().mono + announcing_again);
    }
};

Hosts::Hosts(Loop& loop, GuardClient& guard, std::function<void(Event)> deliver)
    : impl_(std::make_shared<Impl>(loop, guard, std::move(deliver))) {}
Hosts::~Hosts() = default;

void Hosts::configure(Spec const& spec) {
    impl_->configure(spec);
}
void Hosts::perform(effect::ResourceAction const& action) {
    impl_->perform(action);
}
void Hosts::perform(effect::Checks const& checks) {
    impl_->perform(checks);
}
void Hosts::perform(effect::Permit const& permit) {
    impl_->perform(permit);
}

void Hosts::announce(std::string const& resource, int times) {
    impl_->announce(resource, times);
}
void Hosts::look(std::string const& resource, std::vector<std::string> elsewhere) {
    auto const it = impl_->resources.find(resource);
    if (it != impl_->resources.end()) impl_->connection(drivers_host(it->second.spec)).send(host::Look{resource, std::move(elsewhere)});
}
void Hosts::on_looked(std::function<void(std::string const&, std::vector<Lack>)> looked) {
    impl_->looked = std::move(looked);
}
void Hosts::no_gate() {
    impl_->gate = false;
    impl_->tell_addresses_again();
}

void Hosts::host_gone(std::string const& name) {
    impl_->ended(name);
    auto const it = impl_->connections.find(name);
    if (it != impl_->connections.end()) it->second->look_if_gone();
}

std::vector<Hosts::HostState> Hosts::states() const {
    std::vector<HostState> all;
    for (auto const& [name, c] : impl_->connections)
        all.push_back({name, c->connected(), static_cast<int>(c->in_flight().size()), c->kills(), c->ends()});
    return all;
}

}  // namespace clusterd
