// The dummy resource does what its attributes ask for, and its state is where they say.
#include "resources/dummy.hpp"
#include "tests/unit/resources/fake_guard.hpp"

#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

class Dummy : public testing::Test {
protected:
    Dummy() {
        std::string pattern = testing::TempDir() + "dummy.XXXXXX";
        directory_ = mkdtemp(pattern.data());
        setenv("CLUSTERD_RUN_DIR", directory_.c_str(), 1);
    }
    ~Dummy() override {
        unsetenv("CLUSTERD_RUN_DIR");
        std::filesystem::remove_all(directory_);
    }
    DriverPtr make(std::map<std::string, std::string> attributes = {}) {
        ResourceSpec r;
        r.name = "one";
        r.type = "dummy";
        r.attributes = std::move(attributes);
        return make_dummy_driver(
            r, {.guard = guard_, .events = events_, .changed = [this](DriverOutcome o) { heard_.tell(std::move(o)); }});
    }
    AddressGuard guard_;
    GuardEvents events_;
    Heard heard_;
    std::string directory_;
};

TEST_F(Dummy, GoesOnlineAndOffline) {
    auto d = make();
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::offline);
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, ItsStateOutlivesTheHost) {
    EXPECT_EQ(make()->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(make()->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(make()->kill(in_time()).state, ResourceState::offline);
    EXPECT_EQ(make()->probe(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, ItsStateDoesntOutliveTheGuard) {
    ASSERT_EQ(make()->start(in_time()).state, ResourceState::online);
    std::string const path = directory_ + "/dummy/one";
    std::ifstream in(path);
    std::string state, guard;
    ASSERT_TRUE(in >> state);
    ASSERT_TRUE(std::getline(in >> std::ws, guard));
    std::ofstream(path) << "online " << guard << "1\n";  // another's start time
    EXPECT_EQ(make()->probe(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, WithoutARunDirectoryItsStateIsItsOwn) {
    unsetenv("CLUSTERD_RUN_DIR");
    auto d = make();
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(make()->probe(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, FailsAsOftenAsAskedFor) {
    auto d = make({{"fail-start", "2"}, {"fail-stop", "1"}});
    EXPECT_EQ(d->start(in_time()).state, ResourceState::failed);
    EXPECT_NE(d->start(in_time()).message.find("fail-start"), std::string::npos);
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::failed);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    auto always = make({{"fail-stop", "always"}});
    EXPECT_EQ(always->start(in_time()).state, ResourceState::online);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(always->stop(in_time()).state, ResourceState::failed);
    EXPECT_EQ(always->kill(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, TakesItsTimeButNotMoreThanTheDeadline) {
    auto d = make({{"start-delay", "80ms"}, {"stop-delay", "1h"}});
    Instant const begin = boot_now();
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_GE(to_ms(boot_now() - begin), 80);
    DriverOutcome const stopped = d->stop(boot_now() + std::chrono::milliseconds(50));
    EXPECT_EQ(stopped.state, ResourceState::unknown);
    EXPECT_NE(stopped.message.find("stop-delay"), std::string::npos);
    EXPECT_EQ(d->probe(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->kill(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, CrashesAfterItsTimeAndSaysSo) {
    auto d = make({{"crash-after", "50ms"}});
    for (int i = 0; i < 2; ++i) {  // and again after a restart
        EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
        auto const told = heard_.wait();
        ASSERT_TRUE(told);
        EXPECT_EQ(told->state, ResourceState::failed);
        EXPECT_TRUE(told->restart_here);
        EXPECT_EQ(d->probe(in_time()).state, ResourceState::failed);
    }
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
}

TEST_F(Dummy, StoppedInTimeItDoesntCrash) {
    auto d = make({{"crash-after", "1h"}});
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    EXPECT_TRUE(heard_.nothing());
}

TEST_F(Dummy, WritesTheFileItIsGivenAndSaysWhereItCant) {
    std::string const file = directory_ + "/state";
    auto d = make({{"state-file", file}});
    EXPECT_EQ(d->start(in_time()).state, ResourceState::online);
    std::string word;
    std::ifstream(file) >> word;
    EXPECT_EQ(word, "online");
    EXPECT_EQ(d->stop(in_time()).state, ResourceState::offline);
    std::ifstream(file) >> word;
    EXPECT_EQ(word, "offline");
    std::ofstream(directory_ + "/plain") << "x";
    DriverOutcome const refused = make({{"state-file", directory_ + "/plain/state"}})->start(in_time());
    EXPECT_EQ(refused.state, ResourceState::failed);
    EXPECT_NE(refused.message.find("/plain/state"), std::string::npos);
}

}  // namespace
}  // namespace clusterd
