// The agent host: runs resource drivers and health agents for the worker, which must never block itself.
//
// One thread (run()) owns all state here and does nothing but pass things on: frames from the worker, what pool threads have
// finished, what drivers noticed, checks that are due. Drivers and agents only ever run on the pool's threads.
//   * Actions of one resource run one after the other; those of different resources at the same time.
//   * A check is run at its pace, counted from the start of its last run; one that still runs isn't started again, and is
//     reported unknown when its timeout is over. One that doesn't come back at all costs the host its life a minute later, unless it hangs in
//     the kernel, where that would change nothing: then it keeps its thread until the kernel lets it go.
//   * A worker that is dead, frozen or replaced changes nothing here: see Outbox, and Hello.
// What hangs is the worker's business: it knows the deadlines and has this process killed (clusterd/hosts).
#pragma once

#include "agents/agent.hpp"
#include "agents/host/outbox.hpp"
#include "agents/host/pool.hpp"
#include "clusterd/wire/host_message.hpp"
#include "resources/driver.hpp"
#include "resources/readiness.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace clusterd {

class AgentHost {
public:
    struct Makers {  // tests bring their own drivers and agents
        std::function<DriverPtr(ResourceSpec const&, DriverContext)> driver = make_driver;
        std::function<AgentPtr(HealthSpec const&, ResourceSpec const&, GuardClient&, GuardEvents&)> agent = make_agent;
        std::function<void(std::size_t)> resources = {};  // told how many live here, whenever that may have changed
        std::function<std::vector<Lack>(ResourceSpec const&, std::vector<std::string> const&)> lacks = lacks_of;
        Duration stuck_after = std::chrono::minutes(1);   // past its deadline a check is given up, see run_due_checks
    };
    // `worker_fd` is taken over.
    AgentHost(std::string name, int worker_fd, GuardClient& guard, GuardEvents& events);
    AgentHost(std::string name, int worker_fd, GuardClient& guard, GuardEvents& events, Makers makers);
    ~AgentHost();

    // Until worker and guard have both closed the socket, or stop().
    void run();
    void stop();  // from any thread

private:
    struct Running {
        host::Action action;
        Instant deadline;
    };
    struct Resource {
        ResourceSpec spec;
        std::uint64_t generation = 0;    // of its driver
        std::shared_ptr<Driver> driver;  // made by the first action
        std::optional<Running> running;
        std::deque<Running> waiting;
        std::optional<host::State> known;  // as last told
        bool checked = false;
    };
    struct Check {
        std::string resource;
        std::uint32_t index = 0;
        HealthSpec spec;
        std::shared_ptr<Agent> agent;
        Instant due, overdue;                // when to run next; while running: when it counts as unknown
        bool running = false, told = false;  // told: this run's result has been reported
        bool forgotten = false;              // its resource isn't checked any more; kept while it runs
        Instant stuck = forever;             // once told: when to look whether it still hasn't come back
        std::shared_ptr<std::atomic<int>> thread = std::make_shared<std::atomic<int>>(0);  // that runs it
    };

    // ---- frames
    void read_frames();
    void on(host::Hello const& m);
    void on(host::Configure& m);
    void on(host::Forget const& m);
    void on(host::Action const& m);
    void on(host::Checks const& m);
    void on(host::Permit const& m);
    void on(host::Ping const& m);
    void on(host::Announce const& m);
    void on(host::Look const& m);
    template <class T>
    void on(T const&) {}  // frames of the other direction

    // ---- actions
    void begin_next(std::string const& name, Resource& r);
    void action_done(std::string const& name, std::uint64_t generation, std::shared_ptr<Driver> driver, host::Action const& action,
                     DriverOutcome outcome);
    void changed(std::string const& name, std::uint64_t generation, DriverOutcome outcome);
    void end_elsewhere(std::shared_ptr<Driver> driver);
    DriverContext context(std::string const& name, std::uint64_t generation);

    // ---- checks
    void start_checks(Resource const& r);
    void stop_checks(std::string const& resource);
    Instant run_due_checks();  // when something is due next
    void begin_check(std::uint64_t id, Check& c, Instant now);
    Instant look_at_stuck(Check& c, Instant now);  // when to look again
    void check_done(std::uint64_t id, CheckOutcome outcome, Duration latency);
    void tell(Check const& c, Health result, Duration latency, std::string message);

    void post(std::function<void()> work);  // from any thread: run it on run()'s
    void run_posted();

    std::string const name_;
    int const worker_fd_;
    int wake_fd_ = -1;
    GuardClient& guard_;
    GuardEvents& events_;
    Makers const makers_;
    Outbox outbox_;
    std::map<std::string, Resource> resources_;
    std::set<std::string> looking_;  // for what they lack here; one that hangs isn't begun again beside itself
    std::map<std::uint64_t, Check> checks_;
    std::uint64_t last_id_ = 0;
    std::shared_ptr<std::atomic<std::int64_t>> permit_end_;  // shared with the drivers' contexts
    bool ended_ = false;
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;  // mutex_
    std::unique_ptr<Pool> pool_;                 // last: ends first, while all it uses is there
};

}  // namespace clusterd
