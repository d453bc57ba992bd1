// The agent unit, against a systemd of the test's own. The real one is met in containers: tests/system/examples.py.
#include "agents/agent.hpp"
#include "tests/unit/agents/servers.hpp"
#include "tests/unit/resources/fake_systemd.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace clusterd {
namespace {

TEST(UnitAgent, GoesByTheUnitsState) {
    char name[] = "/tmp/clusterd-unit-XXXXXX";
    std::string const folder = mkdtemp(name);
    GuardEvents events;
    SpawningGuard guard(events);
    HealthSpec h;
    h.type = "unit";
    h.attributes["unit"] = "web.service";
    AgentPtr const agent = make_agent(h, ResourceSpec{}, guard, events);
    {
        FakeSystemd systemd(folder);
        auto const seen = [&](std::string const& active, std::string const& sub, std::string const& load = "loaded") {
            {
                std::lock_guard lock(systemd.mutex);
                systemd.is["ActiveState"] = active;
                systemd.is["SubState"] = sub;
                systemd.is["LoadState"] = load;
                systemd.is["Result"] = active == "failed" ? "exit-code" : "success";
            }
            return agent->check(within(20'000));
        };
        EXPECT_EQ(seen("active", "running").result, Health::ok);
        EXPECT_EQ(seen("active", "running").message, "unit web.service: active (running)");
        EXPECT_EQ(seen("activating", "start").result, Health::degraded);
        EXPECT_EQ(seen("reloading", "reload").result, Health::degraded);
        EXPECT_EQ(seen("inactive", "dead").result, Health::failed);
        EXPECT_EQ(seen("deactivating", "stop-sigterm").result, Health::failed);
        CheckOutcome const ended = seen("failed", "failed");
        EXPECT_EQ(ended.result, Health::failed);
        EXPECT_EQ(ended.message, "unit web.service: failed (failed): exit-code; see journalctl -u web.service");
        EXPECT_EQ(seen("activating", "auto-restart").result, Health::failed);
        CheckOutcome const none = seen("inactive", "dead", "not-found");
        EXPECT_EQ(none.result, Health::failed);
        EXPECT_EQ(none.message, "unit web.service: there is no such unit on this node");
    }
    setenv("CLUSTERD_SYSTEMD_ADDRESS", ("unix:path=" + folder + "/nobody").c_str(), 1);
    EXPECT_EQ(agent->check(within(5'000)).result, Health::unknown);
    unsetenv("CLUSTERD_SYSTEMD_ADDRESS");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace clusterd
