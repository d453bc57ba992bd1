// Which packets count as delivered before.
#include "clusterd/link/replay.hpp"

#include <gtest/gtest.h>
#include <random>
#include <set>

namespace clusterd {
namespace {

TEST(ReplayWindow, EachCounterOnceInAnyOrderWithinTheWindow) {
    ReplayWindow w;
    EXPECT_TRUE(w.accept(5000));
    EXPECT_FALSE(w.accept(5000));
    EXPECT_TRUE(w.accept(4999));
    EXPECT_FALSE(w.accept(4999));
    EXPECT_TRUE(w.accept(5000 - 1023));
    EXPECT_FALSE(w.accept(5000 - 1024));
    EXPECT_TRUE(w.accept(1u << 30));
    EXPECT_FALSE(w.accept(5001));
    EXPECT_TRUE(w.accept((1u << 30) - 1));
}

TEST(ReplayWindow, ZeroCountsToo) {
    ReplayWindow w;
    EXPECT_TRUE(w.accept(0));
    EXPECT_FALSE(w.accept(0));
    EXPECT_TRUE(w.accept(1));
    EXPECT_FALSE(w.accept(0));
}

TEST(ReplayWindow, AgreesWithASetOnRandomOrders) {
    std::mt19937 random(1);
    ReplayWindow w;
    std::set<std::uint64_t> seen;
    std::uint64_t newest = 0, base = 10000;
    int accepted = 0;
    for (int i = 0; i < 200000; ++i) {
        base += random() % 3 + (random() % 5000 == 0 ? 3000 : 0);
        std::uint64_t const counter = base - random() % 2000;
        bool const expected = (counter > newest || newest - counter < ReplayWindow::width) && !seen.contains(counter);
        ASSERT_EQ(w.accept(counter), expected) << i;
        if (expected) ++accepted, seen.insert(counter);
        newest = std::max(newest, expected ? counter : newest);
    }
    EXPECT_GT(accepted, 10000);
}

TEST(ReplayGuard, ThePeersWindowIsNeverForgottenForOthers) {
    ReplayGuard g;
    EXPECT_TRUE(g.accept(1, 100, 0));
    for (Incarnation old = 10; old < 20; ++old) EXPECT_TRUE(g.accept(old, 5, 1));
    EXPECT_FALSE(g.accept(1, 100, 1));
    EXPECT_TRUE(g.accept(1, 101, 1));
}

TEST(ReplayGuard, ANewIncarnationIsKnownBesideThePeer) {
    ReplayGuard g;
    EXPECT_TRUE(g.accept(1, 100, 1));
    EXPECT_TRUE(g.accept(2, 7, 1));
    EXPECT_FALSE(g.accept(2, 7, 1));
    EXPECT_TRUE(g.accept(2, 8, 2));  // it is the peer now
    EXPECT_TRUE(g.accept(3, 1, 2));
    EXPECT_FALSE(g.accept(2, 8, 2));
}

}  // namespace
}  // namespace clusterd
