// Sync messages with their configurations, over a real channel.
#include "clusterd/link/replica.hpp"

#include "clusterd/wire/config_hash.hpp"
#include "tests/unit/link/pair.hpp"
#include "tests/unit/link/test_loop.hpp"

#include <algorithm>

namespace clusterd {
namespace {

using test::pair_spec;
using test::test_key;
using test::TestLoop;

ConfigPtr make_config(std::string xml) {
    auto config = std::make_shared<Config>();
    config->hash = hash_config(xml);
    config->spec.cluster = xml.substr(0, 8);
    config->xml = std::move(xml);
    return config;
}

struct End {
    End(TestLoop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation) {
        Replica::Callbacks c;
        c.up = [this](Incarnation p) { peers.push_back(p); };
        c.down = [this](std::string const&) { ++downs; };
        c.message = [this](SyncMessage m) { messages.push_back(std::move(m)); };
        c.aux = [this](std::string f) { aux.push_back(std::move(f)); };
        c.known = [this](Hash const& h) -> ConfigPtr {
            auto const found = std::find_if(known.begin(), known.end(), [&](auto const& k) { return k->hash == h; });
            return found == known.end() ? nullptr : *found;
        };
        c.parse = [this](std::string const& xml) -> Result<ConfigPtr> {
            ++parsed;
            if (xml.find("bad") != std::string::npos) return Error{"line 1: no such element"};
            return make_config(xml);
        };
        c.note = [this](Severity, std::string text) { notes.push_back(std::move(text)); };
        replica = std::make_unique<Replica>(loop, spec, self, incarnation, test_key(), std::move(c));
    }
    std::vector<Incarnation> peers;
    int downs = 0, parsed = 0;
    std::vector<SyncMessage> messages;
    std::vector<std::string> aux, notes;
    std::vector<ConfigPtr> known;
    std::unique_ptr<Replica> replica;
};

class ReplicaTest : public testing::Test {
protected:
    void SetUp() override {
        a = std::make_unique<End>(loop, spec, NodeIndex::a, 1);
        b = std::make_unique<End>(loop, spec, NodeIndex::b, 2);
        ASSERT_TRUE(up());
    }
    bool up() {
        return loop.run_until([&] { return a->replica->up() && b->replica->up(); });
    }
    static DecisionPtr decision(ConfigPtr config, std::uint64_t index = 1) {
        auto d = std::make_shared<Decision>();
        d->id = {3, index};
        d->config = std::move(config);
        d->groups["web"].cause = "first start";
        return d;
    }
    TestLoop loop;
    Spec spec = pair_spec();
    std::unique_ptr<End> a, b;
};

TEST_F(ReplicaTest, ADecisionArrivesWithItsConfiguration) {
    ConfigPtr const config = make_config("<cluster/>");
    ASSERT_TRUE(a->replica->send(sync::StoreDecision{3, decision(config)}));
    ASSERT_TRUE(loop.run_until([&] { return b->messages.size() == 1; }));
    auto const& m = std::get<sync::StoreDecision>(b->messages[0]);
    ASSERT_TRUE(m.decision && m.decision->config);
    EXPECT_EQ(m.term, 3U);
    EXPECT_EQ(m.decision->config->xml, config->xml);
    EXPECT_EQ(m.decision->groups, decision(config)->groups);
    EXPECT_EQ(b->parsed, 1);
}

TEST_F(ReplicaTest, AConfigurationGoesOnceASessionAndAgainInTheNext) {
    ConfigPtr const config = make_config("<cluster/>");
    for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(a->replica->send(sync::StoreDecision{3, decision(config, i)}));
    ASSERT_TRUE(loop.run_until([&] { return b->messages.size() == 3; }));
    EXPECT_EQ(a->replica->info().frames_sent, 4U);
    // Back again: the peer named it itself, so it has it.
    ASSERT_TRUE(b->replica->send(sync::FollowerState{3, {3, 3}, decision(config, 3), 5}));
    ASSERT_TRUE(loop.run_until([&] { return a->messages.size() == 1; }));
    EXPECT_EQ(std::get<sync::FollowerState>(a->messages[0]).decision->config->xml, config->xml);
    EXPECT_EQ(b->replica->info().frames_sent, 1U);
    b.reset();
    b = std::make_unique<End>(loop, spec, NodeIndex::b, 3);
    ASSERT_TRUE(loop.run_until([&] { return a->peers.size() == 2; }));
    ASSERT_TRUE(up());
    ASSERT_TRUE(a->replica->send(sync::StoreDecision{3, decision(config, 4)}));
    ASSERT_TRUE(loop.run_until([&] { return b->messages.size() == 1; }));
    EXPECT_TRUE(std::get<sync::StoreDecision>(b->messages[0]).decision->config);
}

TEST_F(ReplicaTest, AKnownConfigurationIsNotParsedAgain) {
    ConfigPtr const config = make_config("<cluster/>");
    b->known.push_back(config);
    ASSERT_TRUE(a->replica->send(sync::StoreDecision{3, decision(make_config("<cluster/>"))}));
    ASSERT_TRUE(loop.run_until([&] { return b->messages.size() == 1; }));
    EXPECT_EQ(b->parsed, 0);
    EXPECT_EQ(std::get<sync::StoreDecision>(b->messages[0]).decision->config, config);
}

TEST_F(ReplicaTest, ADecisionWhoseConfigurationCannotBeUsedIsNotDeliveredAndSaidSo) {
    ASSERT_TRUE(a->replica->send(sync::StoreDecision{3, decision(make_config("<bad/>"))}));
    ASSERT_TRUE(a->replica->send(sync::DecisionStored{3, {3, 1}}));
    ASSERT_TRUE(loop.run_until([&] { return b->messages.size() == 1; }));
    EXPECT_TRUE(std::holds_alternative<sync::DecisionStored>(b->messages[0]));
    ASSERT_EQ(b->notes.size(), 2U);
    EXPECT_NE(b->notes[0].find("line 1: no such element"), std::string::npos);
    EXPECT_NE(b->notes[1].find("decision 3.1"), std::string::npos);
}

TEST_F(ReplicaTest, ADecisionWithoutConfigurationIsDeliveredAsSuch) {
    ASSERT_TRUE(a->replica->send(sync::StoreDecision{3, decision(nullptr)}));
    ASSERT_TRUE(loop.run_until([&] { return b->messages.size() == 1; }));
    EXPECT_EQ(std::get<sync::StoreDecision>(b->messages[0]).decision->config, nullptr);
}

TEST_F(ReplicaTest, TheShellsOwnFramesPassAsTheyAre) {
    std::string const frame("\0\1\2 anything", 12);
    ASSERT_TRUE(b->replica->send_aux(frame));
    ASSERT_TRUE(b->replica->send_aux(""));
    ASSERT_TRUE(b->replica->send(Report{}));
    ASSERT_TRUE(loop.run_until([&] { return a->messages.size() == 1; }));
    EXPECT_EQ(a->aux, (std::vector<std::string>{frame, ""}));
}

TEST_F(ReplicaTest, NothingIsSentWhileItIsDown) {
    b.reset();
    ASSERT_TRUE(loop.run_until([&] { return a->downs == 1; }));
    EXPECT_FALSE(a->replica->send(Report{}));
    EXPECT_FALSE(a->replica->send_aux("x"));
}

}  // namespace
}  // namespace clusterd
