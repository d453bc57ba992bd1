// The bounds-checked Reader and its Writer.
#include "clusterd/wire/bytes.hpp"

#include <gtest/gtest.h>

namespace clusterd::wire {
namespace {

TEST(Bytes, NumbersAreLittleEndian) {
    Writer w;
    w.u16(0x0102);
    w.u32(0x03040506);
    w.u64(0x0708090a0b0c0d0e);
    EXPECT_EQ(w.view(), std::string_view("\x02\x01\x06\x05\x04\x03\x0e\x0d\x0c\x0b\x0a\x09\x08\x07", 14));
}

TEST(Bytes, EverythingComesBack) {
    Writer w;
    w.u8(255);
    w.u16(65535);
    w.u32(0xffffffff);
    w.u64(0xffffffffffffffff);
    w.i32(-2);
    w.i64(INT64_MIN);
    w.boolean(true);
    w.instant(long_ago);
    w.decision_id({1, 2});
    w.enumeration(NodeIndex::b);
    w.bytes(std::array<std::uint8_t, 3>{1, 2, 3});
    w.string(std::string_view("a\0b", 3));
    Reader r(w.view());
    EXPECT_EQ(r.u8(), 255);
    EXPECT_EQ(r.u16(), 65535);
    EXPECT_EQ(r.u32(), 0xffffffff);
    EXPECT_EQ(r.u64(), 0xffffffffffffffff);
    EXPECT_EQ(r.i32(), -2);
    EXPECT_EQ(r.i64(), INT64_MIN);
    EXPECT_TRUE(r.boolean());
    EXPECT_EQ(r.instant(), long_ago);
    EXPECT_EQ(r.decision_id(), (DecisionId{1, 2}));
    EXPECT_EQ(r.node(), NodeIndex::b);
    EXPECT_EQ(r.bytes<3>(), (std::array<std::uint8_t, 3>{1, 2, 3}));
    EXPECT_EQ(r.string(3), std::string("a\0b", 3));
    EXPECT_TRUE(r.finish("it"));
}

TEST(Bytes, TheFirstFailureSticks) {
    Reader r(std::string_view("\x05\x00\x00", 3));
    EXPECT_EQ(r.u32(), 0U);
    EXPECT_FALSE(r.ok());
    EXPECT_EQ(r.u8(), 0);  // though a byte would be there
    auto const end = r.finish("a thing");
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().find("a thing can't be read: it ends early: 4 bytes expected at offset 0, 3 left"), 0U) << end.error();
}

TEST(Bytes, WhatIsLeftOverIsAnError) {
    Reader r("ab");
    r.u8();
    EXPECT_FALSE(r.finish("it"));
}

TEST(Bytes, LengthsAreHeldAgainstLimitAndInput) {
    Writer w;
    w.u32(0xffffffff);
    Reader huge(w.view());
    EXPECT_EQ(huge.string(0xffffffff), "");
    EXPECT_FALSE(huge.ok());
    Reader list(w.view());
    EXPECT_EQ(list.count(0xffffffff, 1), 0U);
    EXPECT_FALSE(list.ok());
    Writer s;
    s.string("four");
    Reader above(s.view());
    EXPECT_EQ(above.string(3), "");
    EXPECT_FALSE(above.ok());
    Writer c;
    c.count(2);
    c.u64(0);
    Reader fits(c.view());
    EXPECT_EQ(fits.count(2, 4), 2U);
    Reader not_fits(c.view());
    EXPECT_EQ(not_fits.count(2, 5), 0U);
}

TEST(Bytes, OddBooleansAndEnumeratorsAreRefused) {
    Reader b("\x02");
    b.boolean();
    EXPECT_FALSE(b.ok());
    Reader e("\x02");
    EXPECT_EQ(e.node(), NodeIndex::a);
    EXPECT_FALSE(e.ok());
}

TEST(Bytes, ClipKeepsCharactersWhole) {
    EXPECT_EQ(clip("abc", 3), "abc");
    EXPECT_EQ(clip("abcd", 3), "abc");
    EXPECT_EQ(clip("ab\xc3\xb6", 3), "ab");
    EXPECT_EQ(clip("\xc3\xb6", 1), "");
    EXPECT_EQ(clip("\x80\x80\x80", 2), "");
}

}  // namespace
}  // namespace clusterd::wire
