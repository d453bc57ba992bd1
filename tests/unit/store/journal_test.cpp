// Journals: whole lines only, bounded, in order.
#include "clusterd/store/journal.hpp"

#include "tests/unit/quorum/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::ElementsAre;

namespace {

void append_raw(std::string const& path, std::string const& text) { std::ofstream(path, std::ios::app | std::ios::binary) << text; }

}  // namespace

TEST(Journal, TheNewestLinesOldestFirst) {
    TempDir dir;
    Journal j(dir / "events.jsonl", 1u << 20);
    EXPECT_TRUE(j.tail(10).empty());
    for (int i = 1; i <= 5; ++i) ASSERT_TRUE(j.append("line " + std::to_string(i)));
    EXPECT_THAT(j.tail(3), ElementsAre("line 3", "line 4", "line 5"));
    EXPECT_EQ(j.tail(100).size(), 5u);
    EXPECT_TRUE(j.tail(0).empty());
}

TEST(Journal, ALineStaysALine) {
    TempDir dir;
    Journal j(dir / "events.jsonl", 1u << 20);
    ASSERT_TRUE(j.append("two\nlines\r\tand \x01"));
    EXPECT_THAT(j.tail(10), ElementsAre("two lines  and  "));
}

TEST(Journal, ATornLastLineIsDropped) {
    TempDir dir;
    std::string const path = dir / "events.jsonl";
    Journal j(path, 1u << 20);
    ASSERT_TRUE(j.append("whole"));
    append_raw(path, std::string(10'000, 'x'));
    EXPECT_THAT(j.tail(10), ElementsAre("whole"));
    ASSERT_TRUE(Journal(path, 1u << 20).append("next"));
    EXPECT_THAT(j.tail(10), ElementsAre("whole", "next"));
    std::filesystem::resize_file(path, 0);
    append_raw(path, "only half a line");
    EXPECT_TRUE(j.tail(10).empty());
    ASSERT_TRUE(j.append("next"));
    EXPECT_THAT(j.tail(10), ElementsAre("next"));
}

TEST(Journal, ItIsBoundedAndReadsOverTheEdge) {
    TempDir dir;
    std::string const path = dir / "events.jsonl";
    Journal j(path, 1000);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(j.append("line number " + std::to_string(i)));
    EXPECT_LE(std::filesystem::file_size(path), 1000u);
    EXPECT_LE(std::filesystem::file_size(path + ".1"), 1000u);
    auto const lines = j.tail(60);
    ASSERT_EQ(lines.size(), 60u) << "the last file and the one before";
    for (int i = 0; i < 60; ++i) EXPECT_EQ(lines[static_cast<std::size_t>(i)], "line number " + std::to_string(940 + i));
}

TEST(Journal, ALineLongerThanTheBoundIsStillKept) {
    TempDir dir;
    Journal j(dir / "events.jsonl", 100);
    ASSERT_TRUE(j.append("short"));
    ASSERT_TRUE(j.append(std::string(500, 'y')));
    ASSERT_TRUE(j.append("after"));
    EXPECT_THAT(j.tail(10), ElementsAre(std::string(500, 'y'), "after"));
}

TEST(Journal, WhereItCannotBeWrittenItSaysSo) {
    Journal j("/proc/clusterd-no-such/events.jsonl", 100);
    auto const done = j.append("x");
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().find("events.jsonl"), std::string::npos);
    EXPECT_TRUE(j.tail(10).empty());
}
