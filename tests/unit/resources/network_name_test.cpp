// The driver network-name with a real named of the test's own, and what is read of nsupdate and of key files. Two nodes are two run
// directories; a move between two machines, with a client on a third, is not tested yet.
#include "tests/unit/resources/driver_world.hpp"
#include "tests/unit/resources/programs.hpp"

#include "resources/dns_update.hpp"
#include "resources/network_name.hpp"

#include <gmock/gmock.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace clusterd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class NetworkNames : public testing::Test {
protected:
    void SetUp() override {
        if (std::system("command -v named nsupdate dig tsig-keygen >/dev/null") != 0) GTEST_SKIP() << "bind9 and bind9-dnsutils are needed";
        port_ = std::to_string(free_port());
        for (char const* key : {"web", "other", "unknown"}) world_.write(std::string(key) + ".key", output_of(std::string("tsig-keygen ") + key + "-key"), 0600);
        world_.write("wrong.key", output_of("tsig-keygen web-key"), 0600);
        world_.write("named.conf", "include \"" + world_.dir + "/web.key\"; include \"" + world_.dir + "/other.key\"; controls { };\n" + "options { directory \"" + world_.dir +
                                       "\"; pid-file none; session-keyfile none; listen-on port " + port_ + " { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; };\n"
                                       "zone \"shop.test\" { type primary; file \"shop.zone\"; update-policy { grant web-key subdomain web.shop.test. A AAAA TXT; }; };\n");
        world_.write("shop.zone", "$TTL 60\n@ SOA ns.shop.test. root.shop.test. 1 60 60 60 5\n@ NS ns\nns A 127.0.0.1\n");
        std::filesystem::copy_file(output_of("printf %s \"$(command -v named)\""), world_.dir + "/named");  // an AppArmor profile goes by the path
        start_named();
        be("alpha");
    }
    void TearDown() override {
        world_.driver.reset();
        end_named();
        unsetenv("CLUSTERD_RUN_DIR");
    }
    void start_named() {
        named_ = fork();
        if (named_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            int const log = open((world_.dir + "/named.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            for (int fd : {1, 2}) dup2(log, fd);
            execl((world_.dir + "/named").c_str(), "named", "-g", "-n", "1", "-c", (world_.dir + "/named.conf").c_str(), nullptr);
            _exit(127);
        }
        for (int i = 0; i < 300 && dig("ns.shop.test A") != "127.0.0.1\n"; ++i) usleep(50'000);
        ASSERT_EQ(dig("ns.shop.test A"), "127.0.0.1\n") << world_.read("named.log");
    }
    void end_named() {
        if (named_ > 0) {
            kill(named_, SIGKILL);
            waitpid(named_, nullptr, 0);
        }
        named_ = -1;
    }
    void be(std::string const& node) const { setenv("CLUSTERD_RUN_DIR", (world_.dir + "/" + node).c_str(), 1); }
    std::string dig(std::string const& question) const { return output_of("dig +short +tries=1 +time=2 @127.0.0.1 -p " + port_ + " " + question); }
    void update(std::string const& lines) const { output_of("printf 'server 127.0.0.1 " + port_ + "\\n" + lines + "send\\n' | nsupdate -k " + world_.dir + "/web.key"); }
    Driver& make(std::map<std::string, std::string> more = {}) {
        std::map<std::string, std::string> all{{"dns-name", "web.shop.test"}, {"server", "127.0.0.1"}, {"port", port_}, {"address", "10.0.0.100"}, {"key-file", world_.dir + "/web.key"}};
        for (auto const& [name, value] : more) all[name] = value;
        return world_.make(make_network_name_driver, all);
    }

    DriverWorld world_;
    std::string port_;
    pid_t named_ = -1;
};

TEST_F(NetworkNames, ItIsThereWhileItIsOnline) {
    Driver& name = make({{"address", "10.0.0.100 10.0.0.101 fd00::100"}, {"ttl", "30s"}});
    EXPECT_EQ(name.probe(in(10s)).state, ResourceState::offline);
    DriverOutcome const started = name.start(in(60s));
    ASSERT_EQ(started.state, ResourceState::online) << started.message << world_.read("named.log");
    EXPECT_THAT(dig("web.shop.test A"), AllOf(HasSubstr("10.0.0.100\n"), HasSubstr("10.0.0.101\n")));
    EXPECT_EQ(dig("web.shop.test AAAA"), "fd00::100\n");
    EXPECT_THAT(output_of("dig +noall +answer @127.0.0.1 -p " + port_ + " web.shop.test AAAA"), HasSubstr("\t30\t"));
    EXPECT_EQ(name.probe(in(10s)).state, ResourceState::online);
    EXPECT_EQ(name.start(in(60s)).state, ResourceState::online);  // what is online
    DriverOutcome const stopped = name.stop(in(30s));
    EXPECT_EQ(stopped.state, ResourceState::offline);
    EXPECT_EQ(stopped.message, "");
    EXPECT_EQ(dig("web.shop.test ANY") + dig("_clusterd.web.shop.test TXT"), "");
    EXPECT_EQ(name.probe(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(name.stop(in(30s)).state, ResourceState::offline);
}

TEST_F(NetworkNames, WhatWasThereBeforeIsReplaced) {
    update("update add web.shop.test 60 A 10.9.9.9\\nupdate add web.shop.test 60 AAAA fd00::9\\nupdate add web.shop.test 60 TXT kept\\n");
    ASSERT_EQ(dig("web.shop.test A"), "10.9.9.9\n");
    Driver& name = make();
    ASSERT_EQ(name.start(in(60s)).state, ResourceState::online);
    EXPECT_EQ(dig("web.shop.test A"), "10.0.0.100\n");
    EXPECT_EQ(dig("web.shop.test AAAA"), "");
    name.stop(in(30s));
    EXPECT_EQ(dig("web.shop.test TXT"), "\"kept\"\n");
}

TEST_F(NetworkNames, ANodeThatComesBackLateLeavesTheOtherOnesName) {
    ASSERT_EQ(make().start(in(60s)).state, ResourceState::online);  // on alpha, which then goes dark
    be("beta");
    Driver& on_beta = make();
    EXPECT_EQ(on_beta.probe(in(10s)).state, ResourceState::offline);  // the name is there, but not by beta
    ASSERT_EQ(on_beta.start(in(60s)).state, ResourceState::online);
    be("alpha");
    Driver& on_alpha = make();
    EXPECT_EQ(on_alpha.probe(in(10s)).state, ResourceState::offline);
    EXPECT_EQ(on_alpha.stop(in(30s)).state, ResourceState::offline);
    EXPECT_EQ(dig("web.shop.test A"), "10.0.0.100\n");
    be("beta");
    EXPECT_EQ(make().probe(in(10s)).state, ResourceState::online);
}

TEST_F(NetworkNames, RemoveNoLeavesIt) {
    Driver& name = make({{"remove", "no"}});
    ASSERT_EQ(name.start(in(60s)).state, ResourceState::online);
    EXPECT_EQ(name.stop(in(30s)).state, ResourceState::offline);
    EXPECT_EQ(dig("web.shop.test A"), "10.0.0.100\n");
    EXPECT_EQ(name.probe(in(10s)).state, ResourceState::offline);
}

TEST_F(NetworkNames, ChangedBySomebodyElseItIsNoticedAndLeftAtTheStop) {
    Driver& name = make({{"check-every", "200ms"}});
    ASSERT_EQ(name.start(in(60s)).state, ResourceState::online);
    update("update delete web.shop.test A\\nupdate add web.shop.test 60 A 10.9.9.9\\n");
    DriverOutcome const told = world_.wait_told();
    EXPECT_EQ(told.state, ResourceState::failed);
    EXPECT_TRUE(told.restart_here);
    EXPECT_THAT(told.message, HasSubstr("says it is 10.9.9.9, not 10.0.0.100; somebody else has changed it"));
    EXPECT_EQ(name.stop(in(30s)).state, ResourceState::offline);
    EXPECT_EQ(dig("web.shop.test A"), "10.9.9.9\n");
}

TEST_F(NetworkNames, WhatTheServerRefusesIsToldInWords) {
    for (auto const& [attributes, words] : std::initializer_list<std::pair<std::map<std::string, std::string>, std::string>>{
             {{{"key-file", world_.dir + "/wrong.key"}}, "knows the key web-key with another secret: copy the server's key file to this node"},
             {{{"key-file", world_.dir + "/unknown.key"}}, "doesn't know the key unknown-key"},
             {{{"key-file", world_.dir + "/other.key"}}, "refuses: the key other-key may not change web.shop.test and _clusterd.web.shop.test; allow it there"},
             {{{"dns-name", "web.else.test"}}, "isn't the primary of a zone with web.else.test; give it as server"},
             {{{"dns-name", "web.else.test"}, {"zone", "else.test"}}, "isn't the primary of zone else.test"},
             {{{"key-file", world_.dir + "/none.key"}}, "/none.key can't be opened: No such file or directory"},
             {{{"key-file", world_.dir + "/named.conf"}}, "/named.conf can be read or changed by others; run: chmod 600"},
         }) {
        DriverOutcome const started = make(attributes).start(in(60s));
        EXPECT_EQ(started.state, ResourceState::failed);
        EXPECT_EQ(started.restart_here, started.message.find("key-file") == std::string::npos) << started.message;  // the server would say the same to the other node
        EXPECT_THAT(started.message, HasSubstr(words));
        EXPECT_EQ(world_.driver->stop(in(30s)).state, ResourceState::offline);
    }
    world_.write("bad.key", "secret words\n", 0600);
    DriverOutcome const bad = make({{"key-file", world_.dir + "/bad.key"}}).start(in(60s));
    EXPECT_THAT(bad.message, AllOf(HasSubstr("isn't a key as tsig-keygen writes it"), Not(HasSubstr("secret words"))));
}

TEST_F(NetworkNames, AServerThatIsDownHindersNoStop) {
    Driver& name = make({{"check-every", "100ms"}});
    ASSERT_EQ(name.start(in(60s)).state, ResourceState::online);
    kill(named_, SIGSTOP);
    EXPECT_EQ(name.probe(in(2s)).state, ResourceState::online);  // as this node has left it
    DriverOutcome const stopped = name.stop(in(60s));
    kill(named_, SIGCONT);
    EXPECT_EQ(stopped.state, ResourceState::offline);
    EXPECT_THAT(stopped.message, HasSubstr("it is left in DNS: DNS server 127.0.0.1 port " + port_ + " doesn't answer"));
    end_named();
    DriverOutcome const started = name.start(in(60s));
    EXPECT_EQ(started.state, ResourceState::failed);
    EXPECT_TRUE(started.restart_here);
    EXPECT_THAT(started.message, HasSubstr("doesn't answer"));
    EXPECT_EQ(name.stop(in(60s)).state, ResourceState::offline);
    EXPECT_EQ(name.probe(in(2s)).state, ResourceState::offline);
}

TEST_F(NetworkNames, OnlineAServerThatIsDownIsNoFailure) {
    Driver& name = make({{"check-every", "50ms"}});
    ASSERT_EQ(name.start(in(60s)).state, ResourceState::online);
    end_named();
    usleep(600'000);  // several looks
    EXPECT_FALSE(world_.has_told());
    start_named();  // from its journal: the name is there
    EXPECT_EQ(name.probe(in(10s)).state, ResourceState::online);
}

TEST(DnsUpdate, KeyFilesAreReadForTheirName) {
    EXPECT_EQ(*tsig_key_name("key \"web-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"AA==\";\n};\n"), "web-key");
    EXPECT_EQ(*tsig_key_name("# mine\n// too\nkey web.key. { algorithm hmac-sha512; secret \"AA==\"; };"), "web.key.");
    for (char const* bad : {"", "key", "key { algorithm x; secret y; };", "key a b { secret s; }", "algorithm x; secret y; key z {", "key \"a;b\" { algorithm x; secret y; };"})
        EXPECT_FALSE(tsig_key_name(bad)) << bad;
}

TEST(DnsUpdate, WhatNsupdateSays) {
    using What = NsupdateAnswer::What;
    DnsUpdate const u{.server = "10.0.0.53", .name = "web.shop.test"};
    auto const read = [&](std::string const& output) { return read_nsupdate(false, output, u, "k"); };
    EXPECT_EQ(read("update failed: NXRRSET\n").what, What::not_ours);
    EXPECT_EQ(read(";; Communication with 10.0.0.53#53 failed: timed out\ncould not reach any name server\n").what, What::no_answer);
    EXPECT_THAT(read("; TSIG error with server: clocks are unsynchronized\nupdate failed: NOTAUTH(BADTIME)\n").message, HasSubstr("different clocks"));
    EXPECT_THAT(read("sh: 1: exec: nsupdate: not found\n").message, HasSubstr("install the package bind9-dnsutils"));
    EXPECT_THAT(read("; one\nupdate failed: SERVFAIL\n").message, HasSubstr("didn't take the update: update failed: SERVFAIL"));
    EXPECT_EQ(read_nsupdate(true, "could not read key from x.{private,key}: file not found\n", u, "k").what, What::refused);  // and it goes on without one
}

}  // namespace
}  // namespace clusterd
