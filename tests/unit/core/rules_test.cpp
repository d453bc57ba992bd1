// Rules of protocol.md that random worlds hardly ever need, each by the one story in which it is all that stands between two owners, or
// between a pair and the loss of what it had decided. tests/mutants breaks them; these notice.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

void cut(Pair& p, bool on) {
    p.c.cut(a, on);
    p.c.cut(b, on);
}

// Two nodes that lost their stores have nothing to go on with; what the disk knows must not be forgotten by founding the cluster anew.
TEST(Rules, TwoBlankStoresFoundNothingNew) {
    Pair p;
    p.c.power_cut(a);
    p.c.power_cut(b);
    p.c.lose_store(a);
    p.c.lose_store(b);
    p.c.power_on(a);
    p.c.power_on(b);
    p.run(10 * s);
    for (auto n : {a, b}) {
        EXPECT_EQ(p.c.machine(n).resume.role, Role::seeking);
        EXPECT_TRUE(p.nothing_on(n));
    }
}

// A disk that was put in the old one's place: it never heard of the decision, so it gives no permits.
TEST(Rules, ADiskThatIsNotListedIsNoVote) {
    Pair p;
    p.c.power_cut(b);
    p.run(5 * s);
    ASSERT_TRUE(p.web_on(a));
    QuorumDisk other_one;
    other_one.id = p.c.disk.id + 1;
    other_one.cluster = p.c.disk.cluster;
    p.c.disk = other_one;
    p.run(5 * s);
    EXPECT_FALSE(p.c.permitted(a));
    EXPECT_TRUE(p.nothing_on(a));
}

// A pair whose disk failed just when it made its first decision writes to it as soon as it answers: a fresh one would let a node that lost its
// store found the cluster anew.
TEST(Rules, AJoinedPairLeavesNoDiskFresh) {
    Cluster c({config(), 1});
    c.power_on(a);
    c.power_on(b);
    while (c.now < 10 * s && c.machine(a).resume.role != Role::joined) c.run_until(c.now + ms / 10);
    c.disk_fails(a, true);
    c.disk_fails(b, true);
    c.run_until(c.now + 3 * s);
    c.disk_fails(a, false);
    c.disk_fails(b, false);
    c.run_until(c.now + 5 * s);
    ASSERT_NE(c.machine(b).stored, nullptr);
    c.power_cut(a);
    c.power_cut(b);
    c.lose_store(a);
    c.power_on(a);
    c.run_until(c.now + 10 * s);
    EXPECT_EQ(c.machine(a).resume.role, Role::seeking) << "it knows nothing, and can't know that";
}

// A stop mark is of the term in which its node last stopped; for a new process as for its predecessor, one from before a later join is none.
TEST(Rules, ANewProcessKnowsInWhichTermItsPredecessorWasJoined) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(seed);
        Pair p(config(), seed);
        cut(p, true);
        p.c.disk_fails(a, true);
        p.run(5 * s);  // beta wins the disk
        p.c.disk_fails(a, false);
        p.c.disk_fails(b, true);
        p.run(5 * s);  // beta stops
        p.c.disk_fails(b, false);
        p.run(100 * ms);  // and marks its slot, before anybody wins
        cut(p, false);
        p.run(10 * s);
        ASSERT_EQ(p.order(a, Verb::move, "web", "beta"), Outcome::done);
        cut(p, true);  // beta goes on with what alpha granted it last
        p.c.disk_fails(b, true);
        p.c.kill_service(a);
        p.c.start_service(a);
        p.run(5 * s);  // two owners would be noticed by themselves
        EXPECT_TRUE(p.web_on(a));
    }
}

// An offer is to one process: its successor was never asked what it has.
TEST(Rules, AnOfferToThePredecessorIsNotTaken) {
    Pair p;
    p.c.power_cut(b);
    p.run(5 * s);
    cut(p, true);
    p.c.disk_fails(a, true);
    p.run(5 * s);  // alpha seeks, and hears nobody
    auto& m = p.c.machine(a);
    ASSERT_EQ(m.resume.role, Role::seeking);
    Heartbeat h;
    h.from = b;
    h.incarnation = m.resume.peer_incarnation;
    h.sent = p.c.clock(b);
    h.highest = h.offer.term = m.terms.highest + (leader_of(m.terms.highest + 1) == b ? 1 : 2);
    h.offer.to = m.incarnation + 1;
    h.echo = {m.incarnation, p.c.clock(a)};
    for (Effect const& e : m.node->step(p.c.now_at(a), event::HeartbeatReceived{h, 0})) {
        auto const* x = std::get_if<effect::Persist>(&e);
        EXPECT_TRUE(!x || x->terms.joined < h.offer.term);
    }
    EXPECT_EQ(m.node->resume_state().peer_incarnation, h.incarnation) << "else this shows nothing";
}

}  // namespace
