// GuardClient against a guard played by the test: requests, answers, events, and a guard that dies or talks nonsense.
#include "clusterd/guard/client/client.hpp"

#include "clusterd/guard/protocol.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

namespace clusterd {
namespace {

using guard::Header;
using guard::Message;
using guard::Packer;
using guard::Unpacker;

struct Client : testing::Test {
    int ends[2] = {-1, -1};
    std::mutex mutex;
    std::condition_variable came;
    std::vector<GuardEvent> events;
    std::unique_ptr<GuardClient> client;
    char buffer[guard::max_packet];

    Client() {
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        client = std::make_unique<GuardClient>(ends[0], [this](GuardEvent event) {
            std::lock_guard lock(mutex);
            events.push_back(std::move(event));
            came.notify_all();
        });
    }
    ~Client() override {
        client.reset();
        if (ends[1] >= 0) close(ends[1]);
    }
    // The guard's side: the next request.
    Header next(Unpacker& u) {
        ssize_t const n = recv(ends[1], buffer, sizeof buffer, 0);
        u = {buffer, n > 0 ? static_cast<std::size_t>(n) : 0};
        Header header;
        EXPECT_TRUE(u.header(header));
        return header;
    }
    template <class Fill>
    void say(Message message, std::uint64_t id, Fill fill, std::uint16_t result = 0) {
        char out[4096];
        Packer p{out, sizeof out};
        p.header(message, id, result);
        fill(p);
        EXPECT_EQ(send(ends[1], out, p.size, 0), static_cast<ssize_t>(p.size));
    }
    GuardEvent wait_event() {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(came.wait_for(lock, std::chrono::seconds(20), [&] { return !events.empty(); }));
        if (events.empty()) return {};
        GuardEvent event = events.front();
        events.erase(events.begin());
        return event;
    }
};

TEST_F(Client, PutsASpawnRequestIntoBytes) {
    std::thread guard([&] {
        Unpacker u{nullptr, 0};
        Header const header = next(u);
        EXPECT_EQ(header.message, static_cast<std::uint16_t>(Message::spawn));
        EXPECT_STREQ(u.text(), "web");
        EXPECT_STREQ(u.text(), "main");
        EXPECT_STREQ(u.text(), "/srv");
        EXPECT_STREQ(u.text(), "www-data");
        EXPECT_EQ(u.number(), 0u);
        EXPECT_EQ(u.number(), 2u);
        EXPECT_STREQ(u.text(), "nginx");
        EXPECT_STREQ(u.text(), "");
        EXPECT_EQ(u.number(), 1u);
        EXPECT_STREQ(u.text(), "A=1");
        EXPECT_TRUE(u.complete());
        say(Message::answer, header.id, [](Packer& p) { p.number(4711); });
    });
    auto const pid = client->spawn({"web", "main", {"nginx", ""}, {"A=1"}, "/srv", "www-data", -1});
    guard.join();
    ASSERT_TRUE(pid);
    EXPECT_EQ(*pid, 4711);
}

TEST_F(Client, AnswersFindTheirCallersInAnyOrder) {
    constexpr int callers = 8;
    std::thread guard([&] {
        std::vector<std::pair<std::uint64_t, std::string>> asked;
        for (int i = 0; i < callers; ++i) {
            Unpacker u{nullptr, 0};
            Header const header = next(u);
            asked.emplace_back(header.id, u.text());
        }
        for (auto it = asked.rbegin(); it != asked.rend(); ++it)
            say(Message::answer, it->first, [&](Packer& p) { p.number(static_cast<std::uint32_t>(std::stoi(it->second))); });
    });
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int i = 0; i < callers; ++i)
        threads.emplace_back([&, i] {
            auto const n = client->count(std::to_string(i));
            if (n && *n == i) ++right;
        });
    for (auto& thread : threads) thread.join();
    guard.join();
    EXPECT_EQ(right, callers);
}

TEST_F(Client, ARefusalCarriesTheReason) {
    std::thread guard([&] {
        Unpacker u{nullptr, 0};
        Header const header = next(u);
        say(
            Message::answer, header.id, [](Packer& p) { p.text("no permit"); }, 1);
    });
    auto const done = client->own_address("ip", "10.0.0.1/24", "eth0");
    guard.join();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), "no permit");
}

TEST_F(Client, HandsOutEvents) {
    say(Message::exited, 0, [](Packer& p) {
        p.text("web");
        p.text("main");
        p.signed_number(17);
        p.signed_number(9);
    });
    auto const exited = wait_event();
    EXPECT_EQ(exited.kind, GuardEvent::Kind::exited);
    EXPECT_EQ(exited.process.resource, "web");
    EXPECT_EQ(exited.process.pid, 17);
    EXPECT_EQ(exited.process.wait_status, 9);
    say(Message::emergency_done, 0, [](Packer& p) {
        p.number(0);
        p.text("a process waits for a device");
    });
    auto const done = wait_event();
    EXPECT_EQ(done.kind, GuardEvent::Kind::emergency_done);
    EXPECT_FALSE(done.proven);
    EXPECT_EQ(done.message, "a process waits for a device");
    say(Message::leave, 0, [](Packer&) {});
    EXPECT_EQ(wait_event().kind, GuardEvent::Kind::leave);
}

TEST_F(Client, AGuardThatDiesEndsEveryCall) {
    std::thread guard([&] {
        Unpacker u{nullptr, 0};
        next(u);
        close(ends[1]);
        ends[1] = -1;
    });
    auto const n = client->kill_all("web");
    guard.join();
    ASSERT_FALSE(n);
    EXPECT_NE(n.error().find("closed the connection"), std::string::npos);
    EXPECT_EQ(wait_event().kind, GuardEvent::Kind::closed);
    EXPECT_FALSE(client->count("web")) << "and every later one";
}

TEST_F(Client, SurvivesNonsense) {
    EXPECT_EQ(send(ends[1], "x", 1, 0), 1);
    EXPECT_EQ(send(ends[1], std::string(5000, 'x').data(), 5000, 0), 5000);
    say(Message::answer, 999, [](Packer&) {});                  // nobody asked
    say(Message::exited, 0, [](Packer& p) { p.text("web"); });  // cut off
    std::thread guard([&] {
        Unpacker u{nullptr, 0};
        Header header = next(u);
        say(Message::answer, header.id, [](Packer& p) { p.text("12"); });  // not a number
        header = next(u);
        say(Message::answer, header.id, [](Packer& p) { p.number(1u << 31); });  // a list that isn't there
    });
    EXPECT_FALSE(client->count("web"));
    EXPECT_FALSE(client->processes("web"));
    guard.join();
    std::lock_guard lock(mutex);
    EXPECT_TRUE(events.empty());
}

TEST_F(Client, RefusesWhatDoesNotFitBeforeSendingIt) {
    EXPECT_FALSE(client->spawn({"web", "main", std::vector<std::string>(300, "x"), {}, "", "", -1}));
    EXPECT_FALSE(client->spawn({"web", "main", {std::string(100000, 'x')}, {}, "", "", -1}));
    EXPECT_FALSE(client->spawn({"web", "main", {std::string("a\0b", 3)}, {}, "", "", -1}));
}

TEST(Unpack, NeverReadsBeyondItsBytes) {
    std::vector<char> const bytes(64, 'a');
    Unpacker u{bytes.data(), 3};
    EXPECT_STREQ(u.text(), "") << "no end";
    EXPECT_FALSE(u.ok);
    EXPECT_EQ(u.number(), 0u);
    EXPECT_FALSE(u.complete());
    char small[4];
    Packer p{small, sizeof small};
    p.text("too long");
    EXPECT_FALSE(p.ok);
    p.text("");
    EXPECT_FALSE(p.ok) << "and stays so";
}

TEST(Roles, OnlyThoseThatEndOrLookRunWithoutAPermit) {
    for (char const* role : {"stop", "status", "check", "stop:1", "check:12.3"})
        EXPECT_FALSE(guard::role_needs_permit(role)) << role;
    for (char const* role : {"main", "start", "start:1", "stopper", "checks", "", "Stop", "main:stop"})
        EXPECT_TRUE(guard::role_needs_permit(role)) << role;
}

}  // namespace
}  // namespace clusterd
