// What a node says of itself, as JSON between the nodes and to clusterctl.
#include "clusterd/wire/readiness.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

TEST(ReadinessJson, BothWays) {
    Readiness const r{"beta", "0.1.0", 7, 1'764'000'000'000, {"web-ip", "web-server"}, {{"web-server", {"nginx isn't there", "install it"}}, {"", {"the quorum disk can't be used", ""}}}};
    auto const back = parse_readiness(readiness_json(r));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(*back, r);
    auto const both = parse_readinesses(readinesses_json({std::nullopt, r}));
    ASSERT_TRUE(both) << both.error();
    EXPECT_FALSE(both->own);
    EXPECT_EQ(both->peer, r);
}

// It comes from the other machine: whatever it is, it is refused, and that is all.
TEST(ReadinessJson, WhatIsntOneIsRefused) {
    for (char const* text : {"", "{", "[]", "null", R"({"node":1})", R"({"node":"a","version":"1","round":-1,"wall_ms":0,"looked_at":[],"lacks":[]})",
                             R"({"node":"a","version":"1","round":1,"wall_ms":0,"looked_at":[1],"lacks":[]})", R"({"node":"a","version":"1","round":1,"wall_ms":0,"looked_at":[],"lacks":[{}]})"})
        EXPECT_FALSE(parse_readiness(text)) << text;
    std::string many = R"({"node":"a","version":"1","round":1,"wall_ms":0,"lacks":[],"looked_at":["x")";
    for (int i = 0; i < 1000; ++i) many += R"(,"x")";
    EXPECT_FALSE(parse_readiness(many + "]}"));
}

}  // namespace
}  // namespace clusterd
