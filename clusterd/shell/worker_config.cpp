// The worker's part in a configuration: at its start, and when another one counts. The rooms that look at resources are told, the
// address gate stands where there are addresses, networks are watched, the watchdog is armed. See worker.hpp.
#include "clusterd/shell/worker.hpp"

#include "config/values.hpp"

#include <set>
#include <utility>

namespace clusterd {

namespace {

constexpr Duration least_permit_without_gate = std::chrono::milliseconds(1500);  // an address's lifetime counts in seconds

std::vector<std::string> interfaces_of_addresses(Spec const& spec) {
    std::set<std::string> all;
    for (auto const& g : spec.groups)
        for (auto const& r : g.resources)
            if (auto const it = r.attributes.find("interface"); r.type == "ip-address" && it != r.attributes.end()) all.insert(it->second);
    return {all.begin(), all.end()};
}

}  // namespace

// The rooms that look at resources are told of the configuration that counts now.
void Worker::configured() {
    ConfigPtr const before = std::exchange(shown_config_, node_->config());
    Spec const& spec = node_->spec();
    hosts_->configure(spec);
    addresses_.clear();
    std::vector<std::string> all;
    auto const kept = cluster_addresses();
    for (auto const& a : kept) all.push_back(addresses_[a.resource] = format_address(a.address.address));
    keeper_->configure(kept);
    gate_->add_interfaces(interfaces_of_addresses(spec));
    if (auto const set = gate_->set_addresses(all); !set) note(EventKind::address_gate, Severity::error, "address gate: " + set.error());
    if (!addresses_.empty() && gate_->state() == Gate::State::unopened)
        if (auto const opened = open_gate(); !opened) no_gate_ = opened.error();
    if (shared_) shared_->kill_ns.store(spec.timing.kill.count());
    if (spec.watchdog != watchdog_) arm_watchdog(spec.watchdog);
    if (before && before->spec.networks != spec.networks) loop_.post([this] { watch_networks(); });  // not within a callback of theirs
}

// Once a decision says that the configuration counts, not while it is only the file's.
void Worker::note_revision() {
    DecisionPtr const decision = node_->decision();
    if (!decision || !decision->config || decision->config == recorded_config_ || decision->config != node_->config()) return;
    recorded_config_ = decision->config;
    revisions_->counts(decision->origin, *decision->config);
}

// What a takeover would lack here, whatever is taken over.
std::vector<Lack> Worker::node_lacks() const {
    std::vector<Lack> lacks;
    Status const s = node_->status(loop_.now());
    if (s.quorum.state == QuorumState::failed || s.quorum.state == QuorumState::uninitialised) lacks.push_back({"the quorum disk can't be used: " + s.quorum.message, "without it this node takes nothing over from one that is lost"});
    if (!no_gate_.empty()) lacks.push_back({no_gate_, ""});
    if (!watchdog_problem_.empty()) lacks.push_back({watchdog_problem_, ""});
    if (std::string const error = store_->last_error(); !error.empty()) lacks.push_back({"the state directory can't be written: " + error, ""});
    for (std::size_t i = 0; i < networks_well_.size() && i < node_->spec().networks.size(); ++i)
        if (!networks_well_[i]) lacks.push_back({"network " + node_->spec().networks[i].name + " is down", "its cable, switch port, and the address that it pings"});
    return lacks;
}

void Worker::watch_networks() {
    networks_well_.assign(node_->spec().networks.size(), 1);
    networks_ = std::make_unique<Networks>(loop_, node_->spec().networks,
                                           Networks::Callbacks{[this](int network, bool well, std::string message) {
                                                                   auto& was = networks_well_.at(static_cast<std::size_t>(network));
                                                                   bool const back = well && !was;
                                                                   was = well;
                                                                   happen(event::NetworkState{network, well, std::move(message)});
                                                                   if (back) keeper_->healed();
                                                               },
                                                               [this](Severity s, std::string m) { note(EventKind::network_down, s, m); }});
}

// A guard that went on has it still, and says so again.
void Worker::arm_watchdog(WatchdogSpec const& wanted) {
    watchdog_ = wanted;
    watchdog_problem_.clear();
    watchdog_seconds_ = 0;
    auto const armed = guard_->watchdog(wanted.device, static_cast<int>(wanted.timeout / std::chrono::seconds(1)));
    if (armed) {
        watchdog_seconds_ = *armed;
    } else {
        watchdog_problem_ = "the watchdog is not armed: " + armed.error();
        note(EventKind::watchdog, Severity::warning, watchdog_problem_);
    }
}

std::vector<AddressKeeper::Address> Worker::cluster_addresses() const {
    std::vector<AddressKeeper::Address> all;
    for (auto const& g : node_->spec().groups)
        for (auto const& r : g.resources) {
            auto const text = [&](char const* name) {
                auto const it = r.attributes.find(name);
                return it == r.attributes.end() ? std::string() : it->second;
            };
            auto const address = parse_address_prefix(text("address"));
            if (r.type == "ip-address" && address) all.push_back({g.name, r.name, *address, text("interface"), text("probe-conflict") != "no"});
        }
    return all;
}

// Without it nothing silences an address when all processes of ours are frozen, but its own lifetime, where the permit is long enough for
// one (docs/protocol.md, "The address gate").
Result<Done> Worker::open_gate() {
    auto const opened = gate_->open();
    if (opened) return Done{};
    if (node_->spec().timing.permit < least_permit_without_gate)
        return Error{"ip-address resources need the address gate, for the permit is shorter than 1500 ms: " + opened.error() +
                     ". Install nftables, or use <timing profile=\"wan\"/> or permit=\"1500ms\" or more, on both nodes"};
    hosts_->no_gate();
    note(EventKind::address_gate, Severity::warning, opened.error() + ". Its addresses are taken off by the kernel at the permit's end (valid_lft)");
    return Done{};
}

// What stands at a clean start was left by one that had no time to take it off, also where its run directory is lost.
Result<Done> Worker::sweep() {
    if (resumed_) return Done{};
    auto const swept = sweep_addresses(cluster_addresses());
    if (!swept) return Error{swept.error()};
    for (auto const& s : *swept) note(EventKind::start_warning, Severity::warning, s);
    return Done{};
}

}  // namespace clusterd
