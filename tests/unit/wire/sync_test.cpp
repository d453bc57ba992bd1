// Sync messages as bytes: every alternative.
#include "clusterd/wire/sync.hpp"

#include "tests/unit/wire/samples.hpp"

#include <gtest/gtest.h>
#include <random>

namespace clusterd {
namespace {

using test::sample_messages;

TEST(SyncBytes, SamplesAreOneOfEachKind) {
    auto const samples = sample_messages();
    ASSERT_EQ(samples.size(), std::variant_size_v<SyncMessage>);
    for (std::size_t i = 0; i < samples.size(); ++i) EXPECT_EQ(samples[i].index(), i);
}

TEST(SyncBytes, EveryKindComesBackAsItWas) {
    for (SyncMessage const& m : sample_messages()) {
        auto const back = decode_sync(encode_sync(m));
        ASSERT_TRUE(back) << m.index() << ": " << back.error();
        ASSERT_EQ(back->message.index(), m.index());
        EXPECT_EQ(back->decision.has_value(), decision_in(m) != nullptr) << m.index();
        if (back->decision) {
            EXPECT_EQ(back->decision->config, test::sample_config()->hash);
            EXPECT_EQ(back->decision->decision.groups, decision_in(m)->groups);
        }
        // Byte for byte the same once the decision is put back: no field was lost.
        DecodedSync whole = *back;
        if (whole.decision) {
            whole.decision->decision.config = test::sample_config();
            set_decision(whole.message, std::make_shared<Decision const>(whole.decision->decision));
        }
        EXPECT_EQ(encode_sync(whole.message), encode_sync(m)) << m.index();
    }
}

TEST(SyncBytes, FieldsAreThoseSent) {
    auto const samples = sample_messages();
    auto const state = std::get<sync::FollowerState>(decode_sync(encode_sync(samples[0]))->message);
    EXPECT_EQ(state.term, 5U);
    EXPECT_EQ(state.stored, (DecisionId{3, 9}));
    EXPECT_EQ(state.store, 77U);
    EXPECT_EQ(std::get<Report>(decode_sync(encode_sync(samples[3]))->message), test::sample_report());
    EXPECT_EQ(std::get<sync::CommandForward>(decode_sync(encode_sync(samples[4]))->message).command,
              std::get<sync::CommandForward>(samples[4]).command);
    auto const answer = std::get<sync::CommandAnswer>(decode_sync(encode_sync(samples[5]))->message);
    EXPECT_TRUE(answer.accepted);
    EXPECT_EQ(answer.under, (DecisionId{7, 43}));
    EXPECT_EQ(std::get<sync::History>(decode_sync(encode_sync(samples[6]))->message).record,
              std::get<sync::History>(samples[6]).record);
}

TEST(SyncBytes, ACommandToApplyBringsItsConfigurationUnread) {
    Command command{"c1", Verb::apply};
    command.config = test::sample_config();
    command.base = hash_config("before");
    std::string const bytes = encode_sync(sync::CommandForward{command});
    auto const back = decode_sync(bytes);
    ASSERT_TRUE(back) << back.error();
    Command const& got = std::get<sync::CommandForward>(back->message).command;
    ASSERT_TRUE(got.config);
    EXPECT_EQ(got.config->xml, command.config->xml);
    EXPECT_EQ(got.config->hash, command.config->hash);
    EXPECT_EQ(got.base, command.base);
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_sync(bytes.substr(0, n))) << n;
}

TEST(SyncBytes, MaintenanceSaysWhetherAndForHowLong) {
    Command command{"c1", Verb::maintenance, "web"};
    command.on = false;
    command.for_ms = 77;
    auto const back = decode_sync(encode_sync(sync::CommandForward{command}));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(std::get<sync::CommandForward>(back->message).command, command);
}

TEST(SyncBytes, AStateWithoutDecisionIsFineAnOrderWithoutOneIsNot) {
    auto const state = decode_sync(encode_sync(sync::FollowerState{1, {}, nullptr, 2}));
    ASSERT_TRUE(state) << state.error();
    EXPECT_FALSE(state->decision);
    EXPECT_FALSE(decode_sync(encode_sync(sync::StoreDecision{1, nullptr})));
}

TEST(SyncBytes, EveryPrefixASuffixAndUnknownKindsAreRefused) {
    for (SyncMessage const& m : sample_messages()) {
        std::string bytes = encode_sync(m);
        for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_sync(bytes.substr(0, n))) << m.index() << " " << n;
        EXPECT_FALSE(decode_sync(bytes + '\0')) << m.index();
        bytes[5] = static_cast<char>(std::variant_size_v<SyncMessage>);
        auto const unknown = decode_sync(bytes);
        ASSERT_FALSE(unknown);
        EXPECT_NE(unknown.error().find("kind 7 is unknown"), std::string::npos) << unknown.error();
    }
}

TEST(SyncBytes, RandomDamageDoesNoHarm) {
    std::mt19937 random(1);
    int refused = 0;
    for (SyncMessage const& m : sample_messages()) {
        std::string const bytes = encode_sync(m);
        for (int i = 0; i < 5000; ++i) {
            std::string damaged = bytes;
            for (unsigned n = 1 + random() % 4; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
            if (!decode_sync(damaged)) ++refused;
        }
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace clusterd
