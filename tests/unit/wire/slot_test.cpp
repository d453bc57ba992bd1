// A slot on the quorum disk: what was written is read; anything else is refused.
#include "clusterd/wire/slot.hpp"

#include <gtest/gtest.h>

using namespace clusterd;

namespace {

Key key_of(std::uint8_t v) {
    Key key;
    key.bytes.fill(v);
    return key;
}

DiskBinding const here{{1, 2, 3, 4}, 77};
Key const key = key_of(9);

Slot sample() {
    Slot s;
    s.incarnation = 0x1122334455667788;
    s.beat = 42;
    s.state = Role::alone;
    s.alone_term = 13;
    s.stopped_term = 11;
    s.newest = {13, 5};
    s.area = 1;
    s.wall_ms = 1'700'000'000'000;
    return s;
}

}  // namespace

TEST(Slot, WhatWasWrittenIsRead) {
    std::string const bytes = encode_slot(sample(), here, NodeIndex::b, key);
    ASSERT_EQ(bytes.size(), slot_bytes);
    auto const slot = decode_slot(bytes, here, NodeIndex::b, &key);
    ASSERT_TRUE(slot) << slot.error();
    EXPECT_EQ(*slot, sample());
    EXPECT_TRUE(decode_slot(bytes, here, NodeIndex::b, nullptr)) << "without a key the checksum suffices, for people";
}

TEST(Slot, NeverWrittenIsADefaultSlot) {
    auto const slot = decode_slot(std::string(slot_bytes, '\0'), here, NodeIndex::a, &key);
    ASSERT_TRUE(slot);
    EXPECT_EQ(*slot, Slot{});
}

TEST(Slot, EveryFlippedBitIsRefused) {
    std::string const good = encode_slot(sample(), here, NodeIndex::a, key);
    for (std::size_t i = 0; i < good.size() * 8; ++i) {
        std::string bad = good;
        bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << (i % 8)));
        EXPECT_FALSE(decode_slot(bad, here, NodeIndex::a, &key)) << "bit " << i;
    }
}

TEST(Slot, AHalfWrittenOneIsRefused) {
    std::string const before = encode_slot(sample(), here, NodeIndex::a, key);
    Slot next = sample();
    ++next.beat;
    std::string const after = encode_slot(next, here, NodeIndex::a, key);
    int refused = 0;
    for (std::size_t cut = 1; cut < slot_bytes; ++cut) {
        std::string const torn = after.substr(0, cut) + before.substr(cut);
        std::string const cleared = after.substr(0, cut) + std::string(slot_bytes - cut, '\0');
        auto const slot = decode_slot(torn, here, NodeIndex::a, &key);
        if (!slot) ++refused;
        else EXPECT_TRUE(*slot == sample() || *slot == next) << cut;
        if (cleared != after) {
            EXPECT_FALSE(decode_slot(cleared, here, NodeIndex::a, &key)) << cut;
        }
    }
    EXPECT_GT(refused, 400);
}

TEST(Slot, CopiedFromElsewhereIsRefused) {
    std::string const bytes = encode_slot(sample(), here, NodeIndex::a, key);
    EXPECT_FALSE(decode_slot(bytes, here, NodeIndex::b, &key)) << "the other node's slot";
    EXPECT_FALSE(decode_slot(bytes, {{1, 2, 3, 5}, 77}, NodeIndex::a, &key)) << "another cluster's";
    EXPECT_FALSE(decode_slot(bytes, {here.cluster, 78}, NodeIndex::a, &key)) << "an earlier disk's";
    Key const wrong = key_of(8);
    auto const slot = decode_slot(bytes, here, NodeIndex::a, &wrong);
    ASSERT_FALSE(slot);
    EXPECT_NE(slot.error().find("another key"), std::string::npos) << slot.error();
}

TEST(Slot, ImpossibleValuesAreRefusedEvenWhenSealed) {
    Slot joined = sample();
    joined.state = Role::joined;
    EXPECT_FALSE(decode_slot(encode_slot(joined, here, NodeIndex::a, key), here, NodeIndex::a, &key)) << "there is no `joined` on disk";
    Slot area = sample();
    area.area = 2;
    EXPECT_FALSE(decode_slot(encode_slot(area, here, NodeIndex::a, key), here, NodeIndex::a, &key));
}

TEST(Slot, OtherLengthsAreRefused) {
    std::string const bytes = encode_slot(sample(), here, NodeIndex::a, key);
    for (std::size_t n : {0, 1, 511}) EXPECT_FALSE(decode_slot(std::string_view(bytes).substr(0, n), here, NodeIndex::a, &key));
    EXPECT_FALSE(decode_slot(bytes + '\0', here, NodeIndex::a, &key));
}
