// The pair matrix: what becomes of two nodes, for each state of mine and each of the peer's, with the disk well, failed or replaced
// by a blank one, and the link whole, cut, or whole from A to B only. The expected ends stand in table.txt, one row each.
// CLUSTER_REWRITE=1 writes the table anew: read every changed line before committing it.
#include "tests/sim/script.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

struct Row {
    std::string mine, peers, disk, link;
    std::string key() const { return mine + " " + peers + " " + disk + " " + link; }
};

// How a pair comes into its states: `seeking` was started just now and knows the cluster, `blank` too but with an empty store.
std::vector<std::string> way_to(std::string const& mine, std::string const& peers) {
    std::vector<std::string> way = {"start A", "start B", "run 5s"};
    auto const goes = [&](std::string const& state, char const* node) {
        if (state == "joined" || state == "alone") return;
        way.push_back(std::string("power-cut ") + node);
    };
    auto const settles = mine == "alone" || peers == "alone";
    goes(mine, "A");
    goes(peers, "B");
    if (settles) way.push_back("run 5s");
    auto const comes = [&](std::string const& state, char const* node) {
        if (state == "blank") way.push_back(std::string("lose-store ") + node);
        if (state == "blank" || state == "seeking") way.push_back(std::string("start ") + node);
    };
    comes(mine, "A");
    comes(peers, "B");
    return way;
}

std::vector<std::string> surroundings(Row const& r) {
    std::vector<std::string> now;
    if (r.disk == "failed") now = {"disk A fails", "disk B fails"};
    if (r.disk == "fresh") now = {"new-disk A"};
    if (r.link == "cut") now.insert(now.end(), {"cut A", "cut B"});
    if (r.link == "one-way") now.push_back("cut B");
    return now;
}

// Its role, and what it does: serves its own groups, serves everything, or nothing.
std::string end_of(Cluster& c, NodeIndex n) {
    Machine const& m = c.machine(n);
    if (!m.node) return "gone";
    std::string s = to_string(m.resume.role);
    bool const web = m.running.at("web-server").truth == Truth::on, mail = m.running.at("mail-ip").truth == Truth::on;
    return s + (web && mail ? "+all" : web ? "+web" : mail ? "+mail" : "");
}

std::string outcome(Row const& r) {
    Script script;
    std::string trouble;
    auto const obey = [&](std::string const& command) {
        std::string const answer = script.obey(command);
        if (answer.find("BROKEN") != std::string::npos || answer[0] == '?') trouble += answer.find("BROKEN") == answer.npos ? answer : answer.substr(answer.find("BROKEN") + 7);
    };
    // What is wrong is wrong before the seeking ones come up: they find it so.
    auto way = way_to(r.mine, r.peers);
    std::size_t const first_start = way.size() - static_cast<std::size_t>(std::count_if(way.begin() + 3, way.end(), [](std::string const& w) {
                                                     return w.rfind("start", 0) == 0 || w.rfind("lose", 0) == 0;
                                                 }));
    for (std::size_t i = 0; i < way.size(); ++i) {
        if (i == first_start)
            for (auto const& s : surroundings(r)) obey(s);
        obey(way[i]);
    }
    if (first_start == way.size())
        for (auto const& s : surroundings(r)) obey(s);
    obey("run 15s");
    if (!trouble.empty()) return "BROKEN " + trouble.substr(0, trouble.find('\n'));
    return end_of(script.cluster(), NodeIndex::a) + " " + end_of(script.cluster(), NodeIndex::b);
}

std::vector<Row> rows() {
    std::vector<Row> all;
    char const* const states[] = {"joined", "alone", "seeking", "blank", "gone"};
    for (std::string mine : states)
        for (std::string peers : states) {
            bool const alone_with_member = (mine == "alone" && (peers == "alone" || peers == "joined")) || (mine == "joined" && peers == "alone");
            if (alone_with_member || (mine == "gone" && peers == "gone")) continue;  // can't be
            for (char const* disk : {"ok", "failed", "fresh"})
                for (char const* link : {"ok", "cut", "one-way"}) {
                    // Two lost stores of three are an operator's business (quorum force).
                    if (std::string(disk) == "fresh" && (mine == "blank" || peers == "blank")) continue;
                    all.push_back({mine, peers, disk, link});
                }
        }
    return all;
}

std::map<std::string, std::string> table() {
    std::ifstream in(PAIRS_TABLE);
    std::map<std::string, std::string> t;
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream words(line);
        std::string mine, peers, disk, link, arrow, a, b;
        words >> mine >> peers >> disk >> link >> arrow >> a >> b;
        t[mine + " " + peers + " " + disk + " " + link] = a + " " + b;
    }
    return t;
}

std::string padded(std::string s, std::size_t width) {
    s.resize(std::max(s.size(), width), ' ');
    return s;
}

TEST(Pairs, EveryPairOfStatesEndsAsTheTableSays) {
    auto const expected = table();
    bool const rewrite = std::getenv("CLUSTER_REWRITE") && std::string(std::getenv("CLUSTER_REWRITE")) == "1";
    std::string text = "# A's state, B's state, the disk, the link (one-way: A -> B only) => how A and B end, 15 seconds later.\n"
                       "# web prefers A, mail was placed on A, too. +web, +mail, +all: what the node has online.\n";
    for (auto const& row : rows()) {
        std::string const end = outcome(row);
        EXPECT_EQ(end.find("BROKEN"), end.npos) << row.key() << ": " << end;
        text += padded(row.mine, 8) + padded(row.peers, 8) + padded(row.disk, 7) + padded(row.link, 8) + "=> " + padded(end.substr(0, end.find(' ')), 14) +
                end.substr(end.find(' ') + 1) + "\n";
        if (rewrite) continue;
        auto const it = expected.find(row.key());
        if (it == expected.end()) ADD_FAILURE() << "no row for: " << row.key() << "; it ends as: " << end;
        else EXPECT_EQ(end, it->second) << row.key();
    }
    if (rewrite) std::ofstream(PAIRS_TABLE) << text;
    else EXPECT_EQ(expected.size(), rows().size());
}

// What no row may say, whatever the table was rewritten to.
TEST(Pairs, NoRowServesAnythingTwiceAndNoneServesWithoutTwoVotes) {
    for (auto const& [key, end] : table()) {
        std::istringstream words(key + " " + end);
        std::string mine, peers, disk, link, a, b;
        words >> mine >> peers >> disk >> link >> a >> b;
        auto const serves = [](std::string const& e, char const* group) { return e.find("+all") != e.npos || e.find(group) != e.npos; };
        EXPECT_FALSE(serves(a, "+web") && serves(b, "+web")) << key;
        EXPECT_FALSE(serves(a, "+mail") && serves(b, "+mail")) << key;
        EXPECT_FALSE(a.find("alone") == 0 && b.find("alone") == 0) << key;
        if (disk == "failed" && link != "ok") {
            EXPECT_TRUE(a.find('+') == a.npos && b.find('+') == b.npos) << key << ": no two votes are left";
        }
        if (disk == "ok" && mine != "blank" && peers != "blank") {
            EXPECT_TRUE((serves(a, "+web") || serves(b, "+web")) && (serves(a, "+mail") || serves(b, "+mail"))) << key << " => " << end;
        }
    }
}

}  // namespace
