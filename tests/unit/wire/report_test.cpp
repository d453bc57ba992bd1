// Reports as bytes.
#include "clusterd/wire/report.hpp"

#include "tests/unit/wire/samples.hpp"

#include <gtest/gtest.h>
#include <random>

namespace clusterd {
namespace {

TEST(ReportBytes, ComeBackAsTheyWere) {
    for (Report const& report : {test::sample_report(), Report{}}) {
        auto const back = decode_report(encode_report(report));
        ASSERT_TRUE(back) << back.error();
        EXPECT_EQ(*back, report);
    }
}

TEST(ReportBytes, EveryPrefixAndASuffixIsRefused) {
    std::string const bytes = encode_report(test::sample_report());
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_report(bytes.substr(0, n))) << n;
    EXPECT_FALSE(decode_report(bytes + '\0'));
}

TEST(ReportBytes, UnknownStatesAreRefused) {
    Report report;
    report.resources["r"] = {};
    std::string bytes = encode_report(report);
    std::size_t const state = bytes.find("r", 5) + 1;
    bytes[state] = static_cast<char>(static_cast<int>(ResourceState::unknown) + 1);
    auto const back = decode_report(bytes);
    ASSERT_FALSE(back);
    EXPECT_NE(back.error().find("value 6 is unknown"), std::string::npos) << back.error();
}

TEST(ReportBytes, RandomDamageDoesNoHarm) {
    std::string const bytes = encode_report(test::sample_report());
    std::mt19937 random(1);
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
        std::string damaged = bytes;
        for (unsigned n = 1 + random() % 4; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
        auto const back = decode_report(damaged);
        if (!back) {
            ++refused;
            continue;
        }
        auto const again = decode_report(encode_report(*back));
        ASSERT_TRUE(again) << again.error();
        EXPECT_EQ(*again, *back);
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace clusterd
