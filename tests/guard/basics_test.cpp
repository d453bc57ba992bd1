// What the guard is, what it refuses at its start, and what hosts and worker can ask of it.
#include "tests/guard/world.hpp"

#include "clusterd/guard/protocol.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace clusterd::guard_test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(GuardProgram, NeedsNothingButLibc) {
    if (SANITIZED) GTEST_SKIP() << "a sanitizer adds its own libraries";
    FILE* pipe = popen("readelf -d " GUARD_PROGRAM, "r");
    ASSERT_TRUE(pipe);
    std::vector<std::string> needed;
    char line[512];
    while (std::fgets(line, sizeof line, pipe))
        if (std::strstr(line, "(NEEDED)")) needed.push_back(std::strchr(line, '['));
    pclose(pipe);
    for (auto const& library : needed) EXPECT_TRUE(library.starts_with("[libc.so.") || library.starts_with("[ld-linux")) << library;
    EXPECT_FALSE(needed.empty());
}

TEST(GuardProgram, AnswersHelpAndVersionAndRefusesWrongUsage) {
    World world;
    EXPECT_EQ(world.run({"--help"}).first, 0);
    EXPECT_THAT(world.run({"--help"}).second, HasSubstr("--node NAME"));
    EXPECT_EQ(world.run({"--version"}).first, 0);
    auto const missing = world.run({});
    EXPECT_EQ(missing.first, 2);
    EXPECT_THAT(missing.second, HasSubstr("--node NAME is missing"));
    EXPECT_EQ(world.run({"--node", "alpha", "--nodes"}).first, 2);
    EXPECT_EQ(world.run({"--node"}).first, 2);
    EXPECT_EQ(world.run({"--node", "../alpha"}).first, 2);
    EXPECT_EQ(world.run({"--node=alpha", "--log-format=xml"}).first, 2);
}

TEST(GuardProgram, RefusesToStartWithoutASafeKey) {
    World world;
    std::filesystem::permissions(world.dir + "/key", std::filesystem::perms(0640));
    auto const readable = world.run({"--node", "alpha"});
    EXPECT_EQ(readable.first, 1);
    EXPECT_THAT(readable.second, HasSubstr("chmod 0600"));
    std::filesystem::remove(world.dir + "/key");
    auto const missing = world.run({"--node", "alpha"});
    EXPECT_EQ(missing.first, 1);
    EXPECT_THAT(missing.second, HasSubstr("clusterctl key new"));
    std::ofstream(world.dir + "/key") << "again\n";  // the world's end needs it
    std::filesystem::permissions(world.dir + "/key", std::filesystem::perms(0600));
}

TEST(GuardProgram, RefusesARunDirectoryInUse) {
    World world;
    world.start();
    auto const worker = world.worker();
    auto const second = world.run({"--node", "alpha"});
    EXPECT_EQ(second.first, 1);
    EXPECT_THAT(second.second, HasSubstr("in use by another clusterd (pid " + std::to_string(world.pid)));
}

TEST(GuardProgram, EndsWithTheCodeOfAWorkerThatRefusesToStart) {
    World world;
    EXPECT_EQ(world.run({"--node", "alpha"}, {{"FAKE_WORKER_EXIT", "1"}}).first, 1);
    EXPECT_EQ(world.run({"--node", "alpha"}, {{"FAKE_WORKER_EXIT", "2"}}).first, 2);
    auto const crashing = world.run({"--node", "alpha"}, {{"FAKE_WORKER_EXIT", "77"}});
    EXPECT_EQ(crashing.first, 1);
    EXPECT_THAT(crashing.second, HasSubstr("start refused"));
}

TEST(GuardProgram, PassesItsOptionsToTheWorkerAndLogsJson) {
    World world;
    world.start({}, {"--log-format", "json"});
    auto const worker = world.worker();
    EXPECT_EQ(worker->arguments, " --node alpha --config " + world.dir + "/cluster.xml --state-dir " + world.dir +
                                     "/state --run-dir " + world.dir + "/run --key " + world.dir + "/key --log-format json");
    EXPECT_FALSE(worker->resumed);
    kill(worker->pid, SIGKILL);
    auto const next = world.worker();
    EXPECT_THAT(world.log(), HasSubstr("\"component\":\"guard\",\"message\":\"the worker was killed by signal 9"));
}

class Spawning : public testing::TestWithParam<bool> {
protected:
    Spawning() : world(GetParam()) {}
    void SetUp() override {
        if (!GetParam() && !is_root()) GTEST_SKIP() << "hiding the cgroups needs root";
        world.start();
        worker = world.worker();
        grant(*worker, 100s);
        agent = world.agent(*worker);
    }
    World world;
    ChildPtr worker, agent;
};
INSTANTIATE_TEST_SUITE_P(With, Spawning, testing::Values(true, false),
                         [](auto const& p) { return p.param ? "cgroups" : "process_groups"; });

TEST_P(Spawning, TellsTheHostAtOnceHowAProcessEnded) {
    auto const pid = agent->guard->spawn({"web", "main", {"sh", "-c", "exit 3"}, {}, "", "", -1});
    ASSERT_TRUE(pid) << pid.error();
    auto const event = agent->wait_event(GuardEvent::Kind::exited);
    EXPECT_EQ(event.process.resource, "web");
    EXPECT_EQ(event.process.role, "main");
    EXPECT_EQ(event.process.pid, *pid);
    EXPECT_EQ(WEXITSTATUS(event.process.wait_status), 3);
    auto const known = agent->guard->processes("web");
    ASSERT_TRUE(known);
    ASSERT_EQ(known->size(), 1u);
    EXPECT_FALSE(known->front().running);
    EXPECT_EQ(WEXITSTATUS(known->front().wait_status), 3);
}

TEST_P(Spawning, GivesACommandItsUserDirectoryEnvironmentAndOutput) {
    int out[2];
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    SpawnRequest request{"web",
                         "start",
                         {"sh", "-c",
                          "pwd; echo $COLOUR; echo $CLUSTERD_RESOURCE; id -un; ls /proc/self/fd | wc -l; chrt -p $$ | head -1; ps "
                          "-o ni= $$; echo >&2 oops"},
                         {"COLOUR=blue"},
                         "/usr",
                         is_root() ? "nobody" : "",
                         out[1]};
    ASSERT_TRUE(agent->guard->spawn(request));
    close(out[1]);
    std::string text;
    char buffer[512];
    for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
    close(out[0]);
    EXPECT_THAT(text, testing::StartsWith("/usr\nblue\nweb\n"));
    EXPECT_TRUE(!is_root() || text.find("nobody\n") != std::string::npos) << text;
    EXPECT_THAT(text, HasSubstr("\n4\n")) << "0, 1, 2 and the directory being listed: nothing else is inherited";
    EXPECT_THAT(text, HasSubstr("SCHED_OTHER"));
    EXPECT_THAT(text, HasSubstr("oops"));
    agent->wait_event(GuardEvent::Kind::exited);
}

TEST_P(Spawning, SaysWhyACommandCanNotRun) {
    auto const missing = agent->guard->spawn({"web", "main", {"/no/such/program"}, {}, "", "", -1});
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error(), HasSubstr("can't execute /no/such/program: No such file"));
    auto const directory = agent->guard->spawn({"web", "main", {"true"}, {}, "/no/such/dir", "", -1});
    ASSERT_FALSE(directory);
    EXPECT_THAT(directory.error(), HasSubstr("/no/such/dir"));
    auto const user = agent->guard->spawn({"web", "main", {"true"}, {}, "", "no-such-user", -1});
    ASSERT_FALSE(user);
    EXPECT_THAT(user.error(), HasSubstr("no-such-user"));
    EXPECT_FALSE(agent->guard->spawn({"../web", "main", {"true"}, {}, "", "", -1}));
    EXPECT_FALSE(agent->guard->spawn({"web", "", {"true"}, {}, "", "", -1}));
    EXPECT_FALSE(agent->guard->spawn({"web", "main", {}, {}, "", "", -1}));
    auto const large = agent->guard->spawn({"web", "main", {"true", std::string(70000, 'x')}, {}, "", "", -1});
    ASSERT_FALSE(large);
    EXPECT_TRUE(until([&] { return *agent->guard->count("web") == 0; }));
    EXPECT_FALSE(agent->has_event(GuardEvent::Kind::exited)) << "what never ran never exited";
}

TEST_P(Spawning, RunsOneMainProcessOfAResource) {
    ASSERT_TRUE(agent->guard->spawn(world.sleeper("web")));
    auto const second = agent->guard->spawn(world.sleeper("web"));
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error(), HasSubstr("runs already"));
}

TEST_P(Spawning, SignalsTheMainProcess) {
    ASSERT_TRUE(agent->guard->spawn(world.sleeper("web")));
    world.pid_in("web-main");
    ASSERT_TRUE(agent->guard->signal("web", "main", SIGTERM));
    EXPECT_EQ(WTERMSIG(agent->wait_event(GuardEvent::Kind::exited).process.wait_status), SIGTERM);
    auto const none = agent->guard->signal("web", "main", SIGTERM);
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error(), HasSubstr("no main process of web runs"));
}

TEST_P(Spawning, KillsAllOfAResourceAndNothingElse) {
    ASSERT_TRUE(agent->guard->spawn(world.sleeper("web", "main", true)));
    ASSERT_TRUE(agent->guard->spawn(world.sleeper("db", "main", true)));
    pid_t const web[] = {world.pid_in("web-main"), world.pid_in("web-main-daemon")};
    pid_t const db[] = {world.pid_in("db-main"), world.pid_in("db-main-daemon")};
    EXPECT_TRUE(until([&] { return *agent->guard->count("web") >= 3; }));  // sh, its sleep, the daemon
    auto const left = agent->guard->kill_all("web");
    ASSERT_TRUE(left) << left.error();
    EXPECT_EQ(*left, 0);
    for (pid_t pid : web) EXPECT_FALSE(alive(pid));
    for (pid_t pid : db) EXPECT_TRUE(alive(pid));
    EXPECT_EQ(*agent->guard->count("web"), 0);
}

TEST(GuardSocket, SurvivesWhateverIsSentToIt) {
    World world;
    world.start();
    auto const worker = world.worker();
    grant(*worker, 100s);
    auto const agent = world.agent(*worker);
    std::mt19937 random(7);
    for (int i = 0; i < 3000; ++i) {
        std::vector<char> bytes(1 + random() % 300);
        for (char& b : bytes) b = static_cast<char>(random());
        if (bytes.size() >= sizeof(guard::Header) && i % 3) {  // a good header, no id: then no answers fill the socket
            guard::Header header;
            header.message = static_cast<std::uint16_t>(i % 3 == 1 ? random() % 8 : random() % 100);
            if (header.message == 35 || header.message == 37 || header.message == 34)
                continue;  // ready, left, emergency_stop: valid without fields
            std::memcpy(bytes.data(), &header, sizeof header);
            if (i % 2)
                for (std::size_t at = sizeof header; at < bytes.size(); ++at) bytes[at] = static_cast<char>(random() % 3 ? 0 : 'a');
        }
        auto const& to = i % 2 ? agent : worker;
        ASSERT_GE(send(to->raw_guard_fd, bytes.data(), bytes.size(), 0), 0);
    }
    auto const n = agent->guard->count("web");
    ASSERT_TRUE(n) << n.error();
    EXPECT_TRUE(alive(worker->pid));
    auto const forbidden = agent->guard->host("h2");  // only the worker may
    ASSERT_FALSE(forbidden);
}

}  // namespace
}  // namespace clusterd::guard_test
