// What a pair's own time lines say about how long things take.
#include "clusterd/shell/measured.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;

FailoverRecord record(std::string from, std::vector<Phase> phases) {
    FailoverRecord f;
    f.group = "web";
    f.from = std::move(from);
    f.to = "beta";
    f.phases = std::move(phases);
    return f;
}

TEST(Measured, NothingIsKnownBeforeAnythingHappened) {
    Measured const m = measure({}, 1s);
    EXPECT_EQ(m.records, 0U);
    EXPECT_EQ(m.typical.until_takeover, 1s);  // the permit
    EXPECT_FALSE(m.takeover);
    EXPECT_TRUE(m.typical.online.empty());
}

TEST(Measured, LeastMedianAndMost) {
    Measured const m = measure({record("alpha", {{"offline on alpha", 30}, {"decide", 5}, {"online web-ip", 10}}), record("alpha", {{"offline on alpha", 50}, {"decide", 7}, {"online web-ip", 40}}),
                                record("beta", {{"offline on beta", 40}, {"decide", 6}, {"online web-ip", 20}})},
                               1s);
    EXPECT_EQ(m.records, 3U);
    EXPECT_EQ(m.least.online.at("web-ip"), 10ms);
    EXPECT_EQ(m.typical.online.at("web-ip"), 20ms);
    EXPECT_EQ(m.most.online.at("web-ip"), 40ms);
    EXPECT_EQ(m.typical.offline.at("web"), 40ms);
    EXPECT_EQ(m.typical.hand_over, 6ms);
    EXPECT_FALSE(m.takeover);
}

TEST(Measured, ATakeoverIsAllThatComesBeforeTheFirstStart) {
    Measured const m = measure({record("alpha", {{"detect", 400}, {"arbitrate", 4}, {"permit wait", 580}, {"decide", 3}, {"online web-ip", 10}}), record("", {{"decide", 3}, {"online web-ip", 10}})}, 1s);
    EXPECT_TRUE(m.takeover);
    EXPECT_EQ(m.typical.until_takeover, 987ms);
    EXPECT_EQ(m.most.until_takeover, 987ms);  // the first start is none
}

TEST(Measured, OldOnesDontCount) {
    std::vector<FailoverRecord> records(60, record("alpha", {{"online web-ip", 10}}));
    records.front() = record("alpha", {{"online web-ip", 9'000}});
    EXPECT_EQ(measure(records, 1s).most.online.at("web-ip"), 10ms);
}

}  // namespace
}  // namespace clusterd
