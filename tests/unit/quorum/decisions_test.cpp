// Decisions and configurations on the quorum disk: the newest that a slot names is found again, or it is an error.
#include "tests/unit/quorum/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::HasSubstr;

namespace {

struct Decisions : testing::Test {
    TempDir dir;
    std::string path = dir / "disk";
    DiskHeader header = make_disk(path);
    std::shared_ptr<Faults> faults = std::make_shared<Faults>();
    DiskSession a{settings_for(path, NodeIndex::a, faulty(faults))};
    DiskSession b{settings_for(path, NodeIndex::b)};
    std::array<std::uint64_t, 2> beat{};

    std::string store(DiskSession& s, DecisionPtr const& d, std::uint8_t area) {
        auto const done = s.store_decision(*d, area);
        return done ? "" : done.error();
    }
    // The slot of `node` names the decision.
    std::string name(DiskSession& s, NodeIndex node, DecisionId id, std::uint8_t area) {
        Slot slot = slot_of(at(node) + 1, ++beat[at(node)]);
        slot.newest = id;
        slot.area = area;
        Instant started;
        auto const done = s.cycle(slot, started);
        return done ? "" : done.error();
    }
    DecisionPtr commit(DiskSession& s, NodeIndex node, DecisionId id, std::string const& xml, std::uint8_t area, std::string const& cause = "") {
        auto const d = decision_of(id, config_of(xml), cause);
        EXPECT_EQ(store(s, d, area), "");
        EXPECT_EQ(name(s, node, id, area), "");
        return d;
    }
    void expect_newest(DiskSession& s, DecisionPtr const& wanted) {
        auto const loaded = s.load_decisions();
        ASSERT_TRUE(loaded) << loaded.error();
        ASSERT_EQ(*loaded != nullptr, wanted != nullptr);
        if (!wanted) return;
        EXPECT_EQ((*loaded)->id, wanted->id);
        EXPECT_EQ((*loaded)->groups, wanted->groups);
        EXPECT_EQ((*loaded)->stores, wanted->stores);
        ASSERT_TRUE((*loaded)->config);
        EXPECT_EQ((*loaded)->config->xml, wanted->config->xml);
    }
    std::string load_error(DiskSession& s) {
        auto const loaded = s.load_decisions();
        return loaded ? "" : loaded.error();
    }
};

}  // namespace

TEST_F(Decisions, AFreshDiskHasNone) { expect_newest(a, nullptr); }

TEST_F(Decisions, OneThatNoSlotNamesDoesNotCount) {
    ASSERT_EQ(store(a, decision_of({3, 1}, config_of("<c/>")), 0), "");
    expect_newest(b, nullptr);
}

TEST_F(Decisions, TheNewestOfBothNodesIsFoundByBoth) {
    commit(a, NodeIndex::a, {3, 1}, "<one/>", 0);
    auto const second = commit(b, NodeIndex::b, {4, 1}, "<two/>", 0, "took over");
    expect_newest(a, second);
    expect_newest(b, second);
    auto const third = commit(a, NodeIndex::a, {5, 1}, "<two/>", 1);
    expect_newest(b, third);
}

TEST_F(Decisions, ManyInTurnWithChangingConfigurations) {
    for (std::uint64_t i = 1; i <= 12; ++i) {
        auto const d = commit(a, NodeIndex::a, {3, i}, "<config n='" + std::to_string(i / 3) + "'/>", static_cast<std::uint8_t>(i % 2), std::to_string(i));
        expect_newest(b, d);
    }
}

TEST_F(Decisions, AConfigurationIsWrittenOnce) {
    auto const config = config_of("<same>" + std::string(50'000, 'x') + "</same>");
    ASSERT_EQ(store(a, decision_of({3, 1}, config), 0), "");
    int const writes = faults->writes;
    ASSERT_EQ(store(a, decision_of({3, 2}, config), 1), "");
    EXPECT_EQ(faults->writes - writes, 1) << "the decision only";
    DiskSession restarted{settings_for(path, NodeIndex::a, faulty(faults))};
    int const before = faults->writes;
    ASSERT_EQ(store(restarted, decision_of({3, 3}, config), 1), "");
    EXPECT_EQ(faults->writes - before, 1) << "also found by a new process";
}

TEST_F(Decisions, ACrashBetweenStoringAndNamingLeavesTheOneBefore) {
    auto const first = commit(a, NodeIndex::a, {3, 1}, "<one/>", 0);
    for (int i = 0; i < 5; ++i) {  // the next is stored again and again, each with another configuration, and never named
        DiskSession restarted{settings_for(path, NodeIndex::a)};
        ASSERT_EQ(store(restarted, decision_of({5, static_cast<std::uint64_t>(i) + 1}, config_of("<try n='" + std::to_string(i) + "'/>")), 1), "");
        expect_newest(b, first);
    }
}

TEST_F(Decisions, TheOneThatMySlotNamesIsNeverOverwritten) {
    auto const first = commit(a, NodeIndex::a, {3, 1}, "<one/>", 0);
    EXPECT_THAT(store(a, decision_of({3, 2}, config_of("<one/>")), 0), HasSubstr("which my slot names"));
    expect_newest(b, first);
}

TEST_F(Decisions, ADamagedOneThatASlotNamesIsAnErrorNeverAnOlderOne) {
    commit(a, NodeIndex::a, {3, 1}, "<one/>", 0);
    commit(b, NodeIndex::b, {4, 1}, "<one/>", 0);
    std::uint64_t const at = header.geometry.decision(NodeIndex::a, 0);
    for (std::uint64_t const byte : {0u, 20u, 40u, 100u, 230u, 257u, 270u}) {
        flip_byte(path, at + byte);
        EXPECT_NE(load_error(b), "") << byte;
        flip_byte(path, at + byte);
    }
    EXPECT_EQ(load_error(b), "");
    write_bytes(path, at, std::string(disk_block, '\0'));
    EXPECT_THAT(load_error(b), HasSubstr("is empty"));
}

TEST_F(Decisions, AnotherNodesOrAnOlderAreaInItsPlaceIsAnError) {
    commit(a, NodeIndex::a, {3, 1}, "<one/>", 0);
    auto const& g = header.geometry;
    std::string const old = read_bytes(path, g.decision(NodeIndex::a, 0), disk_block);
    commit(a, NodeIndex::a, {3, 2}, "<one/>", 1);
    write_bytes(path, g.decision(NodeIndex::a, 1), old);
    EXPECT_THAT(load_error(b), HasSubstr("another place"));
    commit(b, NodeIndex::b, {4, 1}, "<one/>", 1);
    write_bytes(path, g.decision(NodeIndex::a, 1), read_bytes(path, g.decision(NodeIndex::b, 1), disk_block));
    EXPECT_NE(load_error(b), "");
}

TEST_F(Decisions, AMissingOrDamagedConfigurationIsAnError) {
    commit(a, NodeIndex::a, {3, 1}, "<one/>", 0);
    flip_byte(path, header.geometry.config(NodeIndex::a, 0) + area_header_bytes);
    EXPECT_THAT(load_error(b), HasSubstr("configuration"));
    commit(b, NodeIndex::b, {2, 1}, "<one/>", 0);
    EXPECT_EQ(load_error(b), "") << "the other node has it under the same hash";
}

TEST_F(Decisions, AConfigurationThatCannotBeParsedIsAnErrorThatSaysWhy) {
    commit(a, NodeIndex::a, {3, 1}, "<unparsable", 0);
    EXPECT_THAT(load_error(b), HasSubstr("line 1"));
}

TEST_F(Decisions, WhatIsTooLargeIsRefusedWithAdvice) {
    EXPECT_THAT(store(a, decision_of({3, 1}, config_of(std::string(1u << 20, 'x'))), 0), HasSubstr("64 MiB"));
    EXPECT_EQ(store(a, decision_of({3, 1}, config_of(std::string((1u << 20) - area_header_bytes, 'x'))), 0), "");
}

TEST_F(Decisions, ALostWriteOfADecisionIsNoticed) {
    ASSERT_TRUE(a.read_slots());
    faults->lose_writes = true;
    EXPECT_THAT(store(a, decision_of({3, 1}, config_of("<one/>")), 0), HasSubstr("loses writes"));
}
