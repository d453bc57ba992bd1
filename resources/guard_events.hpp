// Where the guard's events find the driver they are for: the agent host's main gives every event of its GuardClient to
// dispatch(), drivers subscribe under their resource's name.
//
// Thread-safe. A subscriber is called on the GuardClient's reader thread: it must not wait for an answer of the guard there.
// When a Subscription is gone (destroyed), its function isn't running and won't be called again.
#pragma once

#include "clusterd/guard/client/client.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace clusterd {

class GuardEvents {
public:
    using Function = std::function<void(GuardEvent const&)>;

    // Unsubscribes when destroyed. Must not be destroyed by its own function, and not outlive the hub.
    class Subscription {
    public:
        Subscription(GuardEvents& hub, std::uint64_t id) : hub_(hub), id_(id) {}
        Subscription(Subscription const&) = delete;
        Subscription& operator=(Subscription const&) = delete;
        ~Subscription() {
            std::lock_guard lock(hub_.mutex_);
            hub_.subscribers_.erase(id_);
        }

    private:
        GuardEvents& hub_;
        std::uint64_t id_;
    };
    using SubscriptionPtr = std::unique_ptr<Subscription>;

    SubscriptionPtr subscribe(std::string resource, Function function) {
        std::lock_guard lock(mutex_);
        std::uint64_t const id = ++last_;
        subscribers_.emplace(id, Entry{std::move(resource), std::move(function)});
        return std::make_unique<Subscription>(*this, id);
    }

    // Called with every event; those that are of no resource are ignored.
    void dispatch(GuardEvent const& event) {
        if (event.kind != GuardEvent::Kind::exited) return;
        std::lock_guard lock(mutex_);
        for (auto const& [id, entry] : subscribers_)
            if (entry.resource == event.process.resource) entry.function(event);
    }

private:
    struct Entry {
        std::string resource;
        Function function;
    };
    std::mutex mutex_;  // held during the calls: that is what makes ~Subscription a promise
    std::map<std::uint64_t, Entry> subscribers_;
    std::uint64_t last_ = 0;
};

}  // namespace clusterd
