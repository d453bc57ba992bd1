// Every file of data/broken is refused, for exactly the reasons its comment lists; by the schema too, where it can say so.
//
// A file starts with a comment: `wrong:` for people; `expect: LINE: FRAGMENT` for each error, all of them; `xsd: refuses`, or
// `xsd: cannot say: WHY`, and then xmllint must accept the file (so that the list of what the schema can't say stays true).
#include "files.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

struct Expected {
    std::vector<std::pair<int, std::string>> errors;
    std::string wrong, xsd;
};

Expected expected_of(std::string const& xml) {
    Expected expected;
    std::istringstream lines(xml.substr(0, xml.find("-->")));
    auto const after = [](std::string const& line, std::string const& key) {
        std::size_t const at = line.find(key);
        return at == std::string::npos ? std::string() : line.substr(at + key.size());
    };
    for (std::string line; std::getline(lines, line);) {
        if (auto text = after(line, "wrong: "); !text.empty()) expected.wrong = text;
        if (auto text = after(line, "     xsd: "); !text.empty()) expected.xsd = text;
        if (auto text = after(line, "     expect: "); !text.empty()) {
            expected.errors.emplace_back(std::stoi(text), text.substr(text.find(": ") + 2));
        }
    }
    return expected;
}

class Broken : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Broken, IsRefusedWithAllItsErrorsAndNoOthers) {
    std::string const xml = test::read(GetParam());
    Expected const expected = expected_of(xml);
    ASSERT_FALSE(expected.wrong.empty()) << "the file says nowhere what is wrong with it";
    ASSERT_FALSE(expected.errors.empty());
    ParseResult result = parse_config(xml, GetParam().filename());
    EXPECT_FALSE(result.spec.has_value());
    auto left = result.problems;
    left.erase(std::remove_if(left.begin(), left.end(), [](Problem const& p) { return p.warning; }), left.end());
    for (auto const& [line, fragment] : expected.errors) {
        auto const found = std::find_if(left.begin(), left.end(), [&, at = line, &text = fragment](Problem const& p) {
            return p.line == at && p.message.find(text) != std::string::npos;
        });
        EXPECT_TRUE(found != left.end()) << "expected " << line << ": " << fragment << "\ntold:\n" << test::told(result);
        if (found != left.end()) left.erase(found);
    }
    for (Problem const& problem : left) ADD_FAILURE() << "not expected: " << format(problem, GetParam().filename());
}

TEST_P(Broken, IsRefusedByTheSchemaWhereItCanSaySo) {
    Expected const expected = expected_of(test::read(GetParam()));
    bool const refuses = expected.xsd == "refuses";
    ASSERT_TRUE(refuses || expected.xsd.rfind("cannot say: ", 0) == 0) << "xsd: " << expected.xsd;
    std::string output;
    int const code = test::xmllint(GetParam(), output);
    if (refuses) {
        EXPECT_TRUE(code == 3 || code == 1) << code << "\n" << output;
    } else {
        EXPECT_EQ(code, 0) << output;
    }
}

TEST_P(Broken, NeverRepeatsASecret) {
    std::string const text = test::told(parse_config(test::read(GetParam()), "f"));
    EXPECT_EQ(text.find("swordfish"), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(All, Broken, testing::ValuesIn(test::xml_files("tests/unit/config/data/broken")), test::file_name);

TEST(BrokenFiles, AreAtLeast25) {
    EXPECT_GE(test::xml_files("tests/unit/config/data/broken").size(), 25U);
}

}  // namespace
}  // namespace clusterd
