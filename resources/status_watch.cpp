// See status_watch.hpp.
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace clusterd {
namespace {

constexpr Duration to_clean_up = std::chrono::milliseconds(300);
constexpr int unknown_before_told = 3;  // looks that could not be done, in a row

}  // namespace

Instant before_deadline(Instant deadline) {
    return deadline == forever ? forever : deadline - to_clean_up;
}

DriverOutcome end_processes(GuardClient& guard, std::string const& resource, Say const& say) {
    auto const left = guard.kill_all(resource);
    if (!left) return {ResourceState::unknown, say(left.error()), true};
    if (*left == 0) return {ResourceState::offline, {}, true};
    return {ResourceState::failed, say(fmt::format("{} of its processes can't be ended, even by SIGKILL (they wait for a device?)", *left)), true};
}

void drop_empty_cgroup(GuardClient& guard, std::string const& resource) {
    if (auto const left = guard.count(resource); left && *left == 0) [[maybe_unused]] auto const none = guard.kill_all(resource);
}

void StatusWatch::begin(std::vector<Look> looks) {
    end();
    looks_ = std::move(looks);
    for (Look& each : looks_) each.due = boot_now() + each.every;
    stopping_ = false;
    shot_ = std::make_unique<OneShot>(guard_, events_);
    thread_ = std::thread([this] { look_again_and_again(); });
}

void StatusWatch::end() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (shot_) shot_->cancel();
    if (thread_.joinable()) thread_.join();
    shot_.reset();
}

bool StatusWatch::pause_until(Instant when) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, std::chrono::milliseconds(ms_left(when)), [this] { return stopping_; });
}

void StatusWatch::look_again_and_again() {
    int unknown = 0;
    for (;;) {
        Look& next = *std::min_element(looks_.begin(), looks_.end(), [](Look const& a, Look const& b) { return a.due < b.due; });
        if (!pause_until(next.due)) return;
        DriverOutcome const outcome = next.run(*shot_);
        next.due = boot_now() + next.every;
        {
            std::lock_guard lock(mutex_);
            if (stopping_) return;
        }
        if (outcome.state == ResourceState::online) {
            unknown = 0;
            continue;
        }
        if (outcome.state == ResourceState::unknown && ++unknown < unknown_before_told) continue;
        changed_(outcome);
        return;
    }
}

}  // namespace clusterd
