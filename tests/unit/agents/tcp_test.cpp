// The tcp agent against small real servers.
#include "agents/tcp.hpp"
#include "tests/unit/agents/servers.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

class Tcp : public testing::Test {
protected:
    Tcp() : guard_(events_) {}
    CheckOutcome check(int port, std::map<std::string, std::string> attributes = {}, std::int64_t ms = 10'000,
                       std::string const& address = "127.0.0.1") {
        HealthSpec h;
        h.type = "tcp";
        h.attributes = std::move(attributes);
        h.attributes.emplace("address", address);
        h.attributes.emplace("port", std::to_string(port));
        return make_agent(h, ResourceSpec{}, guard_, events_)->check(within(ms));
    }
    GuardEvents events_;
    SpawningGuard guard_;
};

TEST_F(Tcp, AConnectionIsEnoughWhereNothingIsExpected) {
    Server server([](int) {});
    EXPECT_EQ(check(server.port()).result, Health::ok);
}

TEST_F(Tcp, RefusedIsAFailure) {
    RefusingPort port;
    CheckOutcome const outcome = check(port.port());
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("127.0.0.1:" + std::to_string(port.port())), std::string::npos) << outcome.message;
}

TEST_F(Tcp, SendsAndFindsWhatIsExpectedAlsoInPieces) {
    std::string heard;
    Server server([&](int fd) {
        heard = hear(fd, "\r\n");
        say(fd, "+PO");
        usleep(20'000);
        say(fd, "NG\r\n");
        hear(fd, "never");
    });
    CheckOutcome const outcome = check(server.port(), {{"send", "PING\\r\\n"}, {"expect", "+PONG"}});
    EXPECT_EQ(outcome.result, Health::ok) << outcome.message;
    EXPECT_EQ(heard, "PING\r\n");
}

TEST_F(Tcp, TheWrongAnswerIsAFailureThatShowsIt) {
    Server server([](int fd) { say(fd, "-LOADING\x01 data\r\nmore"); });
    CheckOutcome const outcome = check(server.port(), {{"expect", "+PONG"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("-LOADING"), std::string::npos) << outcome.message;
    EXPECT_NE(outcome.message.find("+PONG"), std::string::npos) << outcome.message;
    EXPECT_EQ(outcome.message.find('\x01'), std::string::npos);
}

TEST_F(Tcp, SilenceIsAFailureInTime) {
    Server* self = nullptr;
    Server silent([&](int fd) { self->hold(fd); });
    self = &silent;
    Instant const begin = boot_now();
    EXPECT_EQ(check(silent.port(), {{"expect", "hello"}}, 120).result, Health::failed);
    EXPECT_GE(to_ms(boot_now() - begin), 110);
    EXPECT_LT(to_ms(boot_now() - begin), 5'000);
}

TEST_F(Tcp, AFloodIsReadOnlySoFar) {
    Server flood([](int fd) {
        std::string const part(64 << 10, 'x');
        while (send(fd, part.data(), part.size(), MSG_NOSIGNAL) > 0) {
        }
    });
    CheckOutcome const outcome = check(flood.port(), {{"expect", "needle"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("64 KiB"), std::string::npos) << outcome.message;
}

TEST_F(Tcp, WhatIsNoAddressCantBeAsked) {
    EXPECT_EQ(check(80, {}, 1000, "web.example").result, Health::unknown);
    EXPECT_EQ(check(0).result, Health::unknown);
}

}  // namespace
}  // namespace clusterd
