// clusterctl as a process against a fake daemon: exit codes, what goes to stdout and stderr, and the contract's JSON.
#include "fake_daemon.hpp"

#include "clusterd/wire/status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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

struct Ran {
    int code = -1;
    std::string out, err;
};

// A clusterctl under way; ended and collected at the latest when this goes.
class Process {
public:
    Process(std::vector<std::string> arguments, std::string const& input, std::vector<std::string> environment) {
        int in[2], out[2], err[2];
        if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
            throw std::runtime_error("pipe2");
        arguments.insert(arguments.begin(), BINARY_DIR "/bin/clusterctl");
        environment.insert(environment.end(), {"PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C.UTF-8"});
        auto const pointers = [](std::vector<std::string>& strings) {
            std::vector<char*> p;
            for (auto& s : strings) p.push_back(s.data());
            p.push_back(nullptr);
            return p;
        };
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        posix_spawn_file_actions_adddup2(&actions, err[1], 2);
        int const failed =
            posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr, pointers(arguments).data(), pointers(environment).data());
        posix_spawn_file_actions_destroy(&actions);
        for (int const fd : {in[0], out[1], err[1]}) close(fd);
        [[maybe_unused]] ssize_t const written = write(in[1], input.data(), input.size());
        close(in[1]);
        out_ = out[0];
        err_ = err[0];
        if (failed != 0) throw std::runtime_error("can't start " + arguments[0]);
    }
    ~Process() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        close(out_);
        close(err_);
    }
    Process(Process const&) = delete;
    Process& operator=(Process const&) = delete;

    void signal(int number) const { kill(pid_, number); }
    // False: `text` wasn't on stdout within 30 s.
    bool says(std::string_view text) {
        auto const deadline = std::chrono::steady_clock::now() + 30s;
        while (ran_.out.find(text) == std::string::npos) {
            if (std::chrono::steady_clock::now() >= deadline || !collect()) return ran_.out.find(text) != std::string::npos;
        }
        return true;
    }
    Ran end() {
        while (collect()) {
        }
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        ran_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        return ran_;
    }

private:
    bool collect() {
        pollfd fds[2] = {{out_open_ ? out_ : -1, POLLIN, 0}, {err_open_ ? err_ : -1, POLLIN, 0}};
        if (!out_open_ && !err_open_) return false;
        if (poll(fds, 2, 30'000) <= 0) return false;
        auto const take = [](pollfd const& p, std::string& to, bool& open) {
            if (p.revents == 0) return;
            char buffer[4096];
            ssize_t const n = read(p.fd, buffer, sizeof buffer);
            if (n <= 0) open = false;
            if (n > 0) to.append(buffer, static_cast<std::size_t>(n));
        };
        take(fds[0], ran_.out, out_open_);
        take(fds[1], ran_.err, err_open_);
        return true;
    }
    pid_t pid_ = -1;
    int out_ = -1, err_ = -1;
    bool out_open_ = true, err_open_ = true;
    Ran ran_;
};

Ran run(std::vector<std::string> arguments, std::string const& input = "", std::vector<std::string> environment = {}) {
    Process p(std::move(arguments), input, std::move(environment));
    return p.end();
}

// Plays `updates` for every command, one after the other, once it was given.
void play(FakeDaemon& daemon, std::vector<std::pair<Outcome, std::string>> updates) {
    daemon.on_loop([&] {
        daemon.backend.on_submit = [&daemon, updates](Command const& c) {
            for (auto const& u : updates) daemon.loop().post([&daemon, u, id = c.id] { daemon.update(id, u.first, u.second); });
        };
    });
}

Command last_given(FakeDaemon& daemon) {
    return daemon.on_loop([&] { return daemon.backend.given.empty() ? Command{} : daemon.backend.given.back(); });
}

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
