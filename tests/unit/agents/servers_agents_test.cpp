// The agents that ask one kind of server - redis, dns, nfs, certificate - against real ones (redis-server, dnsmasq, openssl s_server) and
// against small ones that answer what no real one would.
#include "agents/agent.hpp"
#include "clusterd/talk/dns_answer.hpp"
#include "agents/redis_answer.hpp"
#include "agents/rpc.hpp"
#include "tests/unit/agents/servers.hpp"

#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

int free_port() { return RefusingPort().port(); }

// A program that runs until the end of the test, in a folder of its own.
class Program {
public:
    explicit Program(std::vector<std::string> argv) {
        std::vector<char*> words;
        for (auto& a : argv) words.push_back(a.data());
        words.push_back(nullptr);
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            int const null = open("/dev/null", O_RDWR);
            for (int fd : {0, 1, 2}) dup2(null, fd);
            execvp(words[0], words.data());
            _exit(127);
        }
    }
    ~Program() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    void freeze() const { kill(pid_, SIGSTOP); }
    void thaw() const { kill(pid_, SIGCONT); }

private:
    pid_t pid_ = -1;
};

class Asking : public testing::Test {
protected:
    Asking() : guard_(events_) {
        char name[] = "/tmp/clusterd-agents-XXXXXX";
        folder_ = mkdtemp(name);
    }
    ~Asking() override { std::filesystem::remove_all(folder_); }

    CheckOutcome check(std::string const& type, std::map<std::string, std::string> attributes, std::int64_t ms = 10'000) {
        HealthSpec h;
        h.type = type;
        h.attributes = std::move(attributes);
        if (type != "certificate") h.attributes.emplace("address", "127.0.0.1");
        return make_agent(h, ResourceSpec{}, guard_, events_)->check(within(ms));
    }
    // A server that was just started: asked until it answers at all.
    CheckOutcome once_up(std::string const& type, std::map<std::string, std::string> const& attributes) {
        CheckOutcome last;
        for (Instant const end = within(20'000); boot_now() < end; usleep(20'000)) {
            last = check(type, attributes, 2'000);
            if (last.message.find("refused") == std::string::npos && last.message.find("Couldn't connect") == std::string::npos) break;
        }
        return last;
    }
    std::string file(std::string const& name, std::string const& text, mode_t mode = 0600) const {
        std::string const path = folder_ + "/" + name;
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        return path;
    }

    GuardEvents events_;
    SpawningGuard guard_;
    std::string folder_;
};

bool says(CheckOutcome const& outcome, std::string const& what) { return outcome.message.find(what) != std::string::npos; }

// ---- redis --------------------------------------------------------------------------------------------------------------------

TEST_F(Asking, RedisForReal) {
    std::string const port = std::to_string(free_port());
    Program const server({"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--requirepass", "sesame", "--dir", folder_});
    CheckOutcome const without = once_up("redis", {{"port", port}});
    EXPECT_EQ(without.result, Health::unknown) << without.message;  // it may be well: nobody could ask
    std::string const password = file("password", "sesame\n");
    CheckOutcome const ok = check("redis", {{"port", port}, {"password-file", password}, {"role", "master"}});
    EXPECT_EQ(ok.result, Health::ok) << ok.message;
    CheckOutcome const role = check("redis", {{"port", port}, {"password-file", password}, {"role", "replica"}});
    EXPECT_EQ(role.result, Health::failed);
    EXPECT_TRUE(says(role, "it is a master, replica expected")) << role.message;
    CheckOutcome const wrong = check("redis", {{"port", port}, {"password-file", file("wrong", "open\n")}});
    EXPECT_EQ(wrong.result, Health::unknown) << wrong.message;
    EXPECT_EQ(check("redis", {{"port", port}, {"password-file", file("shared", "sesame\n", 0644)}}).result, Health::unknown);
    server.freeze();
    CheckOutcome const frozen = check("redis", {{"port", port}, {"password-file", password}}, 200);
    server.thaw();
    EXPECT_EQ(frozen.result, Health::failed) << frozen.message;
}

TEST_F(Asking, RedisThatLoadsOrIsNone) {
    Server loading([](int fd) {
        hear(fd, "PING");
        say(fd, "-LOADING Redis is loading the dataset in memory\r\n");
    });
    CheckOutcome const outcome = check("redis", {{"port", std::to_string(loading.port())}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_TRUE(says(outcome, "LOADING")) << outcome.message;
    Server web([](int fd) {
        hear(fd, "PING");
        say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    EXPECT_TRUE(says(check("redis", {{"port", std::to_string(web.port())}}), "doesn't speak as Redis does"));
    EXPECT_EQ(check("redis", {{"port", std::to_string(free_port())}}).result, Health::failed);
}

TEST(RedisReply, ComesInPiecesAndInEveryKind) {
    std::string const role = "*3\r\n$6\r\nmaster\r\n:42\r\n*1\r\n*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n";
    for (std::size_t n = 0; n < role.size(); ++n) EXPECT_FALSE(read_redis_reply(role.substr(0, n))) << n;
    auto const whole = read_redis_reply(role + "+OK\r\n");
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->text, "master");
    EXPECT_EQ(whole->size, role.size());
    for (char const* bad : {"HTTP/1.1 200\r\n", "$-7\r\n", "$99999999\r\n", "*1000\r\n", "\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"}) {
        auto const reply = read_redis_reply(bad);
        ASSERT_TRUE(reply) << bad;
        EXPECT_EQ(reply->size, 0u) << bad;
    }
}

// ---- dns ----------------------------------------------------------------------------------------------------------------------

TEST_F(Asking, DnsForReal) {
    std::string const port = std::to_string(free_port());
    std::string many;
    std::vector<std::string> words{"dnsmasq", "-k", "-p", port, "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root",
                                   "--pid-file=", "--conf-file=/dev/null", "--host-record=www.shop.test,10.0.0.80,fd00::80", "--local=/shop.test/"};
    for (int i = 1; i <= 60; ++i) words.push_back("--host-record=many.shop.test,10.1.0." + std::to_string(i));  // more than 512 bytes hold
    Program const server(words);
    CheckOutcome const ok = once_up("dns", {{"port", port}, {"name", "www.shop.test"}});
    EXPECT_EQ(ok.result, Health::ok) << ok.message;
    EXPECT_TRUE(says(ok, "is 10.0.0.80")) << ok.message;
    EXPECT_EQ(check("dns", {{"port", port}, {"name", "WWW.shop.test."}, {"answer", "10.0.0.80"}}).result, Health::ok);
    EXPECT_EQ(check("dns", {{"port", port}, {"name", "www.shop.test"}, {"record", "AAAA"}, {"answer", "fd00:0::80"}}).result, Health::ok);
    CheckOutcome const other = check("dns", {{"port", port}, {"name", "www.shop.test"}, {"answer", "10.0.0.81"}});
    EXPECT_EQ(other.result, Health::failed);
    EXPECT_TRUE(says(other, "10.0.0.81 expected")) << other.message;
    CheckOutcome const none = check("dns", {{"port", port}, {"name", "nobody.shop.test"}});
    EXPECT_EQ(none.result, Health::failed);
    EXPECT_TRUE(says(none, "no such name")) << none.message;
    CheckOutcome const by_tcp = check("dns", {{"port", port}, {"name", "many.shop.test"}, {"answer", "10.1.0.60"}});
    EXPECT_EQ(by_tcp.result, Health::ok) << by_tcp.message;
    EXPECT_EQ(check("dns", {{"port", port}, {"name", std::string(300, 'x')}}).result, Health::unknown);
    server.freeze();
    CheckOutcome const frozen = check("dns", {{"port", port}, {"name", "www.shop.test"}}, 200);
    server.thaw();
    EXPECT_EQ(frozen.result, Health::failed);
    EXPECT_TRUE(says(frozen, "no answer in time")) << frozen.message;
}

TEST_F(Asking, DnsThatIsntThere) {
    CheckOutcome const outcome = check("dns", {{"port", std::to_string(free_port())}, {"name", "www.shop.test"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_TRUE(says(outcome, "refused")) << outcome.message;
}

TEST(DnsAnswer, OnlyToTheQuestionThatWasAsked) {
    DnsQuestion const question{"www.shop.test", false, 7};
    auto const packet = write_dns_question(question);
    ASSERT_TRUE(packet);
    std::string reply = *packet;
    reply[2] = static_cast<char>(reply[2] | 0x80);
    auto const empty = read_dns_answer(reply, question);
    ASSERT_TRUE(empty);
    EXPECT_TRUE(empty->ours);
    EXPECT_TRUE(empty->addresses.empty());
    EXPECT_FALSE(read_dns_answer(reply, {"www.shop.test", false, 8})->ours);
    EXPECT_FALSE(read_dns_answer(reply, {"www.shop.test", true, 7})->ours);
    EXPECT_FALSE(read_dns_answer(reply, {"ftp.shop.test", false, 7})->ours);
    EXPECT_FALSE(read_dns_answer(*packet, question)->ours);  // a question, not an answer
    EXPECT_FALSE(read_dns_answer("GET / HTTP/1.1\r\n", question));
    EXPECT_FALSE(read_dns_answer("", question));
}

// ---- nfs ----------------------------------------------------------------------------------------------------------------------

// A reply to whatever call comes: `rest` after the words id, reply.
CheckOutcome answered(Asking&, std::string const& rest, std::function<CheckOutcome(std::string const& port)> const& ask) {
    Server server([rest](int fd) {
        char call[44];
        if (recv(fd, call, sizeof call, MSG_WAITALL) != sizeof call) return;
        std::string body(call + 4, 4);
        body += std::string("\0\0\0\1", 4) + rest;
        std::string const mark{'\x80', 0, 0, static_cast<char>(body.size())};
        say(fd, mark + body);
    });
    return ask(std::to_string(server.port()));
}

TEST_F(Asking, Nfs) {
    auto const ask = [this](std::string const& port) { return check("nfs", {{"port", port}}); };
    std::string const accepted(12, '\0');  // accepted; no verifier
    CheckOutcome const ok = answered(*this, accepted + std::string(4, '\0'), ask);
    EXPECT_EQ(ok.result, Health::ok) << ok.message;
    CheckOutcome const other = answered(*this, accepted + std::string("\0\0\0\2\0\0\0\3\0\0\0\3", 12), ask);
    EXPECT_EQ(other.result, Health::failed);
    EXPECT_TRUE(says(other, "it serves versions 3 to 3")) << other.message;
    EXPECT_TRUE(says(answered(*this, accepted + std::string("\0\0\0\1", 4), ask), "no such program"));
    EXPECT_TRUE(says(answered(*this, std::string("\0\0\0\1", 4), ask), "denies"));
    EXPECT_TRUE(says(answered(*this, "", ask), "no reply of an RPC server"));
    Server web([](int fd) { say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n"); });
    EXPECT_TRUE(says(ask(std::to_string(web.port())), "no reply of an RPC server"));
    Server* self = nullptr;
    Server silent([&](int fd) { self->hold(fd); });
    self = &silent;
    EXPECT_TRUE(says(check("nfs", {{"port", std::to_string(silent.port())}}, 100), "no answer in time"));
}

// ---- certificate --------------------------------------------------------------------------------------------------------------

TEST_F(Asking, CertificateForReal) {
    auto const sh = [](std::string const& line) { return std::system(("{ " + line + "; } >/dev/null 2>&1").c_str()) == 0; };
    std::string const at = "cd " + folder_ + " && ";
    ASSERT_TRUE(sh(at + "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out cert -days 30 -subj /CN=web.test"));
    std::string const port = std::to_string(free_port());
    Program const server({"openssl", "s_server", "-quiet", "-accept", "127.0.0.1:" + port, "-key", folder_ + "/key", "-cert", folder_ + "/cert"});
    std::string const url = "https://web.test:" + port;
    CheckOutcome const ok = once_up("certificate", {{"url", url}, {"connect", "127.0.0.1"}});
    EXPECT_EQ(ok.result, Health::ok) << ok.message;
    EXPECT_TRUE(says(ok, ", in ") && says(ok, "the certificate ends on 2")) << ok.message;
    CheckOutcome const soon = check("certificate", {{"url", url}, {"connect", "127.0.0.1"}, {"days", "31"}});
    EXPECT_EQ(soon.result, Health::degraded) << soon.message;
    EXPECT_EQ(check("certificate", {{"url", "https://web.test:" + std::to_string(free_port())}, {"connect", "127.0.0.1"}}).result, Health::failed);
}

TEST_F(Asking, CertificateThatHasEnded) {
    auto const sh = [](std::string const& line) { return std::system(("{ " + line + "; } >/dev/null 2>&1").c_str()) == 0; };
    ASSERT_TRUE(sh("cd " + folder_ +
                   " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out request -subj /CN=web.test"
                   " && touch index && echo 01 >serial && printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=.\\n"
                   "default_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' >ca.cnf"
                   " && openssl ca -batch -config ca.cnf -selfsign -keyfile key -in request -out cert -startdate 20200101000000Z -enddate 20200201000000Z"));
    std::string const port = std::to_string(free_port());
    Program const server({"openssl", "s_server", "-quiet", "-accept", "127.0.0.1:" + port, "-key", folder_ + "/key", "-cert", folder_ + "/cert"});
    CheckOutcome const ended = once_up("certificate", {{"url", "https://127.0.0.1:" + port}});
    EXPECT_EQ(ended.result, Health::failed);
    EXPECT_TRUE(says(ended, "has ended on 2020-02-01")) << ended.message;
}

}  // namespace
}  // namespace clusterd
