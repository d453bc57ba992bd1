// The drivers that run processes, on the real guard: what they say of a start, an exit, a stop, and of a host that died between.
#include "tests/guard/world.hpp"

#include "resources/clock.hpp"
#include "resources/guard_events.hpp"
#include "resources/process.hpp"
#include "resources/script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>
#include <thread>

namespace clusterd::guard_test {
namespace {

using testing::HasSubstr;

class Drivers : public testing::TestWithParam<bool> {
protected:
    Drivers() : world(GetParam()) {}
    void SetUp() override {
        if (!GetParam() && !is_root()) GTEST_SKIP() << "hiding the cgroups needs root";
        world.start();
        worker = world.worker();
        grant(*worker, 100s);
        agent = world.agent(*worker);
    }
    // As the agent host does: its client's events go to the hub.
    DriverPtr driver(DriverPtr (*make)(ResourceSpec const&, DriverContext), Child& host,
                     std::map<std::string, std::string> attributes) {
        ResourceSpec resource;
        resource.name = "web";
        resource.attributes = std::move(attributes);
        feeding = std::jthread([this, &host](std::stop_token stop) {
            while (!stop.stop_requested()) {
                std::unique_lock lock(host.mutex);
                host.came.wait_for(lock, 2ms);
                std::deque<GuardEvent> now;
                now.swap(host.events);
                lock.unlock();
                for (auto const& event : now) hub.dispatch(event);
            }
        });
        return make(resource, {*host.guard, hub, [this](DriverOutcome outcome) {
                                   std::lock_guard lock(mutex);
                                   told = std::move(outcome.message);
                               }});
    }
    bool was_told(std::string const& text) {
        return until([&] {
            std::lock_guard lock(mutex);
            return told.find(text) != std::string::npos;
        });
    }
    static Instant soon() { return boot_now() + 20s; }

    World world;
    ChildPtr worker, agent;
    ChildPtr next;
    GuardEvents hub;
    std::mutex mutex;
    std::string told;
    std::jthread feeding;
};
INSTANTIATE_TEST_SUITE_P(With, Drivers, testing::Values(true, false),
                         [](auto const& p) { return p.param ? "cgroups" : "process_groups"; });

TEST_P(Drivers, AProcessThatEndsIsKnownAtOnceAndComesBack) {
    auto const web = driver(make_process_driver, *agent, {{"command", "sleep 1000"}});
    EXPECT_EQ(web->probe(soon()).state, ResourceState::offline);
    ASSERT_EQ(web->start(soon()).state, ResourceState::online);
    pid_t const pid = agent->guard->processes("web")->front().pid;
    kill(pid, SIGKILL);
    EXPECT_TRUE(was_told("was killed by SIGKILL"));
    EXPECT_EQ(web->probe(soon()).state, ResourceState::failed);
    ASSERT_EQ(web->start(soon()).state, ResourceState::online);
    ASSERT_TRUE(until([&] {
        return text_of("/proc/" + std::to_string(agent->guard->processes("web")->front().pid) + "/comm") == "sleep\n";
    })) << "and lives, though its cgroup was killed before";
    EXPECT_EQ(web->stop(soon()).state, ResourceState::offline);
    EXPECT_EQ(web->probe(soon()).state, ResourceState::offline) << "stopped, not failed";
}

TEST_P(Drivers, AStoppedProcessLeavesNothingBehind) {
    auto const web = driver(make_process_driver, *agent,
                            {{"command", "sh -c 'setsid sleep 1000 & setsid sh -c \"setsid sleep 1000 & wait\" & wait'"}});
    ASSERT_EQ(web->start(soon()).state, ResourceState::online);
    EXPECT_TRUE(until([&] { return *agent->guard->count("web") >= 4; }));
    EXPECT_EQ(web->stop(soon()).state, ResourceState::offline);
    EXPECT_EQ(*agent->guard->count("web"), 0);
}

TEST_P(Drivers, ANewHostFindsOutWhatTheOldOneLeft) {
    auto first = driver(make_process_driver, *agent, {{"command", "sleep 1000"}});
    ASSERT_EQ(first->start(soon()).state, ResourceState::online);
    pid_t const pid = agent->guard->processes("web")->front().pid;
    ASSERT_TRUE(worker->guard->kill_host("h1"));
    next = world.agent(*worker);
    auto second = driver(make_process_driver, *next, {{"command", "sleep 1000"}});
    EXPECT_EQ(second->probe(soon()).state, ResourceState::online);
    kill(pid, SIGTERM);
    EXPECT_TRUE(was_told("was killed by SIGTERM")) << "and watches it";
}

TEST_P(Drivers, AfterAnEmergencyStopTheProcessIsOfflineAndNotFailed) {
    auto first = driver(make_process_driver, *agent, {{"command", "sleep 1000"}});
    ASSERT_EQ(first->start(soon()).state, ResourceState::online);
    ASSERT_TRUE(worker->guard->emergency_stop());
    next = world.agent(*worker);
    auto second = driver(make_process_driver, *next, {{"command", "sleep 1000"}});
    EXPECT_EQ(second->probe(soon()).state, ResourceState::offline);
}

TEST_P(Drivers, WithoutAPermitOnlyTheStartIsRefused) {
    std::string const up = world.dir + "/up";
    auto const web = driver(make_script_driver, *agent,
                            {{"start", "touch " + up},
                             {"stop", "rm -f " + up},
                             {"status", "sh -c 'test -e " + up + " || exit 3'"},
                             {"status-every", "1h"}});
    ASSERT_EQ(web->start(soon()).state, ResourceState::online);
    EXPECT_EQ(web->probe(soon()).state, ResourceState::online);
    EXPECT_EQ(web->stop(soon()).state, ResourceState::offline);
    worker->shared->permit_end_ns = 0;
    worker->guard->permit_began();
    EXPECT_TRUE(until([&] { return !alive(agent->pid); }));
    next = world.agent(*worker);
    auto const again = driver(make_script_driver, *next,
                              {{"start", "touch " + up},
                               {"stop", "rm -f " + up},
                               {"status", "sh -c 'test -e " + up + " || exit 3'"},
                               {"status-every", "1h"}});
    EXPECT_EQ(again->probe(soon()).state, ResourceState::offline);
    auto const refused = again->start(soon());
    EXPECT_EQ(refused.state, ResourceState::failed);
    EXPECT_THAT(refused.message, HasSubstr("no permit"));
    EXPECT_NE(access(up.c_str(), F_OK), 0);
    EXPECT_EQ(again->stop(soon()).state, ResourceState::offline);
}

}  // namespace
}  // namespace clusterd::guard_test
