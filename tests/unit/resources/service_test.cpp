// The driver `service` against a systemd of the test's own. The real one is met in containers: tests/system/services.py.
#include "tests/unit/resources/fake_guard.hpp"
#include "tests/unit/resources/fake_systemd.hpp"

#include "resources/systemd_manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace clusterd {
namespace {

using ::testing::HasSubstr;

class UnitGuard : public GuardClient {
public:
    UnitGuard() = default;
    Result<Done> own_cgroup(std::string const&, std::string const& path, bool to_start) override {
        if (refuse && to_start) return Error{"no permit"};
        owned = path;
        return Done{};
    }
    Result<Done> disown_cgroup(std::string const&, std::string const&) override {
        owned.clear();
        return Done{};
    }
    Result<int> count(std::string const&) override { return left; }
    Result<int> kill_all(std::string const&) override {
        ++kills;
        left = unkillable ? left : 0;
        return left;
    }
    std::string owned;
    bool refuse = false, unkillable = false;
    int left = 0, kills = 0;
};

class Services : public testing::Test {
protected:
    Services() {
        char name[] = "/tmp/clusterd-service-XXXXXX";
        folder_ = mkdtemp(name);
        setenv("CLUSTERD_SYSTEMD_UNITS", (folder_ + "/units").c_str(), 1);
        systemd_ = std::make_unique<FakeSystemd>(folder_);
        ResourceSpec spec;
        spec.name = "web-server";
        spec.type = "service";
        spec.attributes["unit"] = "web.service";
        driver_ = make_driver(spec, {guard_, events_, [this](DriverOutcome o) { heard_.tell(std::move(o)); }});
    }
    ~Services() override {
        driver_.reset();
        systemd_.reset();
        unsetenv("CLUSTERD_SYSTEMD_UNITS");
        std::filesystem::remove_all(folder_);
    }
    std::string drop_in() const {
        std::ifstream file(folder_ + "/units/web.service.d/zzz-clusterd.conf");
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }

    std::string folder_;
    UnitGuard guard_;
    GuardEvents events_;
    Heard heard_;
    std::unique_ptr<FakeSystemd> systemd_;
    DriverPtr driver_;
};

TEST_F(Services, StartsAndStopsAndTheGuardKnowsItsCgroup) {
    EXPECT_EQ(driver_->probe(in_time()).state, ResourceState::offline);
    DriverOutcome const on = driver_->start(in_time());
    EXPECT_EQ(on.state, ResourceState::online) << on.message;
    EXPECT_EQ(on.message, "");
    EXPECT_EQ(guard_.owned, "/system.slice/web.service");
    EXPECT_EQ(driver_->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(driver_->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(driver_->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(systemd_->get("ActiveState"), "inactive");
    EXPECT_EQ(guard_.owned, "");
    EXPECT_EQ(guard_.kills, 0);
    EXPECT_TRUE(heard_.nothing());
}

TEST_F(Services, RestartIsTheClustersWhileItIsConfigured) {
    driver_->probe(in_time());
    EXPECT_THAT(drop_in(), HasSubstr("Restart=no"));
    EXPECT_TRUE(systemd_->was_called("Reload"));
    driver_.reset();
    EXPECT_EQ(drop_in(), "");
}

TEST_F(Services, ItsEndIsToldBySignal) {
    driver_->start(in_time());
    systemd_->dies("signal", 9, CLD_KILLED);
    auto const told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->state, ResourceState::failed);
    EXPECT_THAT(told->message, HasSubstr("unit web.service: its main process was ended by signal 9"));
    EXPECT_EQ(driver_->probe(in_time()).state, ResourceState::failed);
    EXPECT_EQ(driver_->stop(in_time()).state, ResourceState::offline);
    EXPECT_TRUE(systemd_->was_called("ResetFailedUnit"));
}

TEST_F(Services, ItsEndIsToldAlsoAfterTheConnectionWasLost) {
    driver_->start(in_time());
    systemd_->cut_connections();
    systemd_->dies("exit-code", 1);
    auto const told = heard_.wait();
    ASSERT_TRUE(told);
    EXPECT_THAT(told->message, HasSubstr("exit code 1"));
}

// PostgreSQL's unit has ExecStart=-, so its end is a success to systemd; and then its ExecStop= finds nothing to stop.
TEST_F(Services, ASignalIsToldWhateverTheUnitMakesOfIt) {
    struct {
        std::string result;
        int code, status;
        std::string told;
    } const ends[] = {
        {"success", CLD_KILLED, 9, "was ended by signal 9 (Killed)"},
        {"exit-code", CLD_DUMPED, 11, "was ended by signal 11"},
        {"success", CLD_KILLED, 15, "it was stopped without the cluster"},
        {"success", CLD_EXITED, 9, "it was stopped without the cluster"},
        {"exit-code", CLD_KILLED, 15, "one of its commands"},
        {"exit-code", CLD_EXITED, 2, "exit code 2"},
        {"timeout", CLD_KILLED, 9, "not stopped in time"},
    };
    for (auto const& end : ends) {
        ASSERT_EQ(driver_->start(in_time()).state, ResourceState::online);
        systemd_->dies(end.result, end.status, end.code);
        auto const told = heard_.wait();
        ASSERT_TRUE(told);
        EXPECT_THAT(told->message, HasSubstr(end.told)) << end.result << ' ' << end.code << ' ' << end.status;
        ASSERT_EQ(driver_->stop(in_time()).state, ResourceState::offline);
    }
}

TEST_F(Services, WhatDoesNotStartSaysHow) {
    systemd_->starts = false;
    DriverOutcome const outcome = driver_->start(in_time());
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_THAT(outcome.message, HasSubstr("exit code 3; see journalctl -u web.service"));
    EXPECT_TRUE(outcome.restart_here);
}

TEST_F(Services, AUnitThatIsntThereOrCantBeHeldIsNotTriedAgainHere) {
    systemd_->is["LoadState"] = "not-found";
    EXPECT_EQ(driver_->probe(in_time()).state, ResourceState::offline);
    DriverOutcome outcome = driver_->start(in_time());
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_FALSE(outcome.restart_here);
    EXPECT_THAT(outcome.message, HasSubstr("no such unit on this node"));
    systemd_->is["LoadState"] = "masked";
    EXPECT_THAT(driver_->start(in_time()).message, HasSubstr("masked"));
    systemd_->is["LoadState"] = "loaded";
    systemd_->is["Slice"] = "-.slice";
    outcome = driver_->start(in_time());
    EXPECT_FALSE(outcome.restart_here);
    EXPECT_FALSE(systemd_->was_called("StartUnit"));
}

TEST_F(Services, NothingIsStartedThatTheGuardRefuses) {
    guard_.refuse = true;
    DriverOutcome const outcome = driver_->start(in_time());
    EXPECT_EQ(outcome.state, ResourceState::failed);
    EXPECT_FALSE(systemd_->was_called("StartUnit"));
}

TEST_F(Services, OneThatIsFoundRunningIsNamedToTheGuardAlsoWithoutAPermit) {
    driver_->start(in_time());
    guard_.owned.clear();
    guard_.refuse = true;
    EXPECT_EQ(driver_->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(guard_.owned, "/system.slice/web.service");
}

TEST_F(Services, OneThatIsStartedAtBootIsReported) {
    systemd_->is["UnitFileState"] = "enabled";
    EXPECT_THAT(driver_->start(in_time()).message, HasSubstr("systemctl disable web.service"));
}

TEST_F(Services, WhatSystemdDoesntStopTheGuardKills) {
    driver_->start(in_time());
    systemd_->answers_jobs = false;
    guard_.left = 2;
    DriverOutcome const stuck = driver_->stop(boot_now() + std::chrono::milliseconds(900));
    EXPECT_EQ(guard_.kills, 1);
    EXPECT_NE(stuck.state, ResourceState::online);
    EXPECT_NE(stuck.state, ResourceState::offline) << "systemd says that it is active: that is not offline";
    systemd_->answers_jobs = true;
    EXPECT_EQ(driver_->kill(in_time()).state, ResourceState::offline);
    guard_.left = 1;
    guard_.unkillable = true;
    EXPECT_EQ(driver_->kill(in_time()).state, ResourceState::failed);
}

TEST_F(Services, WithoutSystemdNothingIsKnown) {
    systemd_.reset();
    setenv("CLUSTERD_SYSTEMD_ADDRESS", ("unix:path=" + folder_ + "/nobody").c_str(), 1);
    DriverOutcome const outcome = driver_->probe(in_time());
    EXPECT_EQ(outcome.state, ResourceState::unknown);
    EXPECT_THAT(outcome.message, HasSubstr("systemd can't be reached"));
    EXPECT_EQ(driver_->stop(in_time()).state, ResourceState::unknown);
    unsetenv("CLUSTERD_SYSTEMD_ADDRESS");
}

TEST(UnitCgroups, AreWhereSystemdPutsThem) {
    EXPECT_EQ(cgroup_of_unit("system.slice", "nginx.service"), "/system.slice/nginx.service");
    EXPECT_EQ(cgroup_of_unit("a-b-c.slice", "x@y.service"), "/a.slice/a-b.slice/a-b-c.slice/x@y.service");
    EXPECT_EQ(cgroup_of_unit("-.slice", "x.service"), "");
    EXPECT_EQ(cgroup_of_unit("", "x.service"), "");
}

}  // namespace
}  // namespace clusterd
