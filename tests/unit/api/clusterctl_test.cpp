// clusterctl as a process against a fake daemon: exit codes, what goes to stdout and stderr, and the contract's JSON.
#include "tool_process.hpp"

#include "clusterd/wire/status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <csignal>
#include <fstream>
#include <sstream>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::FakeDaemon;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Clusterctl, HelpAndVersionAreNoErrors) {
    EXPECT_EQ(run({"--help"}).code, 0);
    EXPECT_EQ(run({"quorum", "init", "--help"}).code, 0);
    Ran const version = run({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_THAT(version.out, StartsWith("clusterctl "));
}

TEST(Clusterctl, WrongUseIsTwo) {
    for (std::vector<std::string> const& arguments : std::vector<std::vector<std::string>>{{},
                                                                                           {"explode"},
                                                                                           {"move"},
                                                                                           {"move", "a", "b"},
                                                                                           {"online"},
                                                                                           {"status", "--bogus"},
                                                                                           {"online", "web", "--to", "beta"},
                                                                                           {"quorum"},
                                                                                           {"quorum", "init", "/x"},
                                                                                           {"show"},
                                                                                           {"show", "type"},
                                                                                           {"status", "--timeout", "5 parsecs"},
                                                                                           {"events", "-n", "0"}}) {
        Ran const r = run(arguments);
        EXPECT_EQ(r.code, 2) << (arguments.empty() ? "" : arguments[0]) << r.err;
        EXPECT_THAT(r.err, Not(IsEmpty()));
    }
}

TEST(Clusterctl, WithoutADaemonIsThreeAndSaysWhatToDo) {
    for (auto const& verb : std::vector<std::vector<std::string>>{
             {"status"}, {"move", "web"}, {"events"}, {"failovers"}, {"show", "timing"}, {"quorum", "force"}}) {
        auto arguments = verb;
        arguments.insert(arguments.end(), {"--socket", "/nonexistent/clusterd.sock"});
        Ran const r = run(arguments);
        EXPECT_EQ(r.code, 3);
        EXPECT_THAT(r.err, AllOf(HasSubstr("/nonexistent/clusterd.sock"), HasSubstr("systemctl status clusterd")));
    }
    EXPECT_THAT(run({"status"}, "", {"CLUSTERD_SOCKET=/from/environment.sock"}).err, HasSubstr("/from/environment.sock"));
}

TEST(Clusterctl, DaemonThatDoesNotAnswerIsFour) {
    // Listens and never accepts: a frozen daemon.
    FakeDaemon daemon;
    daemon.end_server();
    int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    daemon.socket().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(fd, 1), 0);
    Ran const r = run({"status", "--socket", daemon.socket()});
    close(fd);
    EXPECT_EQ(r.code, 4);
    EXPECT_THAT(r.err, HasSubstr("doesn't answer"));
}

TEST(Clusterctl, GlobalOptionsStandBeforeOrBehindTheVerb) {
    FakeDaemon daemon;
    EXPECT_EQ(run({"--json", "--socket", daemon.socket(), "status"}).out, status_json(testing::well_status()) + "\n");
    EXPECT_EQ(run({"status", "--json", "--socket", daemon.socket()}).out, status_json(testing::well_status()) + "\n");
}

TEST(Clusterctl, StatusIsPlainWhenPiped) {
    FakeDaemon daemon;
    Ran const r = run({"status", "--socket", daemon.socket()}, "", {"TERM=xterm-256color"});
    EXPECT_EQ(r.code, 0);
    EXPECT_THAT(r.out, StartsWith("shop: all well\n"));
    EXPECT_THAT(r.out, HasSubstr("  web-server     process     online  ok      2025-11-24 16:00\n"));
    EXPECT_THAT(r.out, Not(HasSubstr("\x1b")));
    std::istringstream lines(r.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(Clusterctl, StatusSaysWhatIsWrongAndWhatToDo) {
    FakeDaemon daemon;
    daemon.on_loop([&] {
        Status& s = daemon.backend.shown;
        s.nodes[1].state = NodeState::down;
        s.quorum.state = QuorumState::uninitialised;
        s.groups[0].state = GroupState::failed;
        s.groups[0].resources[1].report.state = ResourceState::failed;
        s.groups[0].resources[1].report.message = "exit status 7\x1b[2J";
    });
    std::string const out = run({"status", "--socket", daemon.socket()}).out;
    EXPECT_THAT(out, StartsWith("shop: 1 of 1 group not online\n"));
    EXPECT_THAT(out, HasSubstr("beta is down"));
    EXPECT_THAT(out, HasSubstr("clusterctl quorum init /dev/disk/by-id/scsi-36001405a"));
    EXPECT_THAT(out, HasSubstr("web-server failed: exit status 7?[2J"));  // no escape reaches the terminal
    EXPECT_THAT(out, HasSubstr("clusterctl reset web-server"));
}

TEST(Clusterctl, MoveShowsProgressAndEndsWithWhatTheClientSaw) {
    FakeDaemon daemon;
    play(daemon, {{Outcome::running, "web-server goes offline"},
                  {Outcome::running, "web-ip comes online on beta"},
                  {Outcome::done, "web is online on beta; the service was away for 384 ms"}});
    Ran const r = run({"move", "web", "--to", "beta", "--socket", daemon.socket()}, "", {"SUDO_USER=ann"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(r.out,
              "web-server goes offline\nweb-ip comes online on beta\nweb is online on beta; the service was away for 384 ms\n");
    Command const c = last_given(daemon);
    EXPECT_EQ(c, (Command{c.id, Verb::move, "web", "beta", false, false, "ann"}));
}

TEST(Clusterctl, OutcomesHaveTheirExitCodes) {
    FakeDaemon daemon;
    play(daemon, {{Outcome::refused, "beta is paused"}});
    Ran r = run({"move", "web", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 5);
    EXPECT_EQ(r.err, "clusterctl: refused: beta is paused\n");
    play(daemon, {{Outcome::failed, "web-ip didn't come online"}});
    r = run({"online", "web-ip", "--json", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 1);
    EXPECT_EQ(r.out,
              "{\"id\":\"" + last_given(daemon).id + "\",\"outcome\":\"failed\",\"message\":\"web-ip didn't come online\"}\n");
    play(daemon, {{Outcome::done, ""}});
    EXPECT_EQ(run({"reset", "web", "--socket", daemon.socket()}).out, "done\n");
}

TEST(Clusterctl, EveryVerbIsGivenAsItWasTyped) {
    FakeDaemon daemon;
    play(daemon, {{Outcome::done, "done"}});
    struct Case {
        std::vector<std::string> arguments;
        Command command;
    };
    for (auto const& c :
         std::vector<Case>{{{"online", "web"}, {"", Verb::online, "web", "", false, false, "u"}},
                           {{"offline", "web-ip"}, {"", Verb::offline, "web-ip", "", false, false, "u"}},
                           {{"fail", "web-ip"}, {"", Verb::fail, "web-ip", "", false, false, "u"}},
                           {{"pause", "alpha", "--drain"}, {"", Verb::pause, "alpha", "", true, false, "u"}},
                           {{"maintenance", "on", "web", "--for", "30min"}, {"", Verb::maintenance, "web", "", false, false, "u", nullptr, true, 1'800'000}},
                           {{"maintenance", "off"}, {"", Verb::maintenance, "", "", false, false, "u", nullptr, false, 0}},
                           {{"resume", "alpha", "--failback"}, {"", Verb::resume, "alpha", "", false, true, "u"}}}) {
        auto arguments = c.arguments;
        arguments.insert(arguments.end(), {"--socket", daemon.socket()});
        ASSERT_EQ(run(arguments, "", {"SUDO_USER=u"}).code, 0);
        Command given = last_given(daemon);
        given.id.clear();
        EXPECT_EQ(given, c.command) << c.arguments[0];
    }
}

TEST(Clusterctl, TimeOutIsFourAndTheCommandIsLetGo) {
    FakeDaemon daemon;
    play(daemon, {{Outcome::running, "waiting for beta"}});
    Ran const r = run({"move", "web", "--timeout", "200ms", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 4);
    EXPECT_EQ(r.out, "waiting for beta\n");
    EXPECT_THAT(r.err, HasSubstr("200ms"));
    EXPECT_THAT(daemon.on_loop([&] { return daemon.backend.abandoned; }), ::testing::ElementsAre(last_given(daemon).id));
}

TEST(Clusterctl, NoWaitReturnsAtOnce) {
    FakeDaemon daemon;
    Ran const r = run({"move", "web", "--no-wait", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0);
    EXPECT_THAT(r.out, HasSubstr(last_given(daemon).id));
}

TEST(Clusterctl, InterruptEndsTheWaitingOnly) {
    FakeDaemon daemon;
    play(daemon, {{Outcome::running, "waiting for beta"}});
    Process p({"move", "web", "--socket", daemon.socket()}, "", {});
    ASSERT_TRUE(p.says("waiting for beta"));
    p.signal(SIGINT);
    Ran const r = p.end();
    EXPECT_EQ(r.code, 130);
    EXPECT_THAT(r.err, HasSubstr("goes on"));
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.abandoned.size(); }), 1U);
}

TEST(Clusterctl, EventsFollow) {
    FakeDaemon daemon;
    daemon.on_loop([&] { daemon.record({"e1", 1'764'000'000'000, "alpha", "info", "web", "", "first"}); });
    EXPECT_EQ(run({"events", "--socket", daemon.socket()}).out, "2025-11-24 16:00:00.000  info      alpha: web: first\n");
    Process p({"events", "--follow", "--json", "--socket", daemon.socket()}, "", {});
    ASSERT_TRUE(p.says("first"));
    EventRecord const second{"e2", 1'764'000'001'000, "beta", "warning", "", "web-ip", "second"};
    daemon.on_loop([&] { daemon.record(second); });
    ASSERT_TRUE(p.says("second"));
    p.signal(SIGINT);
    Ran const r = p.end();
    EXPECT_EQ(r.code, 0);
    EXPECT_THAT(r.out, ::testing::EndsWith("}\n" + event_json(second) + "\n"));
}

TEST(Clusterctl, FailoversAsListTimeLineAndJson) {
    FakeDaemon daemon;
    FailoverRecord const f{"17",
                           "web",
                           "alpha",
                           "beta",
                           "alpha was lost",
                           1'764'000'000'000,
                           {{"detect", 300}, {"permit wait", 600}, {"online web-ip", 100}}};
    EXPECT_THAT(run({"failovers", "--socket", daemon.socket()}).out, HasSubstr("No failovers"));
    daemon.on_loop([&] { daemon.backend.moves = {f}; });
    EXPECT_THAT(run({"failovers", "--socket", daemon.socket()}).out,
                AllOf(HasSubstr("alpha -> beta"), HasSubstr("1.0 s"), HasSubstr("alpha was lost")));
    EXPECT_EQ(run({"failovers", "--json", "--socket", daemon.socket()}).out, failover_json(f) + "\n");
    EXPECT_EQ(run({"failovers", "17", "--json", "--socket", daemon.socket()}).out, failover_json(f) + "\n");
    std::string const line = run({"failovers", "17", "--socket", daemon.socket()}).out;
    // 52 columns for the bars: 300, 600 and 100 of 1000, each where the one before ends.
    EXPECT_THAT(line, HasSubstr("  detect           300 ms  " + std::string(15, '#') + "\n"));
    EXPECT_THAT(line, HasSubstr("  permit wait      600 ms  " + std::string(15, ' ') + std::string(31, '#') + "\n"));
    EXPECT_THAT(line, HasSubstr("  online web-ip    100 ms  " + std::string(46, ' ') + std::string(6, '#') + "\n"));
    Ran const unknown = run({"failovers", "18", "--socket", daemon.socket()});
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.err, HasSubstr("'18'"));
}

// The agent exportfs, asked itself: a directory that isn't there.
TEST(Clusterctl, CheckLetsAnOcfAgentValidateItsParameters) {
    if (geteuid() != 0 || access("/usr/lib/ocf/resource.d/heartbeat/exportfs", X_OK) != 0) GTEST_SKIP() << "needs root and resource-agents";
    std::string const path = ::testing::TempDir() + "ocf-" + std::to_string(getpid()) + ".xml";
    auto const with = [&](std::string const& directory) {
        std::ofstream(path) << "<cluster name=\"c\"> <node name=\"alpha\"><link address=\"192.168.50.1\"/></node> <node name=\"beta\"><link address=\"192.168.50.2\"/></node> <quorum disk=\"/dev/quorum\"/>\n"
                               "<group name=\"g\"> <ocf name=\"e\" agent=\"heartbeat:exportfs\" online-timeout=\"2min\" offline-timeout=\"3min\"> <param name=\"clientspec\" value=\"10.0.0.0/24\"/> <param name=\"fsid\" value=\"7\"/> <param name=\"directory\" value=\"" +
                                   directory + "\"/> </ocf> </group> </cluster>\n";
        return run({"check", path});
    };
    Ran const wrong = with("/no/such/directory");
    EXPECT_EQ(wrong.code, 0) << wrong.err;
    EXPECT_THAT(wrong.err, HasSubstr("its validate-all says on this machine: /no/such/directory does not exist"));
    EXPECT_THAT(with("/usr").err, ::testing::Not(HasSubstr("does not exist")));
    unlink(path.c_str());
}

TEST(Clusterctl, CheckNeedsNoDaemon) {
    FakeDaemon daemon;  // for its directory only
    std::string const file = daemon.directory() + "/cluster.xml";
    std::ofstream(file) << "<cluster name=\"shop\" version=\"1\">\n  <nod name=\"alpha\"/>\n</cluster>\n";
    Ran const wrong = run({"check", file, "--socket", "/nonexistent"});
    EXPECT_EQ(wrong.code, 1);
    EXPECT_THAT(wrong.err, HasSubstr(file + ":2: "));
    EXPECT_THAT(wrong.out, IsEmpty());
    std::ofstream(file) << R"(<cluster name="shop" version="1">
  <node name="alpha"> <link address="192.168.50.1"/> </node>
  <node name="beta">  <link address="192.168.50.2"/> </node>
  <group name="web"> <dummy name="d"/> </group>
</cluster>)";
    Ran const right = run({"check", file});
    EXPECT_EQ(right.code, 0) << right.err;
    EXPECT_THAT(right.out, HasSubstr("is valid"));
    EXPECT_EQ(run({"check", "/nonexistent.xml"}).code, 1);
    EXPECT_EQ(run({"check", "/"}).code, 1);
    EXPECT_EQ(run({"check", "/dev/zero"}).code, 1);
}

TEST(Clusterctl, CheckWarnsOfOcfAgentsWhoseWorkOutlivesAPermit) {
    FakeDaemon daemon;  // for its directory only
    std::string const file = daemon.directory() + "/cluster.xml";
    auto const said_of = [&file](std::string const& agent) {
        std::ofstream(file) << R"(<cluster name="shop" version="1">
  <node name="alpha"> <link address="192.168.50.1"/> </node>
  <node name="beta">  <link address="192.168.50.2"/> </node>
  <group name="web"> <ocf name="o" agent=")" << agent << R"("/> </group>
</cluster>)" << std::flush;
        Ran const ran = run({"check", file});
        EXPECT_EQ(ran.code, 0) << ran.err;
        return ran.err;
    };
    EXPECT_THAT(said_of("heartbeat:IPaddr2"), AllOf(HasSubstr(file + ":4: "), HasSubstr("isn't silenced")));
    EXPECT_THAT(said_of("ocf:heartbeat:Filesystem"), HasSubstr("both nodes may then write"));
    EXPECT_THAT(said_of("heartbeat:Dummy"), AllOf(Not(HasSubstr("isn't silenced")), Not(HasSubstr("may then write"))));
}

TEST(Clusterctl, AgentsAreTriedByHandWithoutADaemon) {
    Ran const well = run({"agent", "try", "exec", "command=/bin/echo all well", "--socket", "/nonexistent"});
    EXPECT_EQ(well.code, 0) << well.err;
    EXPECT_THAT(well.out, AllOf(StartsWith("ok "), HasSubstr("all well")));
    EXPECT_EQ(run({"agent", "try", "exec", "command=/bin/sh -c 'exit 1'"}).code, 0);
    Ran const failed = run({"--json", "agent", "try", "exec", "command=/bin/sh -c 'echo \"bad\"; exit 2'"});
    EXPECT_EQ(failed.code, 1);
    EXPECT_THAT(failed.out, AllOf(HasSubstr(R"("result":"failed")"), HasSubstr(R"("message":"bad")"), HasSubstr("latency_us")));
    Ran const late = run({"agent", "try", "exec", "command=/bin/sleep 60", "timeout=100ms"});
    EXPECT_EQ(late.code, 1);
    EXPECT_THAT(late.out, StartsWith("unknown "));
    Ran const wrong = run({"agent", "try", "http", "ulr=http://127.0.0.1/"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, AllOf(HasSubstr("unknown attribute 'ulr'; did you mean \"url\"?"), HasSubstr("attribute 'url' is missing")));
    EXPECT_EQ(run({"agent", "try", "process"}).code, 2);
    EXPECT_EQ(run({"agent", "try", "htp"}).code, 2);
    EXPECT_EQ(run({"agent", "try", "load", "\"/><x y="}).code, 2);
}

TEST(Clusterctl, KeyIsWrittenOnceAndForTheOwnerOnly) {
    FakeDaemon daemon;
    std::string const file = daemon.directory() + "/key";
    EXPECT_EQ(run({"key", "new", file}).code, 0);
    struct stat s {};
    ASSERT_EQ(stat(file.c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777U, 0600U);
    EXPECT_EQ(run({"key", "new", file}).code, 1);
}

TEST(Clusterctl, QuorumDiskIsMadeOnceAndShown) {
    FakeDaemon daemon;
    std::string const disk = daemon.directory() + "/quorum.img";
    std::ofstream(disk).put('\0');
    std::filesystem::resize_file(disk, 8U << 20U);
    Ran const made = run({"quorum", "init", disk, "--cluster", "shop"});
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(run({"quorum", "init", disk, "--cluster", "shop"}).code, 1);
    EXPECT_EQ(run({"quorum", "init", disk, "--cluster", "shop", "--force", disk}).code, 0);
    Ran const shown = run({"quorum", "show", disk, "--json"});
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_THAT(shown.out, AllOf(HasSubstr(R"("cluster":"shop")"), HasSubstr("never-written")));
    EXPECT_EQ(run({"quorum", "show", disk, "--key", "/nonexistent"}).code, 1);
}

TEST(Clusterctl, ForceShowsWhatCouldBeLostAndWantsTheName) {
    FakeDaemon daemon;
    for (char const* const typed : {"", "beta\n", "yes\n"}) {
        Ran const refused = run({"quorum", "force", "--socket", daemon.socket()}, typed);
        EXPECT_EQ(refused.code, 5);
        EXPECT_THAT(refused.err, AllOf(HasSubstr("nothing would be lost"), HasSubstr("nothing was done")));
    }
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.forced; }), 0);
    Ran const done = run({"quorum", "force", "--socket", daemon.socket()}, "alpha\n");
    EXPECT_EQ(done.code, 0) << done.err;
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.forced; }), 1);
    daemon.on_loop([&] { daemon.backend.force_refusal = "this node has a permit: nothing needs to be forced"; });
    Ran const refused = run({"quorum", "force", "--socket", daemon.socket()}, "alpha\n");
    EXPECT_EQ(refused.code, 5);
    EXPECT_THAT(refused.err, HasSubstr("nothing needs to be forced"));
}

TEST(Clusterctl, ShowsTheTableWithoutADaemonAndTheRestWithOne) {
    EXPECT_THAT(run({"show", "types"}).out, HasSubstr("dummy"));
    EXPECT_THAT(run({"show", "agents"}).out, HasSubstr("http"));
    EXPECT_EQ(run({"show", "defaults"}).code, 0);
    EXPECT_THAT(run({"show", "type", "dummy", "--json"}).out, StartsWith(R"([{"name":"dummy","kind":"resource")"));
    Ran const unknown = run({"show", "type", "dumy"});
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.err, HasSubstr("dummy"));
    FakeDaemon daemon;
    EXPECT_EQ(run({"show", "config", "--socket", daemon.socket()}).out, daemon.backend.xml);
    EXPECT_THAT(run({"show", "timing", "--socket", daemon.socket()}).out, AllOf(HasSubstr("300ms"), HasSubstr("holds")));
}

}  // namespace
}  // namespace clusterd
