// See networks.hpp.
#include "clusterd/link/networks.hpp"

#include "clusterd/link/interfaces.hpp"
#include "clusterd/link/pinger.hpp"

namespace clusterd {
namespace {

struct Network {
    NetworkSpec spec;
    std::unique_ptr<Pinger> pinger;  // null: carrier only
    int interface_index = 0;
    bool carrier = false;
    bool told_unable = false;
    std::optional<bool> told;
};

}  // namespace

struct Networks::Impl {
    Loop& loop;
    Callbacks callbacks;
    Duration every;
    std::vector<std::unique_ptr<Network>> networks;
    std::unique_ptr<Interfaces> interfaces;
    Loop::HandlePtr timer;

    Impl(Loop& l, std::vector<NetworkSpec> const& specs, Callbacks c, Duration e, int misses)
        : loop(l), callbacks(std::move(c)), every(e) {
        for (std::size_t i = 0; i < specs.size(); ++i) {
            auto& network = *networks.emplace_back(std::make_unique<Network>());
            network.spec = specs[i];
            if (specs[i].ping.empty()) continue;
            network.pinger = std::make_unique<Pinger>(loop, specs[i].interface, specs[i].ping, misses, [this, i] { judge(i); });
        }
        if (networks.empty()) return;
        interfaces = std::make_unique<Interfaces>(
            loop, [this] { interfaces_changed(); }, [this](std::string why) { note(std::move(why)); });
        ping_later();
    }

    void note(std::string text) {
        if (callbacks.note) callbacks.note(Severity::warning, std::move(text));
    }

    void ping_later() {
        timer = loop.at(loop.now().mono + every, [this] {
            for (std::size_t i = 0; i < networks.size(); ++i) {
                ping(*networks[i]);
                if (networks[i]->told) judge(i);
            }
            ping_later();
        });
    }

    void ping(Network& n) {
        if (!n.pinger) return;
        n.pinger->ping();
        if (n.pinger->able() || n.told_unable) return;
        n.told_unable = true;
        note("network " + n.spec.name + ": its ping targets can't be pinged, " + n.pinger->why_unable() + "; only the carrier of " +
             n.spec.interface + " counts");
    }

    void interfaces_changed() {
        for (std::size_t i = 0; i < networks.size(); ++i) {
            Network& n = *networks[i];
            auto const interface = interfaces->find(n.spec.interface);
            int const index = interface ? interface->index : 0;
            bool const carrier = interface && interface->enabled && interface->carrier;
            if (n.pinger && index != n.interface_index) n.pinger->restart();
            bool const back = carrier && !n.carrier;
            n.interface_index = index;
            n.carrier = carrier;
            if (back) ping(n);  // without waiting for the next round
            judge(i);
        }
    }

    std::string trouble(Network const& n) const {
        auto const interface = interfaces->find(n.spec.interface);
        if (!interface) return "interface " + n.spec.interface + " doesn't exist";
        if (!interface->enabled)
            return "interface " + n.spec.interface + " is switched off (ip link set " + n.spec.interface + " up)";
        if (!interface->carrier) return "interface " + n.spec.interface + " has no carrier: check its cable and switch";
        if (n.pinger && n.pinger->able() && !n.pinger->any_answers())
            return "no ping target answers on " + n.spec.interface + " (" + n.pinger->target_list() + ")";
        return {};
    }

    void judge(std::size_t i) {
        Network& n = *networks[i];
        std::string const why = trouble(n);
        bool const well = why.empty();
        if (n.told == well) return;
        n.told = well;
        callbacks.changed(static_cast<int>(i), well, "network " + n.spec.name + (well ? " is well" : ": " + why));
    }
};

Networks::Networks(Loop& loop, std::vector<NetworkSpec> const& networks, Callbacks callbacks, Duration every, int misses)
    : impl_(std::make_unique<Impl>(loop, networks, std::move(callbacks), every, misses)) {}
Networks::~Networks() = default;
Networks::Networks(Networks&&) noexcept = default;
Networks& Networks::operator=(Networks&&) noexcept = default;

}  // namespace clusterd
