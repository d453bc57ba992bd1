// The exec agent runs real programs, and the pure reading of what plugins say.
#include "agents/exec.hpp"
#include "agents/plugin.hpp"
#include "agents/text.hpp"
#include "tests/unit/agents/servers.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

class Exec : public testing::Test {
protected:
    Exec() : guard_(events_) {}
    CheckOutcome check(std::string const& command, std::int64_t ms = 20'000, std::string const& environment_file = {}) {
        HealthSpec h;
        h.type = "exec";
        h.attributes = {{"command", command}, {"environment-file", environment_file}};
        ResourceSpec r;
        r.name = "web";
        return make_agent(h, r, guard_, events_)->check(within(ms));
    }
    GuardEvents events_;
    SpawningGuard guard_;
};

TEST_F(Exec, ExitCodesAreNagiosOnes) {
    struct {
        int code;
        Health result;
    } const table[] = {{0, Health::ok},      {1, Health::degraded}, {2, Health::failed},
                       {3, Health::unknown}, {4, Health::unknown},  {126, Health::unknown}};
    for (auto const& row : table) {
        CheckOutcome const outcome = check("/bin/sh -c 'echo said so; exit " + std::to_string(row.code) + "'");
        EXPECT_EQ(outcome.result, row.result) << row.code;
        EXPECT_NE(outcome.message.find("said so"), std::string::npos) << row.code << ": " << outcome.message;
    }
}

TEST_F(Exec, TheFirstLineWithoutPerformanceDataIsTheMessage) {
    EXPECT_EQ(check("/bin/sh -c 'echo \"load is low | load=0.1;8;16\"; echo second'").message, "load is low");
    EXPECT_EQ(check("/bin/sh -c 'echo to stderr >&2; exit 1'").message, "to stderr");
}

TEST_F(Exec, WhatCantBeStartedIsUnknown) {
    CheckOutcome const outcome = check("/no/such/plugin -w 1");
    EXPECT_EQ(outcome.result, Health::unknown);
    EXPECT_NE(outcome.message.find("/no/such/plugin"), std::string::npos) << outcome.message;
    guard_.refuse = true;
    EXPECT_EQ(check("/bin/true").result, Health::unknown);
}

TEST_F(Exec, NotDoneInTimeItIsUnknownAndKilled) {
    CheckOutcome const outcome = check("/bin/sleep 1000", 100);
    EXPECT_EQ(outcome.result, Health::unknown);
    for (int i = 0; i < 2000 && guard_.running() > 0; ++i) usleep(5'000);
    EXPECT_EQ(guard_.running(), 0u);
}

TEST_F(Exec, OneThatCantBeKilledIsntStartedAgainBesideItself) {
    HealthSpec h;
    h.type = "exec";
    h.attributes = {{"command", "/bin/sleep 1000"}};
    ResourceSpec r;
    r.name = "web";
    auto const agent = make_agent(h, r, guard_, events_);
    guard_.in_the_kernel = true;
    EXPECT_EQ(agent->check(within(50)).message, "/bin/sleep wasn't done in time; it was killed");
    for (int i = 0; i < 3; ++i) {
        CheckOutcome const outcome = agent->check(within(50));
        EXPECT_EQ(outcome.result, Health::unknown);
        EXPECT_NE(outcome.message.find("can't be ended, even by SIGKILL"), std::string::npos) << outcome.message;
    }
    EXPECT_EQ(guard_.roles.size(), 1u);
    guard_.in_the_kernel = false;  // the device answers again: the signal that was pending ends it
    ASSERT_TRUE(guard_.signal("web", guard_.roles[0], SIGKILL));
    EXPECT_EQ(agent->check(within(200)).message, "/bin/sleep wasn't done in time; it was killed") << "run again";
    EXPECT_EQ(guard_.roles.size(), 2u);
}

TEST_F(Exec, EndedByASignalItIsUnknown) {
    CheckOutcome const outcome = check("/bin/sh -c 'kill -9 $$'");
    EXPECT_EQ(outcome.result, Health::unknown);
    EXPECT_NE(outcome.message.find("signal 9"), std::string::npos) << outcome.message;
}

TEST_F(Exec, ALongOutputDoesntHoldItUp) {
    CheckOutcome const outcome = check("/bin/sh -c 'echo begin; head -c 300000 /dev/zero; exit 2'");  // more than a pipe holds
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_EQ(outcome.message, "begin");
}

TEST_F(Exec, AFloodIsCutOff) {
    CheckOutcome const outcome = check("/usr/bin/env yes flood");
    EXPECT_EQ(outcome.result, Health::unknown);  // ended by SIGPIPE
    EXPECT_NE(outcome.message.find("1 MiB"), std::string::npos) << outcome.message;
    EXPECT_LT(outcome.message.size(), 700u);
}

TEST_F(Exec, AChildThatKeepsTheOutputOpenIsNotWaitedFor) {
    std::string const mark = testing::TempDir() + "exec-child-" + std::to_string(getpid());
    Instant const begin = boot_now();
    EXPECT_EQ(check("/bin/sh -c 'sleep 30 & echo $! > " + mark + "; echo done'").message, "done");
    EXPECT_LT(to_ms(boot_now() - begin), 15'000);
    pid_t child = 0;
    std::ifstream(mark) >> child;
    ASSERT_GT(child, 1);
    kill(child, SIGKILL);
    unlink(mark.c_str());
}

TEST_F(Exec, SecretsComeByEnvironmentFromAFileThatOthersCantRead) {
    std::string const path = testing::TempDir() + "exec-env-" + std::to_string(getpid());
    std::ofstream(path) << "# the token\nTOKEN=s3cret word\n";
    chmod(path.c_str(), 0600);
    EXPECT_EQ(check("/bin/sh -c 'test \"$TOKEN\" = \"s3cret word\" || exit 2'", 20'000, path).result, Health::ok);
    chmod(path.c_str(), 0640);
    CheckOutcome const outcome = check("/bin/true", 20'000, path);
    EXPECT_EQ(outcome.result, Health::unknown);
    EXPECT_NE(outcome.message.find("chmod 600"), std::string::npos) << outcome.message;
    unlink(path.c_str());
}

TEST_F(Exec, RunsAreToldApart) {
    check("/bin/true");
    check("/bin/true");
    ASSERT_EQ(guard_.roles.size(), 2u);
    EXPECT_NE(guard_.roles[0], guard_.roles[1]);
    EXPECT_EQ(guard_.roles[0].rfind("check:", 0), 0u);
}

TEST_F(Exec, ProcessesAreCountedWithoutChecks) {
    HealthSpec h;
    h.type = "process";
    h.attributes = {{"min", "2"}, {"max", "3"}};
    ResourceSpec r;
    r.name = "web";
    auto const agent = make_agent(h, r, guard_, events_);
    guard_.known = {{"web", "main", 10, true, 0}, {"web", "check:1.2", 11, true, 0}, {"web", "check:1.1", 12, false, 0}};
    struct {
        int alive;
        Health result;
    } const table[] = {{1, Health::failed}, {2, Health::failed}, {3, Health::ok}, {4, Health::ok}, {5, Health::degraded}};
    for (auto const& row : table) {
        guard_.alive = row.alive;
        CheckOutcome const outcome = agent->check(within(1000));
        EXPECT_EQ(outcome.result, row.result) << row.alive << ": " << outcome.message;
    }
    guard_.refuse = true;
    EXPECT_EQ(agent->check(within(1000)).result, Health::unknown);
}

TEST_F(Exec, AnUnknownAgentIsUnknown) {
    HealthSpec h;
    h.type = "horoscope";
    EXPECT_EQ(make_agent(h, ResourceSpec{}, guard_, events_)->check(within(1000)).result, Health::unknown);
}

TEST(OneLine, AnyBytesMakeASafeLine) {
    EXPECT_EQ(one_line("\n  first\tword \r\nsecond"), "first word");
    EXPECT_EQ(one_line(""), "");
    EXPECT_EQ(one_line(" \n \n"), "");
    EXPECT_EQ(one_line("caf\xc3\xa9 \xe2\x82\xac"), "caf\xc3\xa9 \xe2\x82\xac");
    EXPECT_EQ(one_line("a\xff\xc0\x80z\xc3"), "a???z?");
    EXPECT_EQ(one_line("\xed\xa0\x80"), "???") << "a surrogate";
    EXPECT_EQ(one_line("abc\xe2\x82\xac", 5), "abc") << "cut between characters";
    EXPECT_EQ(one_line(std::string("a\0b\x1b[31m", 8)), "a b [31m");
}

TEST(PluginOutput, OddOutputStillMakesAMessage) {
    EXPECT_EQ(plugin_outcome(0, "").message, "");
    EXPECT_EQ(plugin_outcome(2 << 8, "").message, "exit code 2");
    EXPECT_EQ(plugin_outcome(0, "| only=1").message, "");
    EXPECT_EQ(plugin_outcome(0, "\n\nlate | x=1\nmore").message, "late");
    EXPECT_LT(plugin_outcome(0, std::string(100'000, 'a')).message.size(), 500u);
    EXPECT_EQ(plugin_outcome(0x7f, "stopped").result, Health::unknown);
}

}  // namespace
}  // namespace clusterd
