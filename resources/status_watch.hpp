// What the drivers of script and ocf have in common: a resource that only commands can tell the state of, run by the guard in its cgroup.
//
// StatusWatch is a thread, only while the resource is online, that looks at it at its pace (or paces) until a look says something else.
// A driver calls it from its own calls, which come one at a time.
#pragma once

#include "resources/driver.hpp"
#include "resources/one_shot.hpp"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace clusterd {

// The deadline of a command: a call that outlives its own costs the host its life, so it is to end, and be cleaned up, a little earlier.
Instant before_deadline(Instant deadline);

using Say = std::function<std::string(std::string const& what)>;  // names the resource before what there is to say
// All that runs in the resource's cgroup is killed. offline: nothing is left.
DriverOutcome end_processes(GuardClient& guard, std::string const& resource, Say const& say);
// The empty cgroup of a command that found nothing doesn't stay.
void drop_empty_cgroup(GuardClient& guard, std::string const& resource);

class StatusWatch {
public:
    struct Look {
        Duration every;
        std::function<DriverOutcome(OneShot&)> run;  // online: all is well
        Instant due = {};
    };
    StatusWatch(GuardClient& guard, GuardEvents& events, std::function<void(DriverOutcome)> changed)
        : guard_(guard), events_(events), changed_(std::move(changed)) {}
    ~StatusWatch() { end(); }
    StatusWatch(StatusWatch const&) = delete;
    StatusWatch& operator=(StatusWatch const&) = delete;

    void begin(std::vector<Look> looks);  // the first of each after its pace. What isn't online is told once, and ends it; unknown only three times in a row
    void end();                           // a look under way is broken off; after it, nothing is told any more

private:
    bool pause_until(Instant when);  // false: it is over
    void look_again_and_again();

    GuardClient& guard_;
    GuardEvents& events_;
    std::function<void(DriverOutcome)> const changed_;
    std::vector<Look> looks_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::unique_ptr<OneShot> shot_;
    std::thread thread_;
};

}  // namespace clusterd
