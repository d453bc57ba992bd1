// Decisions as bytes.
#include "clusterd/wire/decision.hpp"

#include "tests/unit/wire/samples.hpp"

#include <gtest/gtest.h>
#include <random>

namespace clusterd {
namespace {

using test::sample_decision;

void expect_same(Decision const& a, Decision const& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.cluster, b.cluster);
    EXPECT_EQ(a.stores, b.stores);
    EXPECT_EQ(a.groups, b.groups);
    EXPECT_EQ(a.paused, b.paused);
    EXPECT_EQ(a.making_way, b.making_way);
    EXPECT_EQ(a.origin, b.origin);
    EXPECT_EQ(a.unconfirmed, b.unconfirmed);
}

TEST(DecisionBytes, ComeBackAsTheyWere) {
    Decision const d = sample_decision();
    auto const back = decode_decision(encode_decision(d));
    ASSERT_TRUE(back) << back.error();
    expect_same(back->decision, d);
    EXPECT_EQ(back->config, d.config->hash);
    EXPECT_EQ(back->decision.config, nullptr);
    auto const empty = decode_decision(encode_decision(Decision{}));
    ASSERT_TRUE(empty) << empty.error();
    expect_same(empty->decision, Decision{});
    EXPECT_EQ(empty->config, Hash{});
}

// Without anything that makes way it is what every clusterd reads.
TEST(DecisionBytes, WhatMakesWayIsOfVersion2) {
    Decision d = sample_decision();
    EXPECT_EQ(encode_decision(d)[4], 1);
    d.groups.at("web").maintenance_until = 1'800'000'000'000;
    EXPECT_EQ(encode_decision(d)[4], 2);
    d.making_way = {"web-docs", "web-ip"};
    std::string bytes = encode_decision(d);
    EXPECT_EQ(bytes[4], 2);
    auto const back = decode_decision(bytes);
    ASSERT_TRUE(back) << back.error();
    expect_same(back->decision, d);
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_decision(bytes.substr(0, n))) << n;
    bytes[4] = 3;
    EXPECT_FALSE(decode_decision(bytes));
}

TEST(DecisionBytes, WhereAConfigurationCameFromIsOfVersion3) {
    Decision d = sample_decision();
    d.origin = {7, 1'764'000'000'000, "ann", "more memory"};
    d.unconfirmed = {1'764'000'060'000, 60'000, "<cluster/>"};
    std::string bytes = encode_decision(d);
    EXPECT_EQ(bytes[4], 3);
    auto const back = decode_decision(bytes);
    ASSERT_TRUE(back) << back.error();
    expect_same(back->decision, d);
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_decision(bytes.substr(0, n))) << n;
    bytes[4] = 4;
    EXPECT_FALSE(decode_decision(bytes));
    d.unconfirmed.previous_xml.clear();  // nothing could come back
    EXPECT_FALSE(decode_decision(encode_decision(d)));
}

// Found by the fuzzer: it was refused for being shorter than a group can be.
TEST(DecisionBytes, AGroupOfWhichThereIsLeastToSayComesBack) {
    Decision d;
    d.groups["a"] = {};
    auto const back = decode_decision(encode_decision(d));
    ASSERT_TRUE(back) << back.error();
    expect_same(back->decision, d);
}

TEST(DecisionBytes, AreTheSameForTheSameDecision) {
    EXPECT_EQ(encode_decision(sample_decision()), encode_decision(sample_decision()));
}

TEST(DecisionBytes, EveryPrefixAndASuffixIsRefused) {
    std::string const bytes = encode_decision(sample_decision());
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_decision(bytes.substr(0, n))) << n;
    EXPECT_FALSE(decode_decision(bytes + '\0'));
}

TEST(DecisionBytes, AnotherVersionSaysWhatToDo) {
    std::string bytes = encode_decision(sample_decision());
    bytes[4] = 9;
    auto const back = decode_decision(bytes);
    ASSERT_FALSE(back);
    EXPECT_NE(back.error().find("same clusterd on both nodes"), std::string::npos);
}

// Whatever is changed: it's refused, or it's another decision that encodes and decodes to itself. Never a crash.
TEST(DecisionBytes, RandomDamageDoesNoHarm) {
    std::string const bytes = encode_decision(sample_decision());
    std::mt19937 random(1);
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
        std::string damaged = bytes;
        for (unsigned n = 1 + random() % 4; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
        auto const back = decode_decision(damaged);
        if (!back) {
            ++refused;
            continue;
        }
        auto const again = decode_decision(encode_decision(back->decision));
        ASSERT_TRUE(again) << again.error();
        expect_same(again->decision, back->decision);
    }
    EXPECT_GT(refused, 1000);
}

TEST(DecisionBytes, LongCausesAreClippedWithinTheLimit) {
    Decision d = sample_decision();
    d.groups["web"].cause = std::string(8191, 'x') + "öööö";
    auto const back = decode_decision(encode_decision(d));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(back->decision.groups.at("web").cause, std::string(8191, 'x'));  // not half an ö
}

TEST(ConfigHash, IsBlake2bOfTheText) {
    EXPECT_EQ(to_hex(hash_config("abc")), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    EXPECT_NE(hash_config("a"), hash_config("b"));
}

TEST(ConfigHash, HexComesBack) {
    Hash const hash = hash_config("x");
    auto const back = hash_from_hex(to_hex(hash));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, hash);
    for (char const* bad : {"", "ab", "zz", "../../etc/passwd"}) EXPECT_FALSE(hash_from_hex(bad)) << bad;
    EXPECT_FALSE(hash_from_hex(to_hex(hash) + "0"));
    EXPECT_FALSE(hash_from_hex(std::string(64, 'g')));
}

}  // namespace
}  // namespace clusterd
