// See service.hpp.
#include "resources/service.hpp"

#include "clusterd/guard/client/client.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/systemd_manager.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace clusterd {
namespace {

constexpr Duration to_clean_up = std::chrono::milliseconds(500);  // a call that outlives its deadline costs the host its life
constexpr char drop_in_text[] =
    "# Written by clusterd, which starts and stops this unit; removed when its configuration has the unit no longer.\n"
    "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=no\n";

std::string units_directory() {  // tests bring their own
    char const* const given = std::getenv("CLUSTERD_SYSTEMD_UNITS");
    return given ? given : "/run/systemd/system";
}

class Service final : public Driver {
public:
    Service(ResourceSpec resource, DriverContext context)
        : resource_(std::move(resource)), context_(std::move(context)), unit_(Attributes(resource_.attributes).text("unit")) {
        wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    ~Service() override {
        stopping_ = true;
        wake();
        if (watcher_.joinable()) watcher_.join();
        if (wake_fd_ >= 0) close(wake_fd_);
        give_back_restart();
    }

    DriverOutcome probe(Instant deadline) override {
        watched_ = false;
        auto bus = SystemdManager::connect(deadline);
        if (!bus) return unknown(bus.error());
        if (auto const taken = take_restart(**bus); !taken) return unknown(taken.error());
        auto const state = (*bus)->state(unit_);
        if (!state) return unknown(state.error());
        if (state->runs()) {
            std::string const group = state->cgroup.empty() ? cgroup_of_unit(state->slice, unit_) : state->cgroup;
            // Also without a permit: what runs here then (started at boot, left by a stop that didn't end it) the guard ends.
            if (!group.empty())
                if (auto const owned = context_.guard.own_cgroup(resource_.name, group, false); !owned) return unknown(owned.error());
            watch();
            return online(*state);
        }
        if (!state->ended() || state->job) return failed("systemd is about to start or stop it");
        if (state->active == "failed") return failed(how_it_ended(*state));
        return disowned();
    }

    DriverOutcome start(Instant deadline) override {
        auto bus = SystemdManager::connect(deadline);
        if (!bus) return failed(bus.error());
        if (auto const taken = take_restart(**bus); !taken) return failed(taken.error());
        auto const before = (*bus)->state(unit_);
        if (!before) return failed(before.error());
        if (before->load == "not-found") return {ResourceState::failed, say("there is no such unit on this node; install it, or take the node out with possible=\"...\""), false};
        if (before->load != "loaded") return {ResourceState::failed, say(fmt::format("it is {} on this node; see systemctl status {}", before->load, unit_)), false};
        std::string const group = cgroup_of_unit(before->slice, unit_);
        if (group.empty()) return {ResourceState::failed, say("it stands in no slice of its own (Slice=-.slice), so the guard couldn't end it; give it one"), false};
        if (auto const owned = context_.guard.own_cgroup(resource_.name, group, true); !owned) return failed(owned.error());
        (*bus)->deadline(deadline == forever ? forever : deadline - to_clean_up);
        auto const started = (*bus)->start(unit_);
        (*bus)->deadline(deadline);
        auto const after = (*bus)->state(unit_);
        if (!after) return failed(after.error());
        if (!started || !after->runs()) {
            std::string const how = after->ended() ? how_it_ended(*after) : started ? "it is " + after->active + " once it was started" : started.error();
            return failed(fmt::format("{}; see journalctl -u {}", how, unit_));
        }
        if (!after->cgroup.empty() && after->cgroup != group) {  // a slice of its own making
            if (auto const owned = context_.guard.own_cgroup(resource_.name, after->cgroup, true); !owned) return failed(owned.error());
        }
        watch();
        return online(*after);
    }

    DriverOutcome stop(Instant deadline) override {
        watched_ = false;
        auto bus = SystemdManager::connect(deadline);
        if (!bus) return unknown(bus.error());
        (*bus)->deadline(deadline == forever ? forever : deadline - to_clean_up);
        auto const stopped = (*bus)->stop(unit_);
        (*bus)->deadline(deadline);
        return settle(**bus, stopped ? std::string() : stopped.error());
    }

    DriverOutcome kill(Instant deadline) override {
        watched_ = false;
        auto const left = context_.guard.kill_all(resource_.name);
        if (left && *left > 0) return failed(fmt::format("{} of its processes can't be ended, even by SIGKILL (they wait for a device?)", *left));
        return stop(deadline);  // it is dead; systemd takes note, and a start that still waits is called off
    }

private:
    std::string say(std::string const& what) const { return fmt::format("unit {}: {}", unit_, what); }
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, what.starts_with("unit ") ? what : say(what), true}; }
    DriverOutcome unknown(std::string const& what) const { return {ResourceState::unknown, what.starts_with("unit ") ? what : say(what), true}; }
    DriverOutcome online(UnitState const& state) const {
        if (state.file != "enabled") return {ResourceState::online, {}, true};
        return {ResourceState::online, say("it is also started at boot, without the cluster; run on both nodes: systemctl disable " + unit_), true};
    }
    DriverOutcome disowned() const {
        if (auto const given_back = context_.guard.disown_cgroup(resource_.name, {}); !given_back) return unknown(given_back.error());
        return {ResourceState::offline, {}, true};
    }

    // After an order to stop: has it ended, and nothing of it is left? Else by force.
    DriverOutcome settle(SystemdManager& bus, std::string const& why) const {
        auto state = bus.state(unit_);
        if (!state) return unknown(state.error());
        auto left = context_.guard.count(resource_.name);
        if (!left) return unknown(left.error());
        if (!state->ended() || *left > 0) {
            left = context_.guard.kill_all(resource_.name);
            if (!left) return unknown(left.error());
            if (*left > 0) return failed(fmt::format("{} of its processes can't be ended, even by SIGKILL (they wait for a device?)", *left));
            [[maybe_unused]] auto const noted = bus.stop(unit_);
            state = bus.state(unit_);
            if (!state) return unknown(state.error());
        }
        if (state->load == "not-found") return disowned();
        if (!state->ended()) return failed(fmt::format("systemd still has it as {} ({}){}", state->active, state->sub, why.empty() ? "" : "; " + why));
        if (state->active == "failed") [[maybe_unused]] auto const forgotten = bus.reset_failed(unit_);
        return disowned();
    }

    static std::string how_it_ended(UnitState const& s) {
        bool const killed = s.main_code == CLD_KILLED || s.main_code == CLD_DUMPED;
        // Result= doesn't tell all: a unit that may fail (ExecStart=-, as PostgreSQL's) calls any end a success, and an ExecStop= that fails
        // after it an exit code. A signal that a stop may send is an order.
        bool const by_force = killed && s.main_status != SIGTERM && s.main_status != SIGINT && s.main_status != SIGHUP && s.main_status != SIGPIPE;
        if (s.result == "signal" || s.result == "core-dump" || (by_force && (s.result == "success" || s.result == "exit-code")))
            return fmt::format("its main process was ended by signal {} ({})", s.main_status, strsignal(s.main_status));
        if (s.result == "exit-code" && (s.main_status == 0 || killed)) return "one of its commands (ExecStartPre= or the like) ended with an error";
        if (s.result == "exit-code") return fmt::format("its main process ended with exit code {}", s.main_status);
        if (s.result == "timeout") return "it was not ready within its TimeoutStartSec=, or not stopped in time";
        if (s.result == "success" || s.result.empty()) return "it was stopped without the cluster, or ended by itself";
        return "it failed: " + s.result;
    }

    // ---- Restart=

    std::string drop_in() const { return units_directory() + "/" + unit_ + ".d/zzz-clusterd.conf"; }  // read last

    Result<Done> take_restart(SystemdManager& bus) const {
        std::string const path = drop_in();
        std::ifstream present(path);
        std::stringstream text;
        text << present.rdbuf();
        if (present && text.str() == drop_in_text) return Done{};
        std::error_code failed;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
        std::ofstream out(path, std::ios::trunc);
        out << drop_in_text << std::flush;
        if (failed || !out) return Error{fmt::format("{} can't be written: {}; without it systemd would start the unit again by itself", path, std::strerror(errno))};
        return bus.reload();
    }
    void give_back_restart() const {
        if (unlink(drop_in().c_str()) != 0) return;
        rmdir(std::filesystem::path(drop_in()).parent_path().c_str());
        if (auto bus = SystemdManager::connect(boot_now() + std::chrono::seconds(5))) [[maybe_unused]] auto const read_again = (*bus)->reload();
    }

    // ---- its end, as systemd tells it

    void wake() const {
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(wake_fd_, &one, sizeof one);
    }
    // From now on its end is told; also one that came before this.
    void watch() {
        watched_ = true;
        if (!watcher_.joinable()) watcher_ = std::thread([this] { run_watch(); });
        wake();
    }
    void run_watch() {
        std::unique_ptr<SystemdManager> bus;
        while (!stopping_) {
            if (!bus) {
                auto made = SystemdManager::connect(boot_now() + std::chrono::seconds(2));
                if (!made) {
                    rest();
                    continue;
                }
                bus = std::move(*made);
            }
            bus->deadline(boot_now() + std::chrono::seconds(2));
            auto const state = bus->state(unit_);
            if (state && !state->runs() && watched_.exchange(false)) context_.changed(failed(how_it_ended(*state)));
            std::uint64_t times;
            [[maybe_unused]] ssize_t const n = read(wake_fd_, &times, sizeof times);
            if (stopping_) return;
            bus->deadline(forever);
            if (!state || !bus->wait_for_change(unit_, wake_fd_)) {
                bus.reset();
                rest();
            }
        }
    }
    void rest() const {  // before systemd is tried again
        pollfd p{wake_fd_, POLLIN, 0};
        poll(&p, 1, 1000);
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    std::string const unit_;
    int wake_fd_ = -1;
    std::atomic<bool> watched_{false}, stopping_{false};
    std::thread watcher_;
};

}  // namespace

DriverPtr make_service_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Service>(resource, std::move(context));
}

}  // namespace clusterd
