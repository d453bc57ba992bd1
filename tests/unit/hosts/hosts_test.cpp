// The worker's side of the agent hosts, with real cluster-agent processes: what hangs, what dies, and who hears of it.
#include "tests/unit/hosts/world.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <fstream>
#include <iterator>

namespace clusterd {
namespace {

using std::chrono::milliseconds;

class WithAgents : public World {
protected:
    ~WithAgents() override { hosts.reset(); }
    HostGuard guard;
};

// A port that takes connections into its backlog, and a check of it.
class Listener {
public:
    Listener() {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 || listen(fd_, 4096) != 0 ||
            getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
            throw std::runtime_error("no port");
        }
        port_ = ntohs(at.sin_port);
    }
    ~Listener() { close(fd_); }
    HealthSpec check() const {
        HealthSpec h;
        h.type = "tcp";
        h.every = milliseconds(50);
        h.timeout = std::chrono::seconds(20);
        h.attributes = {{"address", "127.0.0.1"}, {"port", std::to_string(port_)}};
        return h;
    }

private:
    int fd_ = -1, port_ = 0;
};

TEST_F(WithAgents, ActionsAreAnswered) {
    resource("one");
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::probe, "one"), ResourceState::offline);
    EXPECT_EQ(state_after(2, ActionKind::start, "one"), ResourceState::online);
    EXPECT_EQ(state_after(3, ActionKind::probe, "one"), ResourceState::online);
    EXPECT_EQ(state_after(4, ActionKind::stop, "one"), ResourceState::offline);
    EXPECT_EQ(state_after(5, ActionKind::kill, "one"), ResourceState::offline);
    EXPECT_TRUE(events.empty()) << "one answer each";
}

TEST_F(WithAgents, WhatADriverNoticesIsDelivered) {
    resource("one", {{"crash-after", "50ms"}});
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::start, "one"), ResourceState::online);
    auto const crashed = answer(0, "one");
    ASSERT_TRUE(crashed);
    EXPECT_EQ(crashed->state, ResourceState::failed);
}

TEST_F(WithAgents, AnUnknownResourceIsAnswered) {
    resource("one");
    begin(guard);
    act(7, ActionKind::start, "nobody");
    EXPECT_TRUE(events.empty()) << "never from within the call";
    auto const a = answer(7, "nobody");
    ASSERT_TRUE(a);
    EXPECT_EQ(a->state, ResourceState::unknown);
}

TEST_F(WithAgents, ChecksRunWhileAskedForAndGoOnAfterTheirHostWasKilled) {
    Listener listener;
    resource("one").health = {listener.check()};
    begin(guard);
    hosts->perform(effect::Checks{"one", true});
    ASSERT_TRUE(until([&] { return health_results("one") >= 3; }));
    auto const& seen = std::get<event::HealthResult>(events[0]);
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    EXPECT_EQ(seen.check, 0);
    kill(guard.pid("checks"), SIGKILL);
    events.clear();
    ASSERT_TRUE(until([&] { return health_results("one") >= 3; }));
    hosts->perform(effect::Checks{"one", false});
    drain();
    events.clear();
    EXPECT_FALSE(until([&] { return health_results("one") > 0; }, 300));
}

TEST_F(WithAgents, AHostThatHangsIsKilledAndItsActionsAreUnknown) {
    resource("one");
    resource("two");
    resource("apart", {}, true);
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::probe, "one"), ResourceState::offline);
    pid_t const hung = guard.pid("drivers");
    kill(hung, SIGSTOP);
    act(2, ActionKind::start, "one", 300);
    act(3, ActionKind::start, "two", 20'000);
    act(4, ActionKind::prepare, "two", 20'000);
    EXPECT_EQ(state_after(5, ActionKind::start, "apart"), ResourceState::online) << "a host of its own isn't concerned";
    auto const first = answer(2, "one"), second = answer(3, "two");
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->state, ResourceState::unknown);
    EXPECT_EQ(first->message, "agent host drivers was killed: the start of one did not return in 1.3s");
    EXPECT_EQ(second->state, ResourceState::unknown);
    EXPECT_EQ(kills(), 1);
    EXPECT_EQ(state_after(6, ActionKind::start, "one"), ResourceState::online) << "in a new one";
    EXPECT_NE(guard.pid("drivers"), hung);
    EXPECT_TRUE(events.empty());
}

TEST_F(WithAgents, OneThatCantBeKilledIsReplacedAndOnlyWhatHangsInItIsLeftAlone) {
    resource("one");
    resource("two");
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::start, "two"), ResourceState::online);
    pid_t const hung = guard.pid("drivers");
    kill(hung, SIGSTOP);
    guard.unkillable = true;
    act(2, ActionKind::probe, "one", 300);
    ASSERT_TRUE(answer(2, "one"));
    // What is asked before the old one is given up is told to be unknown, and asked again by the core.
    ASSERT_TRUE(until([&] {
        pid_t const now = guard.pid("drivers");
        return now != 0 && now != hung;
    }));
    EXPECT_EQ(state_after(3, ActionKind::stop, "two"), ResourceState::offline) << "by another host";
    EXPECT_NE(guard.pid("drivers"), hung);
    EXPECT_EQ(kill(hung, 0), 0) << "the old one is there (else this shows nothing)";
    for (ActionKind kind : {ActionKind::probe, ActionKind::start, ActionKind::kill}) {
        act(4, kind, "one");
        auto const unknown = answer(4, "one");
        ASSERT_TRUE(unknown);
        EXPECT_EQ(unknown->state, ResourceState::unknown);
        EXPECT_EQ(unknown->message, "agent host drivers can't be killed; the state of one is found out once that has ended");
    }
    pid_t const second = guard.pid("drivers");
    hosts->host_gone("drivers");
    act(5, ActionKind::probe, "one");
    EXPECT_EQ(answer(5, "one")->state, ResourceState::unknown) << "it was another host that ended";
    hosts->host_gone("drivers~" + std::to_string(hung));
    EXPECT_EQ(state_after(6, ActionKind::probe, "one"), ResourceState::offline);
    EXPECT_EQ(guard.pid("drivers"), second);
    EXPECT_EQ(kills(), 1);
}

TEST_F(WithAgents, AHostThatLeaksEndsAndChecksGoOn) {
    if (SANITIZED) GTEST_SKIP() << "a sanitizer's own memory is beyond any limit";
    guard.preload = std::string(BINARY_DIR) + "/bin/lab-harm.so";
    std::string const orders = directory + "/harm";
    setenv("CLUSTERD_TEST_HARM", orders.c_str(), 1);
    guard.said_in = directory + "/said";
    guard.memory = 128u << 20;
    Listener listener;
    resource("one").health = {listener.check()};
    resource("two", {{"start-delay", "1ms"}});
    begin(guard);
    hosts->perform(effect::Checks{"one", true});
    ASSERT_TRUE(until([&] { return health_results("one") >= 2; }));
    pid_t const drivers = guard.pid("drivers"), checks = guard.pid("checks");
    std::ofstream(orders) << "checks leak 16";
    ASSERT_TRUE(until([&] { return guard.pid("checks") != checks; })) << "it never ended";
    std::ifstream file(guard.said_in);
    std::string said((std::istreambuf_iterator<char>(file)), {});
    EXPECT_NE(said.find("cluster-agent checks: it has used up the 128 MiB of memory that an agent host may have"), std::string::npos) << said;
    std::filesystem::remove(orders);
    events.clear();
    EXPECT_TRUE(until([&] { return health_results("one") >= 3; })) << "the next one goes on";
    EXPECT_EQ(state_after(9, ActionKind::start, "two"), ResourceState::online);
    EXPECT_EQ(guard.pid("drivers"), drivers) << "the other host isn't concerned";
    EXPECT_EQ(kills(), 0);
    unsetenv("CLUSTERD_TEST_HARM");
}

TEST_F(WithAgents, AHostThatDiesIsReplacedAndWhatItWatchedIsFoundOutAgain) {
    resource("same");
    resource("gone");
    resource("busy", {{"start-delay", "10s"}});
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::start, "same"), ResourceState::online);
    EXPECT_EQ(state_after(2, ActionKind::start, "gone"), ResourceState::online);
    act(3, ActionKind::start, "busy");
    drain();
    std::filesystem::remove(directory + "/dummy/gone");  // unseen by anybody
    kill(guard.pid("drivers"), SIGKILL);
    hosts->host_gone("drivers");
    auto const busy = answer(3, "busy");
    ASSERT_TRUE(busy);
    EXPECT_EQ(busy->state, ResourceState::unknown);
    EXPECT_NE(busy->message.find("drivers"), std::string::npos);
    auto const gone = answer(0, "gone");
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->state, ResourceState::offline);
    EXPECT_EQ(state_after(4, ActionKind::probe, "same"), ResourceState::online);
    EXPECT_TRUE(events.empty()) << "nothing is told of what is as it was";
    EXPECT_EQ(kills(), 0);
}

TEST_F(WithAgents, AWorkerThatFollowsADeadOneMeetsTheSameHosts) {
    resource("one", {{"start-delay", "1s"}});
    resource("two", {{"crash-after", "400ms"}});
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::start, "two"), ResourceState::online);
    act(2, ActionKind::start, "one");
    drain();
    pid_t const before = guard.pid("drivers");
    hosts.reset();  // the worker dies; the start goes on, and `two` crashes while nobody listens
    events.clear();
    usleep(600'000);
    begin(guard);
    act(1, ActionKind::probe, "one", 100);  // shorter than what is left of the start: it waits for that
    auto const started = answer(0, "one");
    ASSERT_TRUE(started);
    EXPECT_EQ(started->state, ResourceState::online);
    auto const probed = answer(1, "one");
    ASSERT_TRUE(probed);
    EXPECT_EQ(probed->state, ResourceState::online);
    auto const crashed = answer(0, "two");
    ASSERT_TRUE(crashed);
    EXPECT_EQ(crashed->state, ResourceState::failed);
    EXPECT_EQ(guard.pid("drivers"), before);
    EXPECT_EQ(kills(), 0);
}

TEST_F(WithAgents, ALoopThatStoodStillDoesntBlameTheHost) {
    resource("one", {{"start-delay", "100ms"}});
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::probe, "one"), ResourceState::offline);
    act(2, ActionKind::start, "one", 500);
    drain();
    usleep(2'300'000);  // past timeout and grace; the answer waits in the socket
    auto const started = answer(2, "one");
    ASSERT_TRUE(started);
    EXPECT_EQ(started->state, ResourceState::online) << started->message;
    EXPECT_EQ(kills(), 0);
}

TEST_F(WithAgents, ActionsOfOneResourceWaitForEachOtherWithoutBeingBlamed) {
    resource("one", {{"start-delay", "1500ms"}});
    begin(guard);
    act(1, ActionKind::start, "one");
    act(2, ActionKind::probe, "one", 100);
    auto const probed = answer(2, "one");
    ASSERT_TRUE(probed);
    EXPECT_EQ(probed->state, ResourceState::online) << probed->message;
    EXPECT_EQ(kills(), 0);
}

TEST_F(WithAgents, AChangedConfigurationReachesTheHosts) {
    resource("one");
    resource("apart", {}, true);
    begin(guard);
    EXPECT_EQ(state_after(1, ActionKind::start, "one"), ResourceState::online);
    EXPECT_EQ(state_after(2, ActionKind::start, "apart"), ResourceState::online);
    EXPECT_EQ(state_after(3, ActionKind::stop, "apart"), ResourceState::offline);
    spec.groups[0].resources.pop_back();
    spec.groups[0].resources[0].attributes = {{"crash-after", "50ms"}};
    hosts->configure(spec);
    auto const crashed = answer(0, "one");  // it was probed, so that it is watched by its new rules
    ASSERT_TRUE(crashed);
    EXPECT_EQ(crashed->state, ResourceState::failed);
    EXPECT_TRUE(until([&] { return guard.pid("r-apart") == 0; })) << "its host isn't needed any more";
    resource("new");
    hosts->configure(spec);
    EXPECT_EQ(state_after(4, ActionKind::start, "new"), ResourceState::online);
}

TEST_F(WithAgents, AHostThatCantBeStartedIsSaidAndTriedAgain) {
    guard.refuse = true;
    resource("one");
    begin(guard);
    act(1, ActionKind::probe, "one");
    auto const a = answer(1, "one");
    ASSERT_TRUE(a);
    EXPECT_EQ(a->state, ResourceState::unknown);
    EXPECT_NE(a->message.find("no more processes"), std::string::npos) << a->message;
    guard.refuse = false;
    EXPECT_EQ(state_after(2, ActionKind::start, "one"), ResourceState::online);
}

// A host that is the test itself.
class ScriptedGuard : public GuardClient {
public:
    ScriptedGuard() {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socket");
    }
    ~ScriptedGuard() override { close(ends[0]), close(ends[1]); }
    Result<int> host(std::string const&) override { return dup(ends[0]); }
    Result<Done> kill_host(std::string const&) override { return Done{}; }
    void say(host::Message const& m) {
        std::string const f = *host::encode(m);
        ASSERT_EQ(send(ends[1], f.data(), f.size(), 0), static_cast<ssize_t>(f.size()));
    }
    std::optional<host::Message> hear() {
        std::string buffer(host::max_frame, '\0');
        ssize_t const n = recv(ends[1], buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n <= 0) return {};
        return *host::decode({buffer.data(), static_cast<std::size_t>(n)});
    }
    int ends[2];
};

class Scripted : public World {
protected:
    ~Scripted() override { hosts.reset(); }
    template <class T>
    std::optional<T> next(std::int64_t ms = 20'000) {
        std::optional<T> found;
        until(
            [&] {
                while (auto m = guard.hear()) {
                    if (auto* t = std::get_if<T>(&*m)) {
                        found = *t;
                        return true;
                    }
                }
                return false;
            },
            ms);
        return found;
    }
    ScriptedGuard guard;
};

TEST_F(Scripted, WhatWasMeantForTheWorkerBeforeIsPassedOver) {
    resource("one");
    guard.say(host::Changed{"one", {ResourceState::failed, "old news", true}});
    begin(guard);
    auto const hello = next<host::Hello>();
    ASSERT_TRUE(hello);
    guard.say(host::Welcome{hello->session + 1});
    guard.say(host::Changed{"one", {ResourceState::failed, "of another worker", true}});
    guard.say(host::Welcome{hello->session});
    guard.say(host::Changed{"nobody", {ResourceState::failed, "not configured", true}});
    guard.say(host::ActionDone{12345, "one", {ResourceState::failed, "nobody asked", true}});
    guard.say(host::Changed{"one", {ResourceState::failed, "news", true}});
    auto const told = answer(0, "one");
    ASSERT_TRUE(told);
    EXPECT_EQ(told->message, "news");
    EXPECT_TRUE(events.empty());
}

TEST_F(Scripted, PermitsAreToldOnlyWhereAnAddressMayBeAnnounced) {
    resource("one");
    begin(guard);
    auto const hello = next<host::Hello>();
    ASSERT_TRUE(hello);
    guard.say(host::Welcome{hello->session});
    ASSERT_TRUE(next<host::Permit>());  // at the first meeting
    hosts->perform(effect::Permit{Instant{100}});
    EXPECT_FALSE(next<host::Permit>(100)) << "an idle host is let sleep";
    act(1, ActionKind::prepare, "one");
    auto asked = next<host::Action>();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->kind, ActionKind::prepare);
    guard.say(host::ActionDone{asked->ticket, "one", {}});
    act(2, ActionKind::start, "one");
    auto permit = next<host::Permit>();
    ASSERT_TRUE(permit);
    EXPECT_EQ(permit->end, Instant{100}) << "before the start";
    asked = next<host::Action>();
    ASSERT_TRUE(asked);
    hosts->perform(effect::Permit{Instant{200}});
    permit = next<host::Permit>();
    ASSERT_TRUE(permit);
    EXPECT_EQ(permit->end, Instant{200});
    guard.say(host::ActionDone{asked->ticket, "one", {ResourceState::online, "", true}});
    ASSERT_TRUE(answer(2, "one"));
    hosts->perform(effect::Permit{Instant{300}});
    EXPECT_TRUE(next<host::Permit>()) << "announcements follow the start";
    EXPECT_TRUE(events.empty()) << "a prepare has no answer";
}

TEST_F(Scripted, AKillIsntLeftWaitingBehindAStart) {
    resource("one");
    begin(guard);
    auto const hello = next<host::Hello>();
    ASSERT_TRUE(hello);
    guard.say(host::Welcome{hello->session});
    act(1, ActionKind::start, "one", 600'000);
    act(2, ActionKind::kill, "one", 100);
    auto const killed = answer(2, "one", 10'000);
    ASSERT_TRUE(killed);
    EXPECT_EQ(killed->state, ResourceState::unknown);
    EXPECT_NE(killed->message.find("the kill of one"), std::string::npos) << killed->message;
    EXPECT_TRUE(answer(1, "one"));
    EXPECT_EQ(kills(), 1);
}

}  // namespace
}  // namespace clusterd
