// When is another machine that answers for an address worth a word, and when is it over?
#include "clusterd/address/conflicts.hpp"

#include <gtest/gtest.h>

namespace clusterd::net {
namespace {

using namespace std::chrono_literals;
using Word = Conflicts::Word;
constexpr Mac mallory{2, 0, 0, 0, 0, 0x66}, eve{2, 0, 0, 0, 0, 0x67};
constexpr Instant start{1'000'000'000'000};

TEST(Conflicts, OneSightingIsASuspicionASecondOneLaterIsTold) {
    Conflicts c;
    EXPECT_EQ(c.seen("web-ip", mallory, start), Word::suspected);
    EXPECT_EQ(c.seen("web-ip", mallory, start + 400ms), Word::suspected) << "one packet, repeated by a switch";
    EXPECT_TRUE(c.open().empty());
    EXPECT_EQ(c.seen("web-ip", mallory, start + 700ms), Word::begun);
    EXPECT_EQ(c.seen("web-ip", mallory, start + 10s), Word::known) << "told once";
    EXPECT_EQ(c.open(), (std::vector<Conflicts::Conflict>{{"web-ip", mallory}}));
}

TEST(Conflicts, ASuspicionThatCameToNothingStartsAnew) {
    Conflicts c;
    EXPECT_EQ(c.seen("web-ip", mallory, start), Word::suspected);
    EXPECT_EQ(c.seen("web-ip", mallory, start + 1h), Word::suspected);
    EXPECT_EQ(c.seen("web-ip", mallory, start + 1h + 1s), Word::begun);
}

TEST(Conflicts, ItIsOverWhenItWasNotSeenForLong) {
    Conflicts c;
    (void)c.seen("web-ip", mallory, start);
    (void)c.seen("web-ip", eve, start);
    (void)c.seen("web-ip", mallory, start + 1s);
    EXPECT_TRUE(c.over(start + 1s + Conflicts::over_after).empty());
    EXPECT_EQ(c.over(start + 2s + Conflicts::over_after), (std::vector<Conflicts::Conflict>{{"web-ip", mallory}})) << "and of eve there was no word";
    EXPECT_TRUE(c.open().empty());
    EXPECT_EQ(c.seen("web-ip", mallory, start + 2min), Word::suspected);
    EXPECT_EQ(c.seen("web-ip", mallory, start + 2min + 1s), Word::begun) << "a new one";
}

TEST(Conflicts, TwoAddressesAndTwoMachinesAreKeptApart) {
    Conflicts c;
    (void)c.seen("web-ip", mallory, start);
    EXPECT_EQ(c.seen("mail-ip", mallory, start + 1s), Word::suspected);
    EXPECT_EQ(c.seen("web-ip", eve, start + 1s), Word::suspected);
    EXPECT_EQ(c.seen("web-ip", mallory, start + 1s), Word::begun);
    c.forget("web-ip");
    EXPECT_TRUE(c.open().empty());
    EXPECT_EQ(c.seen("mail-ip", mallory, start + 2s), Word::begun);
}

}  // namespace
}  // namespace clusterd::net
