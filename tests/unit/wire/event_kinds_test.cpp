// Every kind of event is explained, and the pages say what the table says: docs/events.md for people, packaging/clusterd.catalog for
// `journalctl -x`. CLUSTERD_WRITE_PAGES=1 writes both anew.
#include "clusterd/wire/event_kinds.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace clusterd {
namespace {

namespace fs = std::filesystem;

std::string page() {
    std::string out =
        "# Events\n\n"
        "Everything that happens is an event: `clusterctl events` lists them, `clusterctl why NAME` tells what they led to, and `clusterctl explain ID` says what one means.\n"
        "In the journal each has its kind's `MESSAGE_ID` and the fields `CLUSTER_EVENT`, `CLUSTER_KIND`, `CLUSTER_NODE`, `CLUSTER_GROUP`, `CLUSTER_RESOURCE`, `CLUSTER_EVIDENCE`;\n"
        "`journalctl -x` shows the explanations, too. A kind keeps its name and id. This page is written from the program's table by a test (`tests/unit/wire/event_kinds_test.cpp`).\n";
    for (auto const& k : event_kinds()) {
        out += "\n## " + std::string(k.name) + "\n\n" + std::string(k.title) + ".\n\n* **Why**: " + std::string(k.cause) + "\n* **To do**: " + std::string(k.next) +
               "\n* **Journal**: `MESSAGE_ID=" + message_id(k.kind) + "`\n";
    }
    return out;
}

std::string catalog() {
    std::string out = "# What clusterd's events mean, for `journalctl -x`. Written from wire/event_kinds.cpp by a test, as docs/events.md is.\n";
    for (auto const& k : event_kinds()) {
        out += "\n-- " + message_id(k.kind) + "\nSubject: " + std::string(k.title) + "\nDefined-By: clusterd\n\n" + std::string(k.cause) + "\n\nTo do: " + std::string(k.next) +
               "\n\nWhat was known: @CLUSTER_EVIDENCE@\nMore: clusterctl explain @CLUSTER_EVENT@, clusterctl why @CLUSTER_GROUP@\n";
    }
    return out;
}

void expect_file(char const* name, std::string const& text) {
    fs::path const path = fs::path(SOURCE_DIR) / name;
    if (std::getenv("CLUSTERD_WRITE_PAGES") != nullptr) std::ofstream(path) << text;
    std::ifstream in(path);
    std::stringstream seen;
    seen << in.rdbuf();
    EXPECT_EQ(seen.str(), text) << name << " isn't what the table says: run this test with CLUSTERD_WRITE_PAGES=1";
}

TEST(EventKinds, EachIsNamedOnceAndExplained) {
    std::set<std::string> names, ids;
    for (auto const& k : event_kinds()) {
        EXPECT_TRUE(names.insert(std::string(k.name)).second) << k.name;
        EXPECT_TRUE(ids.insert(message_id(k.kind)).second) << k.name;
        EXPECT_EQ(message_id(k.kind).size(), 32U);
        for (auto const& sentence : {k.cause, k.next}) EXPECT_TRUE(sentence.ends_with('.') || sentence.ends_with('?')) << k.name << ": " << sentence;
        EXPECT_EQ(info_of(k.kind).name, k.name);
        ASSERT_TRUE(find_kind(k.name));
        EXPECT_EQ(find_kind(k.name)->kind, k.kind);
    }
    EXPECT_FALSE(find_kind("of-a-newer-clusterd"));
}

// Every enumerator has a row: without one info_of() would call it a note.
TEST(EventKinds, NoEnumeratorIsForgotten) {
    std::ifstream in(fs::path(SOURCE_DIR) / "clusterd/core/event_kind.hpp");
    std::size_t found = 0;
    for (std::string line; std::getline(in, line);) {
        auto const equals = line.find(" = ");
        if (!line.starts_with("    ") || equals == std::string::npos) continue;
        int const number = std::atoi(line.c_str() + equals + 3);
        EXPECT_EQ(info_of(static_cast<EventKind>(number)).kind, static_cast<EventKind>(number)) << line;
        ++found;
    }
    EXPECT_EQ(found, event_kinds().size());
}

TEST(EventKinds, ThePageSaysWhatTheTableSays) { expect_file("docs/events.md", page()); }
TEST(EventKinds, TheJournalsCatalogSaysWhatTheTableSays) { expect_file("packaging/clusterd.catalog", catalog()); }

}  // namespace
}  // namespace clusterd
