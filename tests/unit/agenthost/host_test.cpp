// The agent host, spoken to as the worker does: order of actions, pace of checks, a worker that is gone and one that comes.
#include "agents/host/host.hpp"
#include "agents/host/outbox.hpp"
#include "agents/host/pool.hpp"
#include "resources/clock.hpp"
#include "resources/guard_events.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <deque>
#include <set>
#include <thread>

namespace clusterd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class NoGuard : public GuardClient {
public:
    NoGuard() = default;
};

// Doors that calls wait at until the test opens them.
class Door {
public:
    void pass() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_ > 0 || wide_; });
        --waiting_;
        if (!wide_) --open_;
    }
    void let_one() {
        set([this] { ++open_; });
    }
    void let_all() {
        set([this] { wide_ = true; });
    }
    bool wait_for(int n) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, seconds(20), [&] { return waiting_ >= n; });
    }

private:
    void set(std::function<void()> f) {
        std::lock_guard lock(mutex_);
        f();
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    int waiting_ = 0, open_ = 0;
    bool wide_ = false;
};

class Host : public testing::Test {
protected:
    struct TestDriver : Driver {
        TestDriver(Host& h, DriverContext c) : host(h), context(std::move(c)) {}
        DriverOutcome probe(Instant) override { return said("probe", ResourceState::online); }
        DriverOutcome start(Instant) override {
            host.door.pass();
            if (host.throws) throw std::runtime_error("out of paper");
            return said(context.may_announce() ? "start with permit" : "start", ResourceState::online);
        }
        DriverOutcome stop(Instant) override { return said("stop", ResourceState::offline); }
        void announce(int times) override { said(times == 3 ? "announce 3" : "announce", ResourceState::online); }
        DriverOutcome said(char const* what, ResourceState s) {
            std::lock_guard lock(host.mutex);
            host.calls.push_back(what);
            host.last_context = context.changed;
            return {s, what, true};
        }
        Host& host;
        DriverContext const context;
    };
    struct TestAgent : Agent {
        explicit TestAgent(Host& h) : host(h) {}
        CheckOutcome check(Instant) override {
            host.check_door.pass();
            return {Health::ok, "checked"};
        }
        Host& host;
    };

    Host() {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socket");
        fd = ends[0];
        AgentHost::Makers makers{.driver = [this](ResourceSpec const&, DriverContext c) -> DriverPtr {
                                     return std::make_unique<TestDriver>(*this, std::move(c));
                                 },
                                 .agent = [this](HealthSpec const&, ResourceSpec const&, GuardClient&, GuardEvents&) -> AgentPtr {
                                     return std::make_unique<TestAgent>(*this);
                                 },
                                 .resources = [this](std::size_t n) { resources_told = n; },
                                 .stuck_after = seconds(2)};
        host = std::make_unique<AgentHost>("test", ends[1], guard, events, std::move(makers));
        thread = std::thread([this] {
            host->run();
            over = true;
        });
    }
    ~Host() override {
        door.let_all();
        check_door.let_all();
        host->stop();
        thread.join();
        host.reset();
        close(fd);
    }

    void say(host::Message const& m) {
        std::string const frame = *host::encode(m);
        ASSERT_EQ(send(fd, frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
    }
    std::optional<host::Message> hear(int ms = 20'000) {
        pollfd p{fd, POLLIN, 0};
        if (poll(&p, 1, ms) <= 0) return {};
        std::string buffer(host::max_frame, '\0');
        ssize_t const n = recv(fd, buffer.data(), buffer.size(), 0);
        auto m = host::decode({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))});
        EXPECT_TRUE(m) << m.error();
        return *m;
    }
    // The next message of this kind; others are passed over.
    template <class T>
    std::optional<T> next(int ms = 20'000) {
        Instant const end = boot_now() + milliseconds(ms);
        while (auto m = hear(ms_left(end)))
            if (auto* t = std::get_if<T>(&*m)) return *t;
        return {};
    }
    ResourceSpec resource(std::string const& name, Duration every = milliseconds(20), Duration timeout = seconds(20)) {
        ResourceSpec r;
        r.name = name;
        r.type = "test";
        HealthSpec h;
        h.type = "test";
        h.every = every;
        h.timeout = timeout;
        r.health = {h};
        return r;
    }
    void act(std::uint64_t ticket, ActionKind kind, std::string const& name = "one") {
        say(host::Action{ticket, kind, name, seconds(30)});
    }

    Door door, check_door;
    std::atomic<bool> throws{false}, over{false};
    std::atomic<std::size_t> resources_told{0};
    std::mutex mutex;
    std::vector<std::string> calls;
    std::function<void(DriverOutcome)> last_context;
    NoGuard guard;
    GuardEvents events;
    int fd = -1;
    std::unique_ptr<AgentHost> host;
    std::thread thread;
};

TEST_F(Host, ActionsOfOneResourceRunOneAfterTheOtherThoseOfTwoTogether) {
    say(host::Configure{resource("one")});
    say(host::Configure{resource("two")});
    act(1, ActionKind::start, "one");
    act(2, ActionKind::stop, "one");
    act(3, ActionKind::start, "two");
    ASSERT_TRUE(door.wait_for(2)) << "both starts are under way";
    EXPECT_FALSE(hear(100)) << "and the stop waits";
    door.let_all();
    std::vector<std::uint64_t> order;
    for (int i = 0; i < 3; ++i) {
        auto const done = next<host::ActionDone>();
        ASSERT_TRUE(done);
        if (done->resource == "one") order.push_back(done->ticket);
    }
    EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(Host, APermitThatHoldsIsSeenByDrivers) {
    door.let_all();
    say(host::Configure{resource("one")});
    act(1, ActionKind::start);
    EXPECT_EQ(next<host::ActionDone>()->outcome.message, "start");
    say(host::Permit{boot_now() + seconds(60)});
    act(2, ActionKind::start);
    EXPECT_EQ(next<host::ActionDone>()->outcome.message, "start with permit");
    say(host::Permit{boot_now() - seconds(1)});
    act(3, ActionKind::start);
    EXPECT_EQ(next<host::ActionDone>()->outcome.message, "start");
}

TEST_F(Host, WhatADriverNoticesIsTold) {
    say(host::Configure{resource("one")});
    act(1, ActionKind::probe);
    ASSERT_TRUE(next<host::ActionDone>());
    last_context({ResourceState::failed, "it fell", false});
    auto const told = next<host::Changed>();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->outcome, (host::State{ResourceState::failed, "it fell", false}));
}

TEST_F(Host, ADriverThatThrowsAndAnUnknownResourceAreAnswers) {
    throws = true;
    door.let_all();
    say(host::Configure{resource("one")});
    act(1, ActionKind::start);
    auto done = next<host::ActionDone>();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->outcome.state, ResourceState::unknown);
    EXPECT_NE(done->outcome.message.find("out of paper"), std::string::npos);
    act(2, ActionKind::probe, "nobody");
    done = next<host::ActionDone>();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->ticket, 2u);
    EXPECT_EQ(done->outcome.state, ResourceState::unknown);
}

TEST_F(Host, ChecksRunAtTheirPaceUntilToldNotTo) {
    check_door.let_all();
    say(host::Configure{resource("one", milliseconds(20))});
    say(host::Checks{"one", true});
    for (int i = 0; i < 5; ++i) {
        auto const seen = next<host::HealthSeen>();
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->result, Health::ok);
    }
    say(host::Checks{"one", false});
    say(host::Ping{1});
    ASSERT_TRUE(next<host::Pong>());
    EXPECT_FALSE(next<host::HealthSeen>(200));
}

TEST_F(Host, ACheckThatHangsIsUnknownOnceAndNotStartedAgain) {
    say(host::Configure{resource("one", milliseconds(20), milliseconds(50))});
    say(host::Checks{"one", true});
    auto const seen = next<host::HealthSeen>();
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->result, Health::unknown);
    EXPECT_NE(seen->message.find("50ms"), std::string::npos) << seen->message;
    EXPECT_FALSE(next<host::HealthSeen>(300)) << "it still hangs";
    ASSERT_TRUE(check_door.wait_for(1));
    check_door.let_all();
    EXPECT_EQ(next<host::HealthSeen>()->result, Health::ok) << "the late result is dropped, the next run counts";
}

TEST_F(Host, ACheckThatNeverComesBackEndsTheHostAlsoWhereItIsNotWantedAnyMore) {
    say(host::Configure{resource("one", milliseconds(20), milliseconds(50))});
    say(host::Checks{"one", true});
    ASSERT_TRUE(next<host::HealthSeen>());
    EXPECT_FALSE(over) << "not at once";
    say(host::Checks{"one", false});
    for (int i = 0; i < 4000 && !over; ++i) usleep(5'000);
    EXPECT_TRUE(over);
    EXPECT_EQ(resources_told, 1u);
}

TEST_F(Host, WhileAnActionRunsACheckThatNeverComesBackWaits) {
    say(host::Configure{resource("one", milliseconds(20), milliseconds(50))});
    act(1, ActionKind::start);
    ASSERT_TRUE(door.wait_for(1));
    say(host::Checks{"one", true});
    ASSERT_TRUE(next<host::HealthSeen>());
    EXPECT_FALSE(hear(4000)) << "longer than a check is waited for";
    EXPECT_FALSE(over);
    door.let_all();
    EXPECT_TRUE(next<host::ActionDone>());
    for (int i = 0; i < 6000 && !over; ++i) usleep(5'000);
    EXPECT_TRUE(over);
}

TEST_F(Host, ANewWorkerIsToldWhereAllStandsAndNothingOfBefore) {
    say(host::Configure{resource("one")});
    say(host::Configure{resource("two")});
    act(1, ActionKind::probe, "one");
    ASSERT_TRUE(next<host::ActionDone>());
    act(2, ActionKind::start, "two");
    ASSERT_TRUE(door.wait_for(1));
    act(3, ActionKind::stop, "two");  // waits: nobody will want it
    say(host::Hello{77});
    auto m = hear();
    ASSERT_TRUE(m && std::holds_alternative<host::Welcome>(*m));
    EXPECT_EQ(std::get<host::Welcome>(*m).session, 77u);
    auto const state = next<host::Changed>();
    ASSERT_TRUE(state);
    EXPECT_EQ(state->resource, "one");
    EXPECT_EQ(state->outcome.state, ResourceState::online);
    auto const busy = next<host::Busy>();
    ASSERT_TRUE(busy);
    EXPECT_EQ(busy->resource, "two");
    EXPECT_EQ(busy->ticket, 2u);
    EXPECT_GT(busy->left, seconds(1));
    door.let_all();
    auto const done = next<host::ActionDone>();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->ticket, 2u);
    EXPECT_FALSE(next<host::ActionDone>(200));
}

TEST_F(Host, NobodyReadingDoesntHoldItUp) {
    check_door.let_all();
    ResourceSpec r = resource("one", milliseconds(1));
    r.health.resize(20, r.health[0]);
    say(host::Configure{r});
    say(host::Checks{"one", true});
    act(1, ActionKind::probe);
    ASSERT_TRUE(next<host::ActionDone>());
    // Its socket fills up long before these are told.
    std::string const text(4000, 't');
    for (int i = 0; i < 2000; ++i) last_context({ResourceState::failed, std::to_string(i) + text, true});
    last_context({ResourceState::failed, "the newest", true});
    say(host::Ping{9});
    bool newest = false, pong = false;
    while (!newest || !pong) {
        auto m = hear();
        ASSERT_TRUE(m);
        if (auto* c = std::get_if<host::Changed>(&*m)) newest = c->outcome.message == "the newest";
        pong = pong || std::holds_alternative<host::Pong>(*m);
    }
}

TEST_F(Host, BadFramesAreIgnored) {
    std::string const junk(1000, 'j');
    ASSERT_GT(send(fd, junk.data(), junk.size(), 0), 0);
    std::string frame = *host::encode(host::Ping{3});
    frame[3] = 99;
    ASSERT_GT(send(fd, frame.data(), frame.size(), 0), 0);
    say(host::Pong{1});  // of the other direction
    say(host::Ping{4});
    auto const pong = next<host::Pong>();
    ASSERT_TRUE(pong);
    EXPECT_EQ(pong->id, 4u);
}

TEST_F(Host, AnIdleHostSleeps) {
    say(host::Configure{resource("one")});
    say(host::Ping{1});
    ASSERT_TRUE(next<host::Pong>());
    // Voluntary context switches of its thread, as the kernel counts them.
    auto const switches = [] {
        long sum = 0;
        char line[256];
        FILE* f =
            popen(("cat /proc/" + std::to_string(getpid()) + "/task/*/status 2>/dev/null | grep ^voluntary_ctxt").c_str(), "r");
        while (f && fgets(line, sizeof line, f)) sum += std::atol(line + sizeof "voluntary_ctxt_switches:" - 1);
        if (f) pclose(f);
        return sum;
    };
    long const before = switches();
    usleep(500'000);
    EXPECT_LE(switches() - before, 25) << "a few of the test itself";
}

TEST(Pool, GrowsWithTheWorkAndReusesThreads) {
    Pool pool("pool", 4);
    Door hold;
    std::atomic<int> done{0};
    for (int i = 0; i < 8; ++i) pool.post([&] { hold.pass(), ++done; });
    ASSERT_TRUE(hold.wait_for(4));
    EXPECT_EQ(done, 0);
    hold.let_all();
    for (int i = 0; i < 4000 && done < 8; ++i) usleep(5'000);
    EXPECT_EQ(done, 8);
    std::mutex mutex;
    std::set<std::thread::id> threads;
    for (int i = 0; i < 20; ++i) {
        std::atomic<bool> ran{false};
        pool.post([&] {
            std::lock_guard lock(mutex);
            threads.insert(std::this_thread::get_id());
            ran = true;
        });
        while (!ran) usleep(1'000);
    }
    EXPECT_LE(threads.size(), 4u);
}

TEST(OutboxTest, KeepsTheNewestStateAndAllRecentAnswers) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    int const size = 8 << 10;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    Outbox box;
    while (box.empty()) box.send(ends[0], host::HealthSeen{"filler", 0, Health::ok, {}, std::string(1000, 'f')});
    for (std::uint64_t i = 0; i < 3000; ++i) {
        box.send(ends[0], host::ActionDone{i, "r", {}});
        box.send(ends[0], host::Changed{"r", {ResourceState::failed, std::to_string(i), true}});
        box.send(ends[0], host::HealthSeen{"r", static_cast<std::uint32_t>(i % 2), Health::failed, {}, std::to_string(i)});
    }
    EXPECT_LE(box.size(), 1024u + 4u);
    std::vector<std::uint64_t> answers;
    std::string state;
    std::set<std::string> health;
    char buffer[8192];
    for (;;) {
        box.flush(ends[0]);
        ssize_t const n = recv(ends[1], buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0) break;
        auto m = host::decode({buffer, static_cast<std::size_t>(n)});
        ASSERT_TRUE(m);
        if (auto* a = std::get_if<host::ActionDone>(&*m)) answers.push_back(a->ticket);
        if (auto* c = std::get_if<host::Changed>(&*m)) state = c->outcome.message;
        if (auto* h = std::get_if<host::HealthSeen>(&*m); h && h->resource == "r") health.insert(h->message);
    }
    EXPECT_TRUE(box.empty());
    ASSERT_EQ(answers.size(), 1024u);
    EXPECT_EQ(answers.back(), 2999u);
    EXPECT_TRUE(std::is_sorted(answers.begin(), answers.end()));
    EXPECT_EQ(state, "2999");
    EXPECT_EQ(health, (std::set<std::string>{"2998", "2999"}));
    close(ends[0]);
    close(ends[1]);
}

}  // namespace
}  // namespace clusterd
