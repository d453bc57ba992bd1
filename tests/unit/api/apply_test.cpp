// clusterctl apply, plan apply and edit against a fake daemon: what is told, what is asked, what is given.
#include "tool_process.hpp"

#include "clusterd/wire/config_hash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace clusterd {
namespace {

using ::testing::HasSubstr;

std::string shop(std::string const& address, std::string const& more = "") {
    return "<cluster name=\"shop\" version=\"1\">\n"
           "  <node name=\"alpha\"> <link address=\"10.0.0.1\"/> </node>\n"
           "  <node name=\"beta\"> <link address=\"10.0.0.2\"/> </node>\n"
           "  <quorum disk=\"/dev/quorum\"/>\n" + more +
           "  <group name=\"web\">\n"
           "    <ip-address name=\"web-ip\" address=\"" + address + "/24\" interface=\"eth0\"/>\n"
           "    <dummy name=\"web-server\" depends=\"web-ip\"/>\n"
           "  </group>\n</cluster>\n";
}

struct Apply : ::testing::Test {
    Apply() {
        daemon.on_loop([&] { daemon.backend.xml = shop("10.0.0.100"); });
        play(daemon, {{Outcome::done, "the configuration counts now"}});
    }
    ~Apply() override { unlink(path.c_str()); }
    std::string file(std::string const& xml) {
        std::ofstream(path) << xml;
        return path;
    }
    std::size_t given() {
        return daemon.on_loop([&] { return daemon.backend.given.size(); });
    }
    FakeDaemon daemon;
    std::string path = ::testing::TempDir() + "apply-" + std::to_string(getpid()) + ".xml";
};

TEST_F(Apply, SaysWhatItChangesAndGivesItOnceAgreedTo) {
    Ran const r = run({"apply", file(shop("10.0.0.101")), "--yes", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("* web-ip  address 10.0.0.100/24 -> 10.0.0.101/24\n"));
    EXPECT_THAT(r.out, HasSubstr("Goes offline and comes back: web-ip; and what needs what goes: web-server\n"));
    EXPECT_THAT(r.out, HasSubstr("the configuration counts now\n"));
    Command const c = last_given(daemon);
    EXPECT_EQ(c.verb, Verb::apply);
    ASSERT_TRUE(c.config);
    EXPECT_EQ(c.config->xml, shop("10.0.0.101"));
    EXPECT_EQ(c.base, hash_config(shop("10.0.0.100")));  // what the difference was told of
}

TEST_F(Apply, OnTrialAndConfirmed) {
    EXPECT_EQ(run({"apply", file(shop("10.0.0.101")), "--yes", "--confirm", "90s", "--reason", "new range", "--socket", daemon.socket()}).code, 0);
    EXPECT_EQ(last_given(daemon).confirm_ms, 90'000);
    EXPECT_EQ(last_given(daemon).reason, "new range");
    Ran const wrong = run({"apply", file(shop("10.0.0.101")), "--yes", "--confirm", "soon", "--socket", daemon.socket()});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, HasSubstr("--confirm soon"));
    EXPECT_EQ(run({"confirm", "--socket", daemon.socket()}).code, 0);
    EXPECT_EQ(last_given(daemon).verb, Verb::confirm);
}

TEST_F(Apply, OneThatCountedBefore) {
    daemon.on_loop([&] { daemon.backend.kept = {{0, 0, "", "", "aa", shop("10.0.0.99")}, {1, 1'764'000'000'000, "ann", "new range", "bb", shop("10.0.0.100")}}; });
    Ran const list = run({"show", "config", "--history", "--socket", daemon.socket()});
    EXPECT_THAT(list.out, ::testing::AllOf(HasSubstr("first start"), HasSubstr("2025-11-24 16:00:00"), HasSubstr("ann"), HasSubstr("new range")));
    EXPECT_EQ(run({"show", "config", "--revision", "0", "--socket", daemon.socket()}).out, shop("10.0.0.99"));
    Ran const r = run({"apply", "--revision", "0", "--yes", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("What revision 0 changes"));
    EXPECT_EQ(last_given(daemon).config->xml, shop("10.0.0.99"));
    Ran const none = run({"apply", "--revision", "7", "--yes", "--socket", daemon.socket()});
    EXPECT_EQ(none.code, 1);
    EXPECT_THAT(none.err, HasSubstr("'7' is not kept on this node"));
    EXPECT_EQ(run({"apply", "--yes", "--socket", daemon.socket()}).code, 2);
}

TEST_F(Apply, AsksNobodyButAPerson) {
    Ran const r = run({"apply", file(shop("10.0.0.101")), "--socket", daemon.socket()}, "y\n");
    EXPECT_EQ(r.code, 2);
    EXPECT_THAT(r.err, HasSubstr("--yes"));
    EXPECT_EQ(given(), 0U);
}

TEST_F(Apply, ABrokenFileAndAFixedPartAreToldBeforeAnythingIsAsked) {
    Ran r = run({"apply", file("<cluster>"), "--yes", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 1);
    EXPECT_THAT(r.err, HasSubstr("is not valid"));
    r = run({"apply", file(shop("10.0.0.100", "  <timing profile=\"wan\"/>\n")), "--yes", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 5);
    EXPECT_THAT(r.err, HasSubstr("the timing"));
    EXPECT_EQ(given(), 0U);
    r = run({"apply", file(shop("10.0.0.100")), "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0);
    EXPECT_THAT(r.out, HasSubstr("counts already"));
    EXPECT_EQ(given(), 0U);
}

TEST_F(Apply, PlanOnlyShowsIt) {
    Ran r = run({"plan", "apply", file(shop("10.0.0.101")), "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("would change in cluster shop"));
    r = run({"plan", "apply", "--json", file(shop("10.0.0.101")), "--socket", daemon.socket()});
    EXPECT_EQ(r.out, "{\"not_possible\":[],\"changes\":[{\"kind\":\"replaced\",\"name\":\"web-ip\",\"what\":\"address 10.0.0.100/24 -> 10.0.0.101/24\"}],"
                     "\"goes_offline_for_good\":[],\"goes_offline_and_comes_back\":[\"web-ip\"],\"interrupted_with_it\":[\"web-server\"]}\n");
    EXPECT_EQ(given(), 0U);
}

TEST_F(Apply, EditTakesWhatTheEditorLeaves) {
    Ran r = run({"edit", "--yes", "--socket", daemon.socket()}, "", {"EDITOR=sed -i s/10.0.0.100/10.0.0.102/"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(last_given(daemon).config->xml, shop("10.0.0.102"));
    r = run({"edit", "--yes", "--socket", daemon.socket()}, "", {"EDITOR=sed -i s/ip-address/ip-adress/"});
    EXPECT_EQ(r.code, 1);
    EXPECT_THAT(r.err, HasSubstr("What you wrote is kept: clusterctl apply /tmp/cluster-"));
    auto const at = r.err.rfind("/tmp/cluster-");
    std::string const kept = r.err.substr(at, r.err.find('\n', at) - at);
    EXPECT_EQ(unlink(kept.c_str()), 0) << kept;
    r = run({"edit", "--yes", "--socket", daemon.socket()}, "", {"EDITOR=false"});
    EXPECT_EQ(r.code, 1);
    EXPECT_THAT(r.err, HasSubstr("nothing was changed"));
}

}  // namespace
}  // namespace clusterd
