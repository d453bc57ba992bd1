// A guard that only remembers what it was told about addresses, and what a driver said by itself.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "resources/clock.hpp"
#include "resources/driver.hpp"
#include "resources/guard_events.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>

namespace clusterd {

class AddressGuard : public GuardClient {
public:
    AddressGuard() = default;
    Result<Done> own_address(std::string const& resource, std::string const& address, std::string const& interface) override {
        if (refuse) return Error{"there is no permit"};
        owned.insert(resource + " " + address + " " + interface);
        return Done{};
    }
    Result<Done> disown_address(std::string const& resource, std::string const& address, std::string const& interface) override {
        owned.erase(resource + " " + address + " " + interface);
        return Done{};
    }
    std::set<std::string> owned;
    bool refuse = false;
};

// What was told through DriverContext::changed.
class Heard {
public:
    void tell(DriverOutcome outcome) {
        std::lock_guard lock(mutex_);
        outcomes_.push_back(std::move(outcome));
        came_.notify_all();
    }
    std::optional<DriverOutcome> wait() {
        std::unique_lock lock(mutex_);
        if (!came_.wait_for(lock, std::chrono::seconds(20), [this] { return !outcomes_.empty(); })) return {};
        DriverOutcome first = outcomes_.front();
        outcomes_.erase(outcomes_.begin());
        return first;
    }
    bool nothing() {
        std::lock_guard lock(mutex_);
        return outcomes_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::vector<DriverOutcome> outcomes_;
};

inline Instant in_time() {
    return boot_now() + std::chrono::seconds(20);
}

}  // namespace clusterd
