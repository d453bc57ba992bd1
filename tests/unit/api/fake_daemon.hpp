// A daemon to talk to: the real ApiServer on a socket in a directory of its own, with a backend that plays what a test tells it.
#pragma once

#include "clusterd/api/api.hpp"

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>

namespace clusterd::testing {

inline Status well_status() {
    Status s;
    s.cluster = "shop";
    s.self = NodeIndex::a;
    s.role = Role::joined;
    s.decision = {7, 42};
    s.term = 7;
    s.leader = NodeIndex::a;
    s.permit = PermitSource::joined;
    s.permit_remaining_ms = 960;
    s.worst_margin_ms = 612;
    s.nodes[0] = {"alpha", NodeState::up, 0xa1, {{"192.168.50.1", true, 10}, {"10.0.0.11", true, 12}}, false, false};
    s.nodes[1] = {"beta", NodeState::up, 0xb2b2b2b2b2b2b2b2, {{"192.168.50.2", true, 20}, {"10.0.0.12", true, 22}}, false, false};
    s.quorum.disk = "/dev/disk/by-id/scsi-36001405a";
    s.quorum.state = QuorumState::ok;
    s.quorum.latency_ms = 3;
    GroupStatus web;
    web.name = "web";
    web.state = GroupState::online;
    web.owner = NodeIndex::a;
    web.cause = "first start on the preferred node";
    web.failover_limit = 2;
    std::int64_t const since = 1'764'000'000'123;  // 2025-11-24T16:00:00.123Z
    for (auto const& [name, type] : {std::pair{"web-ip", "ip-address"}, std::pair{"web-server", "process"}}) {
        ResourceStatus r;
        r.name = name;
        r.type = type;
        r.report.state = ResourceState::online;
        r.report.health = Health::ok;
        r.report.since_wall_ms = since;
        web.resources.push_back(r);
    }
    s.groups.push_back(web);
    return s;
}

class FakeBackend : public ApiBackend {
public:
    Status status() override { return shown; }
    void submit(Command command) override {
        given.push_back(command);
        if (on_submit) on_submit(given.back());
    }
    void abandon(std::string const& id) override { abandoned.push_back(id); }
    std::vector<EventRecord> events(std::string const& after, std::size_t limit) override {
        std::vector<EventRecord> out;
        bool found = after.empty();
        for (auto const& e : recorded) {
            if (found) out.push_back(e);
            if (e.id == after) found = true;
        }
        if (!found) out = recorded;
        if (out.size() > limit && after.empty()) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(limit));
        if (out.size() > limit) out.resize(limit);
        return out;
    }
    std::vector<FailoverRecord> failovers() override { return moves; }
    TimingInfo timing() override { return timing_info; }
    std::optional<PlanAnswer> plan(Command const& command) override {
        given.push_back(command);
        if (plan_takes-- > 0) return std::nullopt;
        return planned;
    }
    std::string config_xml() override { return xml; }
    std::vector<ConfigRevision> revisions() override { return kept; }
    Readinesses readiness() override { return ready; }
    void look_at_readiness() override {
        if (on_look) on_look();
    }
    std::string force_preview() override { return "alpha has decision 7/42, the disk 7/42; nothing would be lost.\n"; }
    Result<Done> force() override {
        ++forced;
        if (!force_refusal.empty()) return Error{force_refusal};
        return Done{};
    }

    Status shown = well_status();
    std::vector<Command> given;
    std::vector<std::string> abandoned;
    std::vector<EventRecord> recorded;
    std::vector<FailoverRecord> moves;
    TimingInfo timing_info;
    PlanAnswer planned;
    int plan_takes = 0;  // so many times it isn't found out yet
    std::vector<ConfigRevision> kept;
    Readinesses ready;
    std::function<void()> on_look;
    std::string xml = "<cluster name=\"shop\" version=\"1\"/>\n";
    std::string force_refusal;
    int forced = 0;
    std::function<void(Command const&)> on_submit;
};

// Runs on a thread of its own; everything of the backend and the server is touched through on_loop() only.
class FakeDaemon {
public:
    template <class Work>
    auto on_loop(Work work) {
        std::packaged_task<std::invoke_result_t<Work>()> task(std::move(work));
        auto result = task.get_future();
        loop_->post([&task] { task(); });
        return result.get();
    }
    explicit FakeDaemon(ApiLimits limits = {}) {
        char name[] = "/tmp/clusterd-api-XXXXXX";
        if (mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
        directory_ = name;
        server_ = std::make_unique<ApiServer>(*loop_, socket(), backend, limits);
        thread_ = std::thread([this] { loop_->run(); });
    }
    ~FakeDaemon() {
        if (server_) on_loop([this] { server_.reset(); });
        loop_->stop();
        thread_.join();
        std::filesystem::remove_all(directory_);
    }
    std::string socket() const { return directory_ + "/clusterd.sock"; }
    std::string const& directory() const { return directory_; }
    ApiServer& server() { return *server_; }
    AsioLoop& loop() { return *loop_; }
    void end_server() {
        on_loop([this] { server_.reset(); });
    }
    // From the loop: what the shell would do.
    void update(std::string const& id, Outcome outcome, std::string message) {
        server_->command_update({id, outcome, std::move(message)});
    }
    void record(EventRecord event) {
        backend.recorded.push_back(event);
        server_->event_recorded(event);
    }

    FakeBackend backend;

private:
    std::string directory_;
    std::unique_ptr<AsioLoop> loop_ = make_loop();
    std::unique_ptr<ApiServer> server_;
    std::thread thread_;
};

}  // namespace clusterd::testing
