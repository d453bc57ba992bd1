// A worker that goes on as the incarnation its predecessor was: what it must not take for granted.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

// The node's worker dies and is followed by one of the same incarnation; false where it was a new one, which happens, too.
bool goes_on(Pair& p, NodeIndex n) {
    std::uint64_t const incarnation = p.c.machine(n).incarnation;
    p.c.kill_worker(n, 50 * ms);
    p.run(3 * s);
    return p.c.machine(n).node && p.c.machine(n).incarnation == incarnation;
}

template <class Test>
void for_each_that_goes_on(Test test) {
    int went_on = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Pair p(config(), seed);
        went_on += test(p) ? 1 : 0;
    }
    EXPECT_GT(went_on, 0);
}

TEST(GoingOn, ALeaderStartsAgainWhatFails) {
    for_each_that_goes_on([](Pair& p) {
        NodeIndex const leader = p.leader();
        if (!goes_on(p, leader)) return false;
        EXPECT_EQ(p.c.machine(leader).resume.role, Role::joined);
        NodeIndex const owner = p.web().owner;
        p.dies(owner, "web-server");
        EXPECT_TRUE(p.web_on(owner));
        return true;
    });
}

TEST(GoingOn, ALeaderDecidesOnceMoreForWhatItStoredMayNeverHaveBeenSent) {
    for_each_that_goes_on([](Pair& p) {
        NodeIndex const leader = p.leader();
        DecisionId const before = id_of(p.c.machine(leader).node->decision());
        if (!goes_on(p, leader)) return false;
        EXPECT_GT(id_of(p.c.machine(leader).node->decision()), before);
        EXPECT_EQ(id_of(p.c.machine(a).node->decision()), id_of(p.c.machine(b).node->decision()));
        return true;
    });
}

TEST(GoingOn, TheIncarnationsThatAreOverStayOver) {
    for_each_that_goes_on([](Pair& p) {
        std::uint64_t const over = p.c.machine(b).incarnation;
        p.c.power_cut(b);
        p.run(5 * s);
        p.c.power_on(b);
        p.run(5 * s);
        if (!goes_on(p, a)) return false;
        EXPECT_EQ(p.c.machine(a).node->resume_state().former[0], over);
        Heartbeat late;  // of the dead one, and it names this node
        late.from = b;
        late.incarnation = over;
        late.echo = {p.c.machine(a).incarnation, p.c.clock(a)};
        Term const term = p.c.machine(a).resume.joined_term;
        (void)p.c.machine(a).node->step(p.c.now_at(a), event::HeartbeatReceived{late, 0});
        p.run(2 * s);
        EXPECT_EQ(p.c.machine(a).resume.joined_term, term) << "left and joined anew";
        EXPECT_EQ(p.c.machine(a).resume.role, Role::joined);
        return true;
    });
}

// A predecessor may have given its permit back and died before it told guard and gate.
TEST(GoingOn, GuardAndGateAreToldWhatIsLeftOfThePermitAlsoIfItIsNothing) {
    Pair p;
    StartState start;
    start.self = a;
    start.incarnation = 77;
    start.seed = p.c.setup.config;
    start.resume = ResumeState{};
    start.resume->incarnation = 77;
    start.resume->permit_end = long_ago;
    Now const now{Instant{100 * s}, 0, 0};
    for (bool const left : {false, true}) {
        Instant const end = left ? Instant{100 * s + 500 * ms} : long_ago;
        start.resume->permit_end = end;
        Node node(start, now);
        Effects const effects = node.step(now, event::Tick{});
        auto const told = std::find_if(effects.begin(), effects.end(), [](Effect const& e) { return std::holds_alternative<effect::Permit>(e); });
        ASSERT_NE(told, effects.end());
        EXPECT_EQ(std::get<effect::Permit>(*told).end, end);
    }
}

}  // namespace
