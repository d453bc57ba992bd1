// Reading test files and short ways to configurations, for the tests of config/.
#pragma once

#include "config/parse.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace clusterd::test {

inline std::string read(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline std::vector<std::filesystem::path> xml_files(std::string const& folder) {
    std::vector<std::filesystem::path> paths;
    for (auto const& entry : std::filesystem::directory_iterator(std::string(SOURCE_DIR) + "/" + folder)) {
        if (entry.path().extension() == ".xml") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

// A test's name after its file.
inline std::string file_name(testing::TestParamInfo<std::filesystem::path> const& parameter) {
    std::string name = parameter.param.stem();
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

// A whole configuration around what stands in <cluster>, after two nodes of one line each and a quorum disk: it starts in line 5.
inline std::string cluster(std::string const& inner) {
    return "<cluster name=\"c\">\n<node name=\"alpha\"><link address=\"192.168.50.1\"/></node>\n"
           "<node name=\"beta\"><link address=\"192.168.50.2\"/></node>\n<quorum disk=\"/dev/quorum\"/>\n" +
           inner + "\n</cluster>\n";
}
inline std::string group(std::string const& resources) {
    return cluster("<group name=\"g\">" + resources + "</group>");
}

// Every problem on a line of its own, as `clusterctl check` prints them.
inline std::string told(ParseResult const& result) {
    std::string text;
    for (Problem const& problem : result.problems) text += format(problem, "f.xml") + "\n";
    return text;
}

// xmllint's exit code: 0 valid, 3 not valid, 1 not XML.
inline int xmllint(std::filesystem::path const& path, std::string& output) {
    std::string const command = "xmllint --nonet --noout --schema '" SOURCE_DIR "/config/cluster.xsd' '" + path.string() + "' 2>&1";
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return -1;
    char buffer[4096];
    for (std::size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
    int const status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace clusterd::test
