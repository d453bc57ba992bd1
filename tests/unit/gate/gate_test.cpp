// The address gate against a real kernel: a node and a client in network namespaces of their own (world.hpp). Needs root.
#include "clusterd/gate/gate.hpp"

#include "world.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <iostream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::boot_now;
using test::World;

class GateTest : public testing::Test {
protected:
    void SetUp() override {
        if (!World::possible()) GTEST_SKIP() << "needs root: namespaces and nftables";
        world = std::make_unique<World>();
        options.notify = [this](std::string const& message) { messages.push_back(message); };
    }
    std::unique_ptr<Gate> opened() {
        auto gate = std::make_unique<Gate>(loop, options);
        EXPECT_TRUE(gate->set_addresses({World::address4, World::other4, std::string(World::address6) + "/64"}));
        auto const done = gate->open();
        EXPECT_TRUE(done) << done.error();
        return gate;
    }
    std::unique_ptr<Gate> allowing(Duration permit) {
        auto gate = opened();
        EXPECT_TRUE(gate->allow(World::address4));
        EXPECT_TRUE(gate->allow(World::address6));
        gate->permit(boot_now() + permit);
        return gate;
    }
    // Runs the loop and keeps the permit alive, as grants do.
    bool granted_until(Gate& gate, std::function<bool()> const& done, Duration limit = 10s) {
        Instant const end = boot_now() + limit;
        while (!done()) {
            if (boot_now() > end) return false;
            gate.permit(boot_now() + 1s);
            loop.run_for(10ms);
        }
        return true;
    }

    std::unique_ptr<World> world;
    test::PollLoop loop;
    GateOptions options;
    std::vector<std::string> messages;
};

TEST_F(GateTest, WithoutNftItIsUnavailableAndSaysWhy) {
    options.nft = "/nonexistent/nft";
    Gate gate(loop, options);
    auto const done = gate.open();
    ASSERT_FALSE(done);
    EXPECT_EQ(gate.state(), Gate::State::unavailable);
    EXPECT_NE(gate.reason().find("/nonexistent/nft"), std::string::npos) << gate.reason();
    EXPECT_NE(gate.reason().find("1500 ms"), std::string::npos);
    gate.permit(boot_now() + 1s);  // harmless
    EXPECT_EQ(gate.renewals(), 0u);
}

TEST_F(GateTest, AHangingNftIsKilledAtTheDeadline) {
    char script[] = "/tmp/clg-nft-XXXXXX";
    int const fd = mkstemp(script);
    ASSERT_GE(fd, 0);
    std::string const text = "#!/bin/sh\nexec sleep 1000\n";
    ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ASSERT_EQ(fchmod(fd, 0700), 0);
    close(fd);
    options.nft = script;
    options.nft_deadline = 200ms;
    Gate gate(loop, options);
    Instant const before = boot_now();
    auto const done = gate.open();
    unlink(script);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().find("didn't end in time"), std::string::npos) << done.error();
    EXPECT_LT(boot_now() - before, 5s);
}

TEST_F(GateTest, RefusesWhatIsNoAddressAndWhatIsNotTheClusters) {
    Gate gate(loop, options);
    EXPECT_FALSE(gate.set_addresses({"10.91.0.100", "ten"}));
    EXPECT_TRUE(gate.set_addresses({"10.91.0.100/24"}));
    EXPECT_TRUE(gate.allow("10.91.0.100"));
    auto const foreign = gate.allow("10.91.0.55");
    ASSERT_FALSE(foreign);
    EXPECT_NE(foreign.error().find("10.91.0.55"), std::string::npos);
    EXPECT_FALSE(gate.allow("fd91::100"));
    options.table = "a b; drop";
    Gate bad(loop, options);
    EXPECT_FALSE(bad.open());
}

TEST_F(GateTest, AnAddressIsReachableOnlyWhileItIsAllowedUnderAPermit) {
    auto gate = opened();
    for (char const* address : {World::address4, World::other4, World::address6}) EXPECT_FALSE(world->answers(address)) << address;
    EXPECT_FALSE(world->answers_arp(World::address4));
    EXPECT_TRUE(world->comes_to_answer("10.91.0.1")) << "an address that isn't the cluster's";
    EXPECT_TRUE(world->answers_arp("10.91.0.1"));

    EXPECT_TRUE(gate->allow(World::address4));
    EXPECT_TRUE(gate->allow(World::address6));
    EXPECT_FALSE(world->answers(World::address4)) << "no permit yet";
    gate->permit(boot_now() + 20s);
    EXPECT_TRUE(world->comes_to_answer(World::address4));
    EXPECT_TRUE(world->answers_arp(World::address4));
    EXPECT_TRUE(world->comes_to_answer(World::address6));
    EXPECT_FALSE(world->answers(World::other4)) << "not allowed here";
    EXPECT_FALSE(world->answers_arp(World::other4));

    EXPECT_TRUE(gate->disallow(World::address4));
    EXPECT_FALSE(world->answers(World::address4));
    EXPECT_FALSE(world->answers_arp(World::address4));
    EXPECT_TRUE(world->comes_to_answer(World::address6));
    gate->permit(boot_now() - 1s);
    EXPECT_FALSE(world->answers(World::address6)) << "the permit is void";
    gate->permit(boot_now() + 20s);
    EXPECT_TRUE(world->comes_to_answer(World::address6)) << "a new permit";
    EXPECT_EQ(gate->times_restored(), 0u);
}

TEST_F(GateTest, TheKernelSilencesItAtPermitEndThoughNothingOfOursRuns) {
    for (char const* address : {World::address4, World::address6}) {
        auto gate = allowing(20s);
        ASSERT_TRUE(world->comes_to_answer(address));
        Instant const end = boot_now() + 600ms;
        gate->permit(end);  // and from here on the loop stands still
        Instant const last = world->last_answer(address, 1200ms);
        std::cout << address << ": last answer " << static_cast<double>((end - last).count()) / 1e6 << " ms before the permit's end\n";
        EXPECT_LE(last, end) << "heard after the permit's end";
        EXPECT_GT(last, end - 300ms) << "silenced far too early";
        RecordProperty(std::string("last_answer_us_before_end_") + (address == World::address4 ? "v4" : "v6"), static_cast<int>((end - last).count() / 1000));
    }
    EXPECT_FALSE(world->answers_arp(World::address4));
}

TEST_F(GateTest, AnEstablishedConnectionIsCutAtPermitEnd) {
    auto gate = allowing(20s);
    int const connection = world->connect(World::address4);
    ASSERT_GE(connection, 0);
    ASSERT_TRUE(world->echoes(connection, 5s));
    Instant const end = boot_now() + 200ms;
    gate->permit(end);
    int echoed = 0;
    while (boot_now() < end)
        if (world->echoes(connection, 10ms)) ++echoed;
    EXPECT_GT(echoed, 0);
    char byte;
    while (recv(connection, &byte, 1, MSG_DONTWAIT) == 1) {
    }
    EXPECT_FALSE(world->echoes(connection, 500ms)) << "both directions are silent";
    gate->permit(boot_now() + 20s);
    EXPECT_TRUE(world->echoes(connection, 5s)) << "no reset: it goes on where the address comes back here";
    close(connection);
}

TEST_F(GateTest, RenewalsAreAtomicAndPacedNotOneAGrant) {
    options.renew_every = 100ms;
    auto gate = allowing(400ms);
    auto const before = gate->renewals();
    int lost = 0, asked = 0;
    Instant const end = boot_now() + 2s;
    while (boot_now() < end) {
        gate->permit(boot_now() + 400ms);
        ++asked;
        loop.run_for(2ms);
        if (!world->answers(World::address4, 100ms)) ++lost;
    }
    EXPECT_EQ(lost, 0);
    EXPECT_GT(asked, 50);
    EXPECT_LE(gate->renewals() - before, 22u);
    EXPECT_GE(gate->renewals() - before, 5u);
}

TEST_F(GateTest, AnEarlierEndCountsAtOnce) {
    auto gate = allowing(20s);
    EXPECT_TRUE(world->comes_to_answer(World::address4));
    Instant const end = boot_now() + 150ms;
    gate->permit(end);
    EXPECT_LE(world->last_answer(World::address4, 500ms), end);
    EXPECT_FALSE(world->answers(World::address4));
}

TEST_F(GateTest, AFlushedRulesetIsPutBackAtOnceWithTheElements) {
    auto gate = allowing(1s);
    int const connection = world->connect(World::address4);
    ASSERT_GE(connection, 0);
    for (std::uint64_t time = 1; time <= 5; ++time) {
        world->node("nft flush ruleset");
        Instant const flushed = boot_now();
        ASSERT_TRUE(granted_until(*gate, [&] { return gate->times_restored() == time && gate->state() == Gate::State::active; }));
        std::cout << "put back after " << to_ms(boot_now() - flushed) << " ms\n";
        EXPECT_FALSE(world->answers(World::other4)) << "closed again";
        EXPECT_FALSE(world->answers_arp(World::other4));
        ASSERT_TRUE(granted_until(*gate, [&] { return world->answers(World::address4); }));
        EXPECT_TRUE(world->comes_to_answer(World::address6));
        EXPECT_TRUE(world->echoes(connection, 5s));
    }
    ASSERT_FALSE(messages.empty());
    EXPECT_NE(messages.front().find("nft flush ruleset"), std::string::npos) << messages.front();
    close(connection);
}

TEST_F(GateTest, PuttingItBackClosesNothingThatMayBeOpen) {
    options.interfaces = {"clg-n"};  // with egress chains, where the kernel has them: a third table to put back
    auto gate = allowing(60s);
    ASSERT_TRUE(world->comes_to_answer(World::address4));
    ASSERT_TRUE(world->comes_to_answer(World::address6));
    int asked = 0;
    for (std::uint64_t time = 1; time <= 5; ++time) {
        world->node("nft flush ruleset");
        Instant const limit = boot_now() + 10s;
        while (gate->times_restored() < time || gate->state() != Gate::State::active) {
            ASSERT_LT(boot_now(), limit) << gate->reason();
            loop.run_for(1ms);
            for (char const* address : {World::address4, World::address6})
                EXPECT_TRUE(world->answers(address, 1s)) << address << " after flush " << time << ", request " << asked;
            ++asked;
        }
        EXPECT_FALSE(world->answers(World::other4)) << "closed again";
    }
    EXPECT_GT(asked, 5);
}

TEST_F(GateTest, RulesChainsSetsAndElementsTakenAwayAloneArePutBackToo) {
    auto gate = allowing(1s);
    std::uint64_t time = 0;
    for (char const* command : {"nft flush table inet clusterd", "nft delete table arp clusterd", "nft flush chain inet clusterd output",
                                "nft delete element inet clusterd cluster4 { 10.91.0.101 }", "nft flush set arp clusterd cluster4"}) {
        SCOPED_TRACE(command);
        world->node(command);
        ++time;
        ASSERT_TRUE(granted_until(*gate, [&] { return gate->times_restored() == time && gate->state() == Gate::State::active; }));
        EXPECT_FALSE(world->answers(World::other4));
        EXPECT_FALSE(world->answers_arp(World::other4));
        ASSERT_TRUE(granted_until(*gate, [&] { return world->answers(World::address4); }));
    }
    // What others do in tables of their own is none of our business.
    world->node("nft add table inet others; nft add chain inet others c; nft delete table inet others");
    loop.run_for(100ms);
    EXPECT_EQ(gate->times_restored(), time);
}

TEST_F(GateTest, AFlushAfterPermitEndOpensNothing) {
    auto gate = allowing(50ms);
    loop.run_for(100ms);
    world->node("nft flush ruleset");
    ASSERT_TRUE(loop.run_until([&] { return gate->times_restored() == 1 && gate->state() == Gate::State::active; }, 10s));
    EXPECT_FALSE(world->answers(World::address4));
    EXPECT_FALSE(world->answers_arp(World::address4));
}

TEST_F(GateTest, AWorkerThatFollowsADeadOneCutsNothingAndProlongsNothing) {
    auto first = allowing(20s);
    Instant const end = boot_now() + 1500ms;
    first->permit(end);
    auto second = opened();  // as after kill -9: the tables stand, and nobody tidied up
    EXPECT_TRUE(world->comes_to_answer(World::address4));
    EXPECT_LE(world->last_answer(World::address4, end - boot_now() + 300ms), end);
    EXPECT_FALSE(world->answers(World::address4));
    EXPECT_TRUE(second->allow(World::address4));
    second->permit(boot_now() + 20s);
    EXPECT_TRUE(world->comes_to_answer(World::address4));
}

TEST_F(GateTest, AddressesCanChangeWhileItStands) {
    auto gate = allowing(20s);
    EXPECT_TRUE(gate->set_addresses({World::other4}));
    EXPECT_TRUE(world->comes_to_answer(World::address4)) << "no longer the cluster's";
    EXPECT_TRUE(gate->set_addresses({World::address4, World::other4}));
    EXPECT_FALSE(world->answers(World::address4)) << "the cluster's again, and not allowed yet";
    EXPECT_TRUE(gate->allow(World::other4));
    EXPECT_TRUE(world->comes_to_answer(World::other4));
    world->node("nft flush ruleset");
    ASSERT_TRUE(granted_until(*gate, [&] { return gate->times_restored() == 1 && gate->state() == Gate::State::active; }));
    EXPECT_FALSE(world->answers(World::address4));
}

TEST_F(GateTest, TheNodeItselfReachesItThroughLo) {
    auto gate = opened();
    world->node("ping -c 1 -W 5 10.91.0.100 >/dev/null");
}

TEST_F(GateTest, AnnouncementsPastTheArpChainAreStoppedWhereTheKernelHasEgressHooks) {
    options.interfaces = {"clg-n"};
    auto gate = opened();
    if (!gate->announcements_gated()) GTEST_SKIP() << "this kernel has no netdev egress hook: " << (messages.empty() ? "" : messages.front());
    auto const heard = [&] {
        world->client("ip neigh replace 10.91.0.100 lladdr 02:00:00:00:00:01 dev clg-c nud stale");
        world->node("arping -U -c 2 -w 1 -I clg-n -s 10.91.0.100 10.91.0.100 >/dev/null; true");
        bool changed = false;
        world->client_thread().run([&] { changed = std::system("ip neigh show 10.91.0.100 dev clg-c | grep -q 02:00:00:00:00:01") != 0; });
        return changed;
    };
    EXPECT_FALSE(heard());
    EXPECT_TRUE(gate->allow(World::address4));
    gate->permit(boot_now() + 20s);
    EXPECT_TRUE(heard());
    world->node("nft flush ruleset");
    ASSERT_TRUE(loop.run_until([&] { return gate->times_restored() >= 1 && gate->state() == Gate::State::active; }, 10s));
    EXPECT_TRUE(gate->announcements_gated());
    EXPECT_TRUE(gate->disallow(World::address4));
    EXPECT_FALSE(heard());
}

TEST_F(GateTest, TheTablesGoOnlyIfAsked) {
    { auto gate = opened(); }
    world->node("nft list table inet clusterd >/dev/null");
    options.remove_on_close = true;
    { auto gate = opened(); }
    world->node("! nft list table inet clusterd 2>/dev/null");
    world->node("! nft list table arp clusterd 2>/dev/null");
}

}  // namespace
}  // namespace clusterd
