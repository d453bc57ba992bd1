// The quorum disk's header, layout and areas: what was written is read; anything else is refused.
#include "clusterd/wire/disk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

using namespace clusterd;

namespace {

Key key_of(std::uint8_t v) {
    Key key;
    key.bytes.fill(v);
    return key;
}
Key const key = key_of(9);
DiskBinding const here{{1, 2, 3, 4}, 77};

DiskHeader sample() {
    DiskHeader h;
    h.cluster = "shop";
    h.uuid = here.cluster;
    h.disk = here.disk;
    h.created_wall_ms = 1'700'000'000'000;
    return h;
}

AreaHeader decision_area() {
    AreaHeader h;
    h.area = 1;
    h.id = {7, 3};
    h.config.fill(5);
    return h;
}

void expect_disjoint(DiskGeometry const& g, std::uint64_t disk_bytes) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces = {{0, disk_block}};
    for (auto const n : {NodeIndex::a, NodeIndex::b}) {
        pieces.emplace_back(g.slot(n), disk_block);
        for (std::uint8_t area = 0; area < 2; ++area) {
            pieces.emplace_back(g.decision(n, area), g.decision_area);
            pieces.emplace_back(g.config(n, area), g.config_area);
        }
    }
    std::sort(pieces.begin(), pieces.end());
    std::uint64_t end = 0;
    for (auto const& [at, size] : pieces) {
        EXPECT_EQ(at, end) << "no gap and no overlap";
        EXPECT_EQ(at % disk_block, 0u);
        end = at + size;
    }
    EXPECT_EQ(end, g.total());
    EXPECT_LE(end, disk_bytes);
}

}  // namespace

TEST(DiskLayout, FitsTheSmallestAndLargerDisks) {
    expect_disjoint(geometry_for(min_disk_bytes), min_disk_bytes);
    expect_disjoint(geometry_for(64u << 20), 64u << 20);
    EXPECT_GT(geometry_for(64u << 20).config_area, geometry_for(min_disk_bytes).config_area);
}

TEST(DiskHeader, WhatWasWrittenIsRead) {
    std::string const block = encode_disk_header(sample());
    ASSERT_EQ(block.size(), disk_block);
    EXPECT_TRUE(looks_like_disk_header(block));
    auto const header = decode_disk_header(block);
    ASSERT_TRUE(header) << header.error();
    EXPECT_EQ(*header, sample());
}

TEST(DiskHeader, EveryFlippedByteIsRefused) {
    std::string const good = encode_disk_header(sample());
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(~bad[i]);
        EXPECT_FALSE(decode_disk_header(bad)) << "byte " << i;
    }
    EXPECT_FALSE(decode_disk_header(std::string_view(good).substr(0, 4095)));
    EXPECT_FALSE(decode_disk_header(std::string(disk_block, '\0')));
    EXPECT_FALSE(looks_like_disk_header(std::string(disk_block, '\0')));
    EXPECT_FALSE(looks_like_disk_header(""));
}

TEST(DiskHeader, ImpossibleGeometryIsRefused) {
    for (std::uint64_t const size : {std::uint64_t{0}, std::uint64_t{4095}, std::uint64_t{4097}, std::uint64_t{1} << 40}) {
        DiskHeader h = sample();
        h.geometry.config_area = size;
        EXPECT_FALSE(decode_disk_header(encode_disk_header(h))) << size;
    }
    DiskHeader nameless = sample();
    nameless.disk = 0;
    EXPECT_FALSE(decode_disk_header(encode_disk_header(nameless)));
}

TEST(DiskArea, WhatWasWrittenIsRead) {
    for (std::size_t const n : {std::size_t{0}, std::size_t{1}, disk_block - area_header_bytes, disk_block, std::size_t{100'000}}) {
        std::string const content(n, 'x');
        std::string const bytes = encode_area(decision_area(), content, here, NodeIndex::b, key);
        EXPECT_EQ(bytes.size() % disk_block, 0u);
        auto const header = decode_area_header(bytes, 1u << 20, here, NodeIndex::b, &key);
        ASSERT_TRUE(header) << header.error();
        EXPECT_EQ(header->id, decision_area().id);
        EXPECT_EQ(header->config, decision_area().config);
        EXPECT_EQ(area_read_bytes(*header), bytes.size());
        auto const back = decode_area_content(bytes, *header);
        ASSERT_TRUE(back) << back.error();
        EXPECT_EQ(*back, content);
    }
}

TEST(DiskArea, EveryFlippedByteIsRefused) {
    std::string const content = "a decision, or a configuration";
    std::string const good = encode_area(decision_area(), content, here, NodeIndex::a, key);
    for (std::size_t i = 0; i < area_header_bytes + content.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(~bad[i]);
        auto const header = decode_area_header(bad, 1u << 20, here, NodeIndex::a, &key);
        EXPECT_FALSE(header && decode_area_content(bad, *header)) << "byte " << i;
    }
}

TEST(DiskArea, CopiedFromElsewhereIsRefused) {
    std::string const bytes = encode_area(decision_area(), "content", here, NodeIndex::a, key);
    EXPECT_FALSE(decode_area_header(bytes, 1u << 20, here, NodeIndex::b, &key));
    EXPECT_FALSE(decode_area_header(bytes, 1u << 20, {here.cluster, 78}, NodeIndex::a, &key));
    Key const wrong = key_of(1);
    EXPECT_FALSE(decode_area_header(bytes, 1u << 20, here, NodeIndex::a, &wrong));
}

TEST(DiskArea, ALengthBeyondTheAreaIsRefused) {
    std::string const bytes = encode_area(decision_area(), std::string(8192, 'x'), here, NodeIndex::a, key);
    EXPECT_FALSE(decode_area_header(bytes, 8192, here, NodeIndex::a, &key));
    EXPECT_FALSE(decode_area_header(bytes, 0, here, NodeIndex::a, &key));
    auto const header = decode_area_header(bytes, 1u << 20, here, NodeIndex::a, &key);
    ASSERT_TRUE(header);
    EXPECT_FALSE(decode_area_content(std::string_view(bytes).substr(0, 4096), *header));
    EXPECT_FALSE(decode_area_content("", *header));
}
