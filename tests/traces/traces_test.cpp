// Replays each recorded trace of traces/data against the simulated pair: the counterexamples that shaped protocol.md, one a file.
//
// A file is text: comments tell the story; then blocks of commands (tests/sim/script.hpp), a line of dashes, and what happened.
// CLUSTER_REWRITE=1 writes what happens now into the file. Commit that only if you understand what caused every changed line.
#include "tests/sim/script.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace {

namespace fs = std::filesystem;

std::vector<std::string> files() {
    std::vector<std::string> all;
    for (auto const& f : fs::directory_iterator(TRACES_DIR))
        if (f.path().extension() == ".txt") all.push_back(f.path().filename().string());
    std::sort(all.begin(), all.end());
    return all;
}

std::vector<std::string> lines_of(fs::path const& path) {
    std::ifstream in(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// The same file with what happens now.
std::string replay(std::vector<std::string> const& lines) {
    clusterd::sim::Script script;
    std::string out, answers;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::string const& line = lines[i];
        if (line == "----") {
            out += "----\n" + (answers.empty() ? std::string("ok\n") : answers) + "\n";
            answers.clear();
            while (i + 1 < lines.size() && !lines[i + 1].empty()) ++i;  // what was expected
            if (i + 1 < lines.size()) ++i;
        } else if (line.empty() || line[0] == '#') {
            out += line + "\n";
        } else {
            out += line + "\n";
            std::string const answer = script.obey(line);
            if (answer != "ok\n") answers += answer;
        }
    }
    while (out.size() > 1 && out[out.size() - 1] == '\n' && out[out.size() - 2] == '\n') out.pop_back();
    return out;
}

class Traces : public testing::TestWithParam<std::string> {};

TEST_P(Traces, HappensAsRecorded) {
    fs::path const path = fs::path(TRACES_DIR) / GetParam();
    auto const lines = lines_of(path);
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines[0].rfind("# ", 0), 0U) << "a trace begins with its story";
    std::string expected;
    for (auto const& line : lines) expected += line + "\n";
    std::string const happened = replay(lines);
    EXPECT_EQ(happened.find("BROKEN"), std::string::npos) << happened;
    EXPECT_EQ(happened.find("\n? "), std::string::npos) << "a command is not understood:\n" << happened;
    EXPECT_EQ(happened.find("NOT within"), std::string::npos) << happened;
    if (char const* rewrite = std::getenv("CLUSTER_REWRITE"); rewrite && std::string(rewrite) == "1") {
        std::ofstream(path) << happened;
        return;
    }
    EXPECT_EQ(happened, expected) << "if this is meant: CLUSTER_REWRITE=1, then read the difference";
}

// One file for each counterexample at the end of protocol.md.
TEST(TraceFiles, EveryCounterexampleHasOne) { EXPECT_GE(files().size(), 11U); }

INSTANTIATE_TEST_SUITE_P(Data, Traces, testing::ValuesIn(files()), [](testing::TestParamInfo<std::string> const& file) {
    std::string name = file.param.substr(0, file.param.find('.'));
    std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
    return name;
});

}  // namespace
