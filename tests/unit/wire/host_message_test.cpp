// The frames between worker and agent host survive the way there and back, and whatever isn't one is refused.
#include "clusterd/wire/host_message.hpp"

#include <gtest/gtest.h>

#include <random>

namespace clusterd::host {
namespace {

ResourceSpec web() {
    ResourceSpec r;
    r.name = "web";
    r.type = "process";
    r.isolate = true;
    r.attributes = {{"command", "/bin/web --x"}, {"user", ""}};
    HealthSpec h;
    h.type = "http";
    h.every = std::chrono::milliseconds(700);
    h.timeout = std::chrono::milliseconds(300);
    h.attributes = {{"url", "http://10.0.0.1/"}};
    r.health = {h, h};
    return r;
}

std::vector<Message> every_kind() {
    return {Hello{7},
            Configure{web()},
            Forget{"web"},
            Action{9, ActionKind::prepare, "web", std::chrono::seconds(3)},
            Checks{"web", true},
            Permit{Instant{123456789}},
            Ping{4},
            Welcome{7},
            Busy{9, ActionKind::start, "web", std::chrono::seconds(2)},
            ActionDone{9, "web", {ResourceState::failed, "port 80 is taken", false}},
            Changed{"web", {ResourceState::online, "", true}},
            HealthSeen{"web", 3, Health::degraded, std::chrono::milliseconds(12), "slow"},
            Pong{4},
            Announce{"web-ip", 5},
            Look{"web", {"/srv/data"}},
            Looked{"web", {{"nginx isn't there", "install it"}, {"no carrier", ""}}}};
}

template <class T>
T there_and_back(T const& m) {
    auto frame = encode(m);
    EXPECT_TRUE(frame);
    auto back = decode(*frame);
    EXPECT_TRUE(back) << back.error();
    return std::get<T>(*back);
}

TEST(HostMessage, EveryKindSurvivesThereAndBack) {
    for (Message const& m : every_kind()) {
        auto frame = encode(m);
        ASSERT_TRUE(frame);
        auto back = decode(*frame);
        ASSERT_TRUE(back) << m.index() << ": " << back.error();
        EXPECT_EQ(back->index(), m.index());
        EXPECT_EQ(*encode(*back), *frame) << m.index();
    }
    ResourceSpec const r = there_and_back(Configure{web()}).resource;
    EXPECT_EQ(r.name, "web");
    EXPECT_EQ(r.type, "process");
    EXPECT_TRUE(r.isolate);
    EXPECT_EQ(r.attributes, web().attributes);
    ASSERT_EQ(r.health.size(), 2u);
    EXPECT_EQ(r.health[1], web().health[1]);
    ActionDone const done = there_and_back(ActionDone{9, "web", {ResourceState::failed, "port 80 is taken", false}});
    EXPECT_EQ(done.ticket, 9u);
    EXPECT_EQ(done.outcome, (State{ResourceState::failed, "port 80 is taken", false}));
    HealthSeen const seen = there_and_back(HealthSeen{"web", 3, Health::degraded, std::chrono::milliseconds(12), "slow"});
    EXPECT_EQ(seen.check, 3u);
    EXPECT_EQ(seen.result, Health::degraded);
    EXPECT_EQ(seen.latency, std::chrono::milliseconds(12));
    EXPECT_EQ(there_and_back(Permit{Instant{-5}}).end.ns, -5);
}

TEST(HostMessage, EveryShorterFrameIsRefused) {
    for (Message const& m : every_kind()) {
        std::string const frame = *encode(m);
        for (std::size_t n = 0; n < frame.size(); ++n)
            EXPECT_FALSE(decode(std::string_view(frame).substr(0, n))) << m.index() << " cut to " << n;
        EXPECT_FALSE(decode(frame + "x")) << m.index();
    }
}

TEST(HostMessage, WrongVersionTypeAndValuesAreRefusedByName) {
    std::string frame = *encode(Ping{1});
    frame[2] = 9;
    EXPECT_NE(decode(frame).error().find("version 9"), std::string::npos);
    frame = *encode(Ping{1});
    frame[3] = 99;
    EXPECT_NE(decode(frame).error().find("type 99"), std::string::npos);
    frame = *encode(Changed{"r", {}});
    frame[8 + 4 + 1] = 77;  // the state, after the name
    EXPECT_NE(decode(frame).error().find("77"), std::string::npos);
    ResourceSpec r = web();
    r.health[0].every = Duration{0};
    EXPECT_NE(decode(*encode(Configure{r})).error().find("above zero"), std::string::npos);
}

TEST(HostMessage, LongMessagesAreCutAndLongAttributesRefused) {
    EXPECT_EQ(there_and_back(Changed{"r", {ResourceState::failed, std::string(100'000, 'm'), true}}).outcome.message.size(),
              max_text);
    ResourceSpec r = web();
    r.attributes["script"] = std::string(200'000, 's');
    EXPECT_EQ(there_and_back(Configure{r}).resource.attributes["script"].size(), 200'000u);
    r.attributes["script"] = std::string(300'000, 's');
    auto frame = encode(Configure{r});
    ASSERT_FALSE(frame);
    EXPECT_NE(frame.error().find("resource web"), std::string::npos);
    EXPECT_FALSE(decode(std::string(max_frame + 1, 'C')));
}

TEST(HostMessage, NoBytesCrashIt) {
    std::mt19937 random(20240611);
    std::vector<Message> const kinds = every_kind();
    int accepted = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string frame = *encode(kinds[random() % kinds.size()]);
        for (int flips = static_cast<int>(random() % 4); flips >= 0; --flips)
            frame[random() % frame.size()] = static_cast<char>(random());
        if (auto m = decode(frame)) {
            ++accepted;
            EXPECT_TRUE(encode(*m));  // what was accepted is a value that can be written again
        }
    }
    EXPECT_GT(accepted, 0);
    EXPECT_LT(accepted, 20'000);
}

}  // namespace
}  // namespace clusterd::host
