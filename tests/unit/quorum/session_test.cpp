// The quorum disk, one step after the other: what is read back, and what is refused.
#include "tests/unit/quorum/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::HasSubstr;

namespace {

struct Session : testing::Test {
    TempDir dir;
    std::string path = dir / "disk";
    DiskHeader header = make_disk(path);
    std::shared_ptr<Faults> faults = std::make_shared<Faults>();
    DiskSession a{settings_for(path, NodeIndex::a, faulty(faults))};
    DiskSession b{settings_for(path, NodeIndex::b)};

    std::string cycle_error(DiskSession& s, Slot const& mine) {
        Instant started;
        auto const peer = s.cycle(mine, started);
        return peer ? "" : peer.error();
    }
    std::uint64_t slot_a() const { return header.geometry.slot(NodeIndex::a); }
    std::uint64_t slot_b() const { return header.geometry.slot(NodeIndex::b); }
};

}  // namespace

TEST_F(Session, EachNodeReadsWhatTheOtherWrote) {
    Instant started;
    auto peer = a.cycle(slot_of(1, 1, Role::alone, 3), started);
    ASSERT_TRUE(peer) << peer.error();
    EXPECT_EQ(*peer, Slot{}) << "never written";
    peer = b.cycle(slot_of(2, 1), started);
    ASSERT_TRUE(peer) << peer.error();
    EXPECT_EQ(*peer, slot_of(1, 1, Role::alone, 3));
    auto const slots = a.read_slots();
    ASSERT_TRUE(slots) << slots.error();
    EXPECT_EQ(slots->own, slot_of(1, 1, Role::alone, 3));
    EXPECT_EQ(slots->peer, slot_of(2, 1));
    EXPECT_EQ(slots->disk, header.disk);
    EXPECT_EQ(slots->cluster, header.uuid);
}

TEST_F(Session, StartedIsBeforeTheWriteAndAfterTheCall) {
    Instant const before = boottime_now();
    Instant started;
    ASSERT_TRUE(a.cycle(slot_of(1, 1), started));
    EXPECT_GE(started, before);
    EXPECT_LE(started, boottime_now());
}

TEST_F(Session, ATornSlotIsAnErrorNeverAFreeOne) {
    ASSERT_EQ(cycle_error(b, slot_of(2, 1, Role::alone, 4)), "");
    for (std::uint64_t const byte : {0u, 40u, 300u, 460u, 511u}) {
        flip_byte(path, slot_b() + byte);
        EXPECT_THAT(cycle_error(a, slot_of(1, 100 + byte)), HasSubstr("node 2")) << byte;
        flip_byte(path, slot_b() + byte);
    }
    EXPECT_EQ(cycle_error(a, slot_of(1, 1000)), "") << "whole again";
}

TEST_F(Session, ABadSlotIsReadThreeTimesAndWrittenOnce) {
    ASSERT_EQ(cycle_error(b, slot_of(2, 1)), "");
    ASSERT_EQ(cycle_error(a, slot_of(1, 1)), "");
    flip_byte(path, slot_b() + 20);
    int const reads = faults->reads, writes = faults->writes;
    EXPECT_NE(cycle_error(a, slot_of(1, 2)), "");
    EXPECT_EQ(faults->writes - writes, 1);
    EXPECT_EQ(faults->reads - reads, 3);
}

TEST_F(Session, AFailedReadIsRepeatedWithoutANewWrite) {
    ASSERT_EQ(cycle_error(a, slot_of(1, 1)), "");
    int const writes = faults->writes;
    faults->fail_reads = 2;
    EXPECT_EQ(cycle_error(a, slot_of(1, 2)), "");
    EXPECT_EQ(faults->writes - writes, 1);
    faults->fail_reads = -1;
    EXPECT_THAT(cycle_error(a, slot_of(1, 3)), HasSubstr("Input/output error"));
    faults->fail_reads = 0;
    EXPECT_EQ(cycle_error(a, slot_of(1, 4)), "") << "opened again";
}

TEST_F(Session, AFailedWriteIsAnErrorAndTheNextOneWorks) {
    ASSERT_EQ(cycle_error(a, slot_of(1, 1)), "");
    faults->fail_writes = 1;
    EXPECT_THAT(cycle_error(a, slot_of(1, 2)), HasSubstr("Input/output error"));
    EXPECT_EQ(cycle_error(a, slot_of(1, 3)), "");
}

TEST_F(Session, TheOtherNodesSlotCopiedOverMineOrBackIsRefused) {
    ASSERT_EQ(cycle_error(a, slot_of(1, 1, Role::alone, 3)), "");
    ASSERT_EQ(cycle_error(b, slot_of(2, 1)), "");
    std::string const mine = read_bytes(path, slot_a(), slot_bytes);
    write_bytes(path, slot_b(), mine);
    EXPECT_THAT(cycle_error(a, slot_of(1, 2, Role::alone, 3)), HasSubstr("bad MAC"));
}

TEST_F(Session, ALostWriteIsNoticedInTheSameCycle) {
    ASSERT_EQ(cycle_error(a, slot_of(1, 1)), "");
    faults->lose_writes = true;
    EXPECT_THAT(cycle_error(a, slot_of(1, 2)), HasSubstr("older than it was"));
    DiskSession restarted{settings_for(path, NodeIndex::a, faulty(faults))};
    EXPECT_THAT(cycle_error(restarted, slot_of(5, 1)), HasSubstr("lost the write"));
    faults->lose_writes = false;
    EXPECT_EQ(cycle_error(a, slot_of(1, 3)), "");
}

TEST_F(Session, ARolledBackOrWipedSlotIsAnErrorUntilItIsWrittenAgain) {
    ASSERT_EQ(cycle_error(b, slot_of(2, 1)), "");
    std::string const old = read_bytes(path, slot_b(), slot_bytes);
    ASSERT_EQ(cycle_error(b, slot_of(2, 2, Role::alone, 4)), "");
    ASSERT_EQ(cycle_error(a, slot_of(1, 1)), "");
    write_bytes(path, slot_b(), old);
    EXPECT_THAT(cycle_error(a, slot_of(1, 2)), HasSubstr("older than it was"));
    write_bytes(path, slot_b(), std::string(slot_bytes, '\0'));
    EXPECT_THAT(cycle_error(a, slot_of(1, 3)), HasSubstr("wiped"));
    ASSERT_EQ(cycle_error(b, slot_of(2, 3, Role::alone, 4)), "");
    EXPECT_EQ(cycle_error(a, slot_of(1, 4)), "");
}

TEST_F(Session, MySlotNeverTakesBackWhatItSaid) {
    ASSERT_EQ(cycle_error(a, slot_of(1, 5, Role::alone, 7)), "");
    EXPECT_THAT(cycle_error(a, slot_of(1, 6, Role::seeking, 5)), HasSubstr("alone in term 7"));
    EXPECT_THAT(cycle_error(a, slot_of(1, 5, Role::alone, 7)), HasSubstr("written before")) << "every write advances the beat";
    DiskSession restarted{settings_for(path, NodeIndex::a)};
    EXPECT_THAT(cycle_error(restarted, slot_of(9, 1)), HasSubstr("alone in term 7")) << "also by a new process, which reads its slot first";
    EXPECT_EQ(cycle_error(restarted, slot_of(9, 1, Role::seeking, 7)), "");
}

TEST_F(Session, ASecondDaemonOfTheSameNodeIsNoticed) {
    ASSERT_EQ(cycle_error(a, slot_of(1, 1)), "");
    DiskSession twin{settings_for(path, NodeIndex::a)};
    ASSERT_EQ(cycle_error(twin, slot_of(99, 1)), "");
    EXPECT_THAT(a.read_slots() ? "" : a.read_slots().error(), HasSubstr("second clusterd"));
}

TEST_F(Session, AnotherClustersDiskIsRefused) {
    DiskSession::Settings settings = settings_for(path, NodeIndex::a);
    settings.cluster = "other";
    DiskSession other_cluster(settings);
    EXPECT_THAT(cycle_error(other_cluster, slot_of(1, 1)), HasSubstr("belongs to the cluster 'shop'"));
    a.expect(Uuid{9, 9, 9});
    EXPECT_THAT(cycle_error(a, slot_of(1, 1)), HasSubstr("another cluster of the same name"));
    a.expect(header.uuid);
    EXPECT_EQ(cycle_error(a, slot_of(1, 1)), "");
    EXPECT_EQ(read_bytes(path, slot_b(), slot_bytes), std::string(slot_bytes, '\0'));
}

TEST_F(Session, AnotherKeyIsRefused) {
    ASSERT_EQ(cycle_error(b, slot_of(2, 1)), "");
    DiskSession::Settings settings = settings_for(path, NodeIndex::a);
    settings.key = key_of(8);
    DiskSession stranger(settings);
    EXPECT_THAT(cycle_error(stranger, slot_of(1, 1)), HasSubstr("another key"));
    EXPECT_EQ(read_bytes(path, slot_a(), slot_bytes), std::string(slot_bytes, '\0')) << "nothing was written";
}

TEST_F(Session, WhatIsMissingIsSaidWithTheCommandThatHelps) {
    DiskSession none{settings_for(dir / "none", NodeIndex::a)};
    EXPECT_THAT(cycle_error(none, slot_of(1, 1)), HasSubstr("No such file"));
    EXPECT_FALSE(none.uninitialised());
    std::ofstream(dir / "empty") << std::string(min_disk_bytes, '\0');
    DiskSession blank{settings_for(dir / "empty", NodeIndex::a)};
    EXPECT_THAT(cycle_error(blank, slot_of(1, 1)), HasSubstr("clusterctl quorum init " + (dir / "empty") + " --cluster shop"));
    EXPECT_TRUE(blank.uninitialised());
    std::filesystem::resize_file(path, min_disk_bytes / 2);
    EXPECT_THAT(cycle_error(a, slot_of(1, 1)), HasSubstr("are needed"));
}

TEST_F(Session, EveryFlippedByteOfTheHeaderIsAnError) {
    std::string const good = read_bytes(path, 0, disk_block);
    for (std::uint64_t byte = 0; byte < disk_block; byte += 13) {
        flip_byte(path, byte);
        DiskSession s{settings_for(path, NodeIndex::a)};
        EXPECT_FALSE(s.read_slots()) << byte;
        write_bytes(path, 0, good);
    }
}

TEST_F(Session, ADiskInitialisedAnewIsReadBeforeItIsWritten) {
    ASSERT_TRUE(a.read_slots());
    ASSERT_EQ(cycle_error(a, slot_of(1, 1, Role::alone, 3)), "");
    DiskHeader const anew = make_disk(path, "shop", true);
    EXPECT_NE(cycle_error(a, slot_of(1, 2, Role::alone, 3)), "");
    EXPECT_THAT(cycle_error(a, slot_of(1, 3, Role::alone, 3)), testing::AnyOf(HasSubstr("anew"), HasSubstr("MAC")));
    auto slots = a.read_slots();
    if (!slots) {  // the slot that was written before the change was seen is bad: it is the disk's old binding
        write_bytes(path, slot_a(), std::string(slot_bytes, '\0'));
        slots = a.read_slots();
    }
    ASSERT_TRUE(slots) << slots.error();
    EXPECT_EQ(slots->disk, anew.disk);
    EXPECT_EQ(cycle_error(a, slot_of(1, 4, Role::alone, 3)), "");
}

TEST_F(Session, CommandsOfAnEarlierBootAreWaitedFor) {
    Instant now{std::int64_t{5'000'000'000}};
    auto settings = settings_for(path, NodeIndex::a);
    settings.clock = [&now] { return now; };
    settings.opener = [](std::string const& p, DiskAccess access) -> Result<std::unique_ptr<DiskFile>> {
        struct Slow : FaultyDisk {
            explicit Slow(std::unique_ptr<DiskFile> real) : FaultyDisk(std::move(real), std::make_shared<Faults>()) { facts_.command_time = std::chrono::seconds(30); }
        };
        auto real = open_disk(p, access);
        if (!real) return real;
        return std::unique_ptr<DiskFile>(new Slow(std::move(*real)));
    };
    DiskSession fresh_boot(settings);
    EXPECT_TRUE(fresh_boot.read_slots());
    EXPECT_THAT(cycle_error(fresh_boot, slot_of(1, 1)), HasSubstr("before the boot"));
    now = Instant{31'000'000'000};
    EXPECT_EQ(cycle_error(fresh_boot, slot_of(1, 1)), "");
}
