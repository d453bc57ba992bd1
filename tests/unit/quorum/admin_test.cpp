// `quorum init | show`: what is refused, what is written, what people are shown.
#include "tests/unit/quorum/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::HasSubstr;

namespace {

std::string error_of(InitRequest const& request) {
    auto const report = quorum_init(request);
    return report ? "" : report.error();
}

void make_file(std::string const& path, std::uint64_t bytes) {
    std::ofstream(path).flush();
    std::filesystem::resize_file(path, bytes);
}

}  // namespace

TEST(QuorumInit, MakesAFileThatIsReadyToUse) {
    TempDir dir;
    auto const report = quorum_init({dir / "disk", "shop", "", {}});
    ASSERT_TRUE(report) << report.error();
    EXPECT_TRUE(report->created);
    EXPECT_EQ(report->bytes, min_disk_bytes);
    EXPECT_EQ(std::filesystem::file_size(dir / "disk"), min_disk_bytes);
    EXPECT_EQ(std::filesystem::status(dir / "disk").permissions(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_NE(report->header.uuid, Uuid{});
    DiskSession s{settings_for(dir / "disk", NodeIndex::a)};
    EXPECT_TRUE(s.read_slots());
    auto const second = quorum_init({dir / "disk2", "shop", "", {}});
    ASSERT_TRUE(second);
    EXPECT_NE(second->header.uuid, report->header.uuid) << "drawn anew";
    auto const replaced = quorum_init({dir / "disk3", "shop", "", report->header.uuid});
    ASSERT_TRUE(replaced);
    EXPECT_EQ(replaced->header.uuid, report->header.uuid);
    EXPECT_NE(replaced->header.disk, report->header.disk);
}

TEST(QuorumInit, AnEmptyOrShorterFileIsGrown) {
    TempDir dir;
    for (std::uint64_t const size : {0u, 4096u, 5000u}) {
        std::string const path = dir / std::to_string(size);
        make_file(path, size);
        auto const report = quorum_init({path, "shop", "", {}});
        ASSERT_TRUE(report) << report.error();
        EXPECT_TRUE(report->grown);
        EXPECT_EQ(std::filesystem::file_size(path), min_disk_bytes);
    }
    make_file(dir / "large", 100u << 20);
    auto const report = quorum_init({dir / "large", "shop", "", {}});
    ASSERT_TRUE(report) << report.error();
    EXPECT_EQ(report->header.geometry, geometry_for(100u << 20));
}

TEST(QuorumInit, WhatCarriesDataIsRefusedUnlessForceNamesItAgain) {
    struct Case { std::uint64_t offset; std::string bytes; char const* name; };
    using namespace std::string_literals;
    Case const cases[] = {
        {0x438, "\x53\xef", "ext2, ext3 or ext4"}, {0, "XFSB", "XFS"},           {0x10040, "_BHRfS_M", "Btrfs"},
        {4086, "SWAPSPACE2", "swap"},              {510, "\x55\xaa", "MBR"},     {512, "EFI PART", "GPT"},
        {0x218, "LVM2 001", "LVM2"},               {0, "LUKS\xba\xbe", "LUKS"},  {4096, "\xfc\x4e\x2b\xa9", "RAID"},
        {(16u << 20) - 512, "EFI PART", "GPT"},    {(16u << 20) - 65536, "\xfc\x4e\x2b\xa9", "md 0.90"},
        {(16u << 20) - 8192, "\xfc\x4e\x2b\xa9", "md 1.0"}, {0x20000, "\x0c\xb1\xba\0\0\0\0\0"s, "ZFS"},
        {70'000, "my thesis", "unknown kind (at byte 70000)"},
    };
    for (auto const& c : cases) {
        TempDir dir;
        std::string const path = dir / "disk";
        make_file(path, 16u << 20);
        write_bytes(path, c.offset, c.bytes);
        EXPECT_THAT(error_of({path, "shop", "", {}}), HasSubstr(c.name));
        EXPECT_EQ(read_bytes(path, c.offset, c.bytes.size()), c.bytes) << "nothing was written";
        EXPECT_THAT(error_of({path, "shop", dir / "other", {}}), HasSubstr("name the same path twice")) << c.name;
        EXPECT_EQ(error_of({path, "shop", path, {}}), "");
        EXPECT_EQ(read_bytes(path, c.offset, c.bytes.size()) == c.bytes, false) << c.name << " would still be taken for one";
        EXPECT_TRUE(DiskSession(settings_for(path, NodeIndex::a)).read_slots());
    }
}

TEST(QuorumInit, AQuorumDiskIsRefusedAlsoTheSameClusters) {
    TempDir dir;
    std::string const path = dir / "disk";
    auto const header = make_disk(path, "first");
    EXPECT_THAT(error_of({path, "second", "", {}}), HasSubstr("the quorum disk of the cluster 'first'"));
    EXPECT_THAT(error_of({path, "first", "", {}}), HasSubstr("the quorum disk of the cluster 'first'"));
    flip_byte(path, 100);
    EXPECT_THAT(error_of({path, "second", "", {}}), HasSubstr("header can't be read"));
    EXPECT_EQ(error_of({path, "second", path, {}}), "");
    auto const view = quorum_show(path, nullptr);
    ASSERT_TRUE(view) << view.error();
    EXPECT_EQ(view->header.cluster, "second");
    EXPECT_NE(view->header.disk, header.disk);
}

TEST(QuorumInit, ForceMayNameItByALink) {
    TempDir dir;
    std::string const path = dir / "disk";
    make_disk(path);
    std::filesystem::create_symlink(path, dir / "link");
    EXPECT_EQ(error_of({dir / "link", "shop", path, {}}), "");
}

TEST(QuorumInit, ImpossiblePathsAndNamesAreRefused) {
    TempDir dir;
    EXPECT_THAT(error_of({dir.path(), "shop", "", {}}), HasSubstr("neither a block device nor a regular file"));
    EXPECT_THAT(error_of({"/dev/null", "shop", "", {}}), HasSubstr("neither"));
    EXPECT_THAT(error_of({"/dev/clusterd-there-is-no-such", "shop", "", {}}), HasSubstr("doesn't exist"));
    EXPECT_THAT(error_of({dir / "no/such/dir", "shop", "", {}}), HasSubstr("can't be made"));
    EXPECT_NE(error_of({"", "shop", "", {}}), "");
    EXPECT_NE(error_of({dir / "disk", "", "", {}}), "");
    EXPECT_NE(error_of({dir / "disk", std::string(201, 'x'), "", {}}), "");
    EXPECT_FALSE(std::filesystem::exists(dir / "disk"));
}

TEST(QuorumShow, TellsSlotsAndDecisions) {
    TempDir dir;
    std::string const path = dir / "disk";
    auto const header = make_disk(path);
    auto fresh = quorum_show(path, nullptr);
    ASSERT_TRUE(fresh) << fresh.error();
    EXPECT_EQ(fresh->slots[0].state, SlotView::State::never_written);
    EXPECT_EQ(fresh->decisions[0].state, DecisionView::State::none);

    DiskSession a{settings_for(path, NodeIndex::a)};
    ASSERT_TRUE(a.store_decision(*decision_of({3, 1}, config_of("<one/>")), 1));
    Slot slot = slot_of(0xabc, 17, Role::alone, 3);
    slot.newest = {3, 1};
    slot.area = 1;
    Instant started;
    ASSERT_TRUE(a.cycle(slot, started));

    Key const right = key_of(7), wrong = key_of(8);
    auto const view = quorum_show(path, &right);
    ASSERT_TRUE(view) << view.error();
    EXPECT_EQ(view->header, header);
    EXPECT_EQ(view->slots[0].state, SlotView::State::ok);
    EXPECT_EQ(view->slots[0].slot, slot);
    EXPECT_EQ(view->decisions[0].state, DecisionView::State::ok);
    EXPECT_EQ(view->decisions[0].id, (DecisionId{3, 1}));
    EXPECT_TRUE(view->decisions[0].config_found);
    EXPECT_THAT(to_text(*view), testing::AllOf(HasSubstr("'shop'"), HasSubstr("alone"), HasSubstr("beat 17"), HasSubstr("term 3, index 1"), HasSubstr("never written")));
    EXPECT_EQ(quorum_show(path, nullptr)->slots[0].state, SlotView::State::unchecked);
    EXPECT_THAT(to_text(*quorum_show(path, nullptr)), HasSubstr("not authenticated"));
    EXPECT_EQ(quorum_show(path, &wrong)->slots[0].state, SlotView::State::bad);
    flip_byte(path, header.geometry.decision(NodeIndex::a, 1) + area_header_bytes);
    EXPECT_EQ(quorum_show(path, nullptr)->decisions[0].state, DecisionView::State::bad);
    flip_byte(path, header.geometry.slot(NodeIndex::a) + 30);
    EXPECT_THAT(to_text(*quorum_show(path, nullptr)), HasSubstr("BAD"));
}

TEST(QuorumShow, RefusesWhatIsNoQuorumDisk) {
    TempDir dir;
    make_file(dir / "empty", min_disk_bytes);
    EXPECT_THAT(quorum_show(dir / "empty", nullptr).error(), HasSubstr("quorum init"));
    make_file(dir / "short", 100);
    EXPECT_THAT(quorum_show(dir / "short", nullptr).error(), HasSubstr("at least"));
    EXPECT_THAT(quorum_show(dir / "none", nullptr).error(), HasSubstr("No such file"));
}
