// The worker: one core, its event queue, and every room that performs effects. The only place where the two meet.
//
// main.cpp makes one, having loaded what may refuse the start. Events come in one at a time; the state to resume from is in shared
// memory before an event's effects are performed; effects are performed in the order the core gave them.
#pragma once

#include "clusterd/address/keeper.hpp"
#include "clusterd/api/api.hpp"
#include "clusterd/core/node.hpp"
#include "clusterd/gate/gate.hpp"
#include "clusterd/guard/client/client.hpp"
#include "clusterd/guard/shared.hpp"
#include "clusterd/hosts/hosts.hpp"
#include "clusterd/link/link.hpp"
#include "clusterd/link/networks.hpp"
#include "clusterd/link/replica.hpp"
#include "clusterd/quorum/quorum.hpp"
#include "clusterd/shell/history.hpp"
#include "clusterd/shell/revisions.hpp"
#include "clusterd/shell/standby.hpp"
#include "clusterd/shell/loop_asio.hpp"
#include "clusterd/shell/options.hpp"
#include "clusterd/store/store.hpp"

#include <deque>
#include <map>
#include <optional>

namespace clusterd {

// What main.cpp has found: everything that could have refused the start.
struct WorkerStart {
    WorkerOptions options;
    StartState node;
    Key key;
    std::unique_ptr<StateStore> store;
    int guard_fd = -1;
    guard::Shared* shared = nullptr;
    std::vector<std::string> warnings;
};

// Makes a configuration of XML, refusing what has errors. Any thread.
Result<ConfigPtr> make_config(std::string xml, std::string const& file_name);

class Worker : private ApiBackend {
public:
    Worker(AsioLoop& loop, WorkerStart start);
    ~Worker() override;
    // Gate and API may refuse the start.
    Result<Done> open();
    void start();                          // the first events
    void persisted(event::Persisted const& e) { happen(e); }  // the store is opened before there is a Worker

private:
    void happen(Event event);
    void handle(Event const& event);
    void perform(Effect const& effect);
    void arm_timer();
    void on_guard(GuardEvent const& e);
    void on_resource(event::ResourceChanged const& e);
    void permit(Instant end);
    void emergency();
    void configured();
    void note_revision();
    std::vector<Lack> node_lacks() const;
    void arm_watchdog(WatchdogSpec const& wanted);
    void watch_networks();
    void heard(int link);
    Result<Done> open_gate();
    Result<Done> sweep();
    std::vector<AddressKeeper::Address> cluster_addresses() const;
    void send_own_macs();
    bool take_macs(std::string const& line);
    void nothing_is_online();
    void record(effect::RecordEvent const& e);
    void note(EventKind kind, Severity severity, std::string const& message);
    void send_own_events();
    ConfigPtr known_config(Hash const& hash) const;
    std::string const* address_of(std::string const& resource) const;

    void do_effect(effect::SendHeartbeat const& e);
    void do_effect(effect::SendSync const& e);
    void do_effect(effect::Persist const& e);
    void do_effect(effect::DiskCycle const& e);
    void do_effect(effect::DiskRead const& e);
    void do_effect(effect::DiskStoreDecision const& e);
    void do_effect(effect::DiskLoadDecisions const& e);
    void do_effect(effect::Permit const& e);
    void do_effect(effect::ResourceAction const& e);
    void do_effect(effect::Checks const& e);
    void do_effect(effect::EmergencyStop const& e);
    void do_effect(effect::RevertConfiguration const& e);
    void do_effect(effect::CommandUpdate const& e);
    void do_effect(effect::RecordEvent const& e);
    void do_effect(effect::RecordFailover const& e);
    void do_effect(effect::Left const& e);

    // ApiBackend
    Status status() override;
    void submit(Command command) override;
    void abandon(std::string const& id) override;
    std::vector<EventRecord> events(std::string const& after_id, std::size_t limit) override;
    std::vector<FailoverRecord> failovers() override;
    TimingInfo timing() override;
    Readinesses readiness() override { return standby_->both(); }
    void look_at_readiness() override { standby_->look_on_both(); }
    std::vector<ConfigRevision> revisions() override { return {revisions_->all().begin(), revisions_->all().end()}; }
    std::optional<PlanAnswer> plan(Command const& command) override;  // worker_plan.cpp
    std::string config_xml() override;
    std::string force_preview() override;
    Result<Done> force() override;

    AsioLoop& loop_;
    WorkerOptions options_;
    Key key_;
    NodeIndex self_;
    std::string name_;
    guard::Shared* shared_;
    std::unique_ptr<StateStore> store_;
    std::unique_ptr<Node> node_;
    ConfigPtr shown_config_;  // the one the rooms were set up with
    std::optional<History> history_;
    Hash unreverted_{};  // of this one it was told that the configuration before it can't be read
    bool planning_ = false;
    std::optional<std::pair<std::string, PlanAnswer>> planned_;  // the question, and its answer until it is fetched
    std::unique_ptr<IoThread> plan_thread_;
    std::unique_ptr<Standby> standby_;
    std::optional<Revisions> revisions_;
    ConfigPtr recorded_config_;  // the newest in revisions_
    std::unique_ptr<GuardClient> guard_;
    std::unique_ptr<Hosts> hosts_;
    std::unique_ptr<Gate> gate_;
    std::unique_ptr<AddressKeeper> keeper_;
    std::unique_ptr<Links> links_;
    std::unique_ptr<Replica> replica_;
    std::unique_ptr<Networks> networks_;
    std::unique_ptr<QuorumDisk> quorum_;
    std::unique_ptr<IoThread> emergency_thread_;
    std::unique_ptr<ApiServer> api_;

    std::deque<Event> queue_;
    bool handling_ = false;
    Loop::HandlePtr timer_;
    Instant timer_for_ = forever;
    Instant permit_told_ = long_ago;
    Instant late_window_;         // scheduling delay: the worst of the last second
    Duration late_worst_{0};
    std::map<std::string, std::string> addresses_;  // ip-address resource -> its address, no prefix
    std::vector<std::string> warnings_;
    std::optional<WatchdogSpec> watchdog_;  // as the guard was told
    int watchdog_seconds_ = 0;  // armed; 0: it isn't
    std::string watchdog_problem_;
    std::optional<Role> told_role_;  // in the service manager's status line
    std::vector<Instant> heard_;     // of each link
    std::vector<std::uint8_t> networks_well_;
    std::string no_gate_;  // why no address may come online here; empty: they may
    bool const resumed_;             // follows a worker that died: what stands is its, and wanted
    Uuid expected_cluster_{};  // the disk of another one is refused
};

}  // namespace clusterd
