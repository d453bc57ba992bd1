// The http agent against small real servers: what is ok, what failed, and what couldn't be asked.
#include "agents/http.hpp"
#include "agents/http_answer.hpp"
#include "config/types.hpp"
#include "tests/unit/agents/servers.hpp"

#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

// For 127.0.0.1 and web.test, of the tests only.
constexpr char const* test_key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOp7I2vcpkW43V0tD
4V00Je9zasAf0G9BgaOtpdxH/FOhRANCAATJHGdDZeIia1gVMktQI4NdGg3m6wjA
/L1S9eIF6dzDnB12r+skzuGRzF0zJ0C6gMjVtzBfOCC/bi0tXos5+ajZ
-----END PRIVATE KEY-----
)";
constexpr char const* test_certificate = R"(-----BEGIN CERTIFICATE-----
MIIBbzCCARSgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1jbHVzdGVy
ZCB0ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1jbHVzdGVyZCB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyRxn
Q2XiImtYFTJLUCODXRoN5usIwPy9UvXiBencw5wddq/rJM7hkcxdMydAuoDI1bcw
Xzggv24tLV6LOfmo2aNNMEswDwYDVR0TAQH/BAUwAwEB/zAZBgNVHREEEjAQggh3
ZWIudGVzdIcEfwAAATAdBgNVHQ4EFgQUogvVz2t/+YTFMr5CrRYrH6g+jLswCgYI
KoZIzj0EAwIDSQAwRgIhAKuMcgBp9OmorOKMH8PH0Ui26uLopuua3WK5u/JiRXsR
AiEA65AHi8unNWuWuP13RE7JC9h7F96efji1/3RWP+CJfI4=
-----END CERTIFICATE-----
)";

class Http : public testing::Test {
protected:
    Http() : guard_(events_) {
        std::string pattern = testing::TempDir() + "http.XXXXXX";
        directory_ = mkdtemp(pattern.data());
    }
    ~Http() override { std::filesystem::remove_all(directory_); }

    CheckOutcome check(std::map<std::string, std::string> attributes, std::int64_t ms = 10'000) {
        HealthSpec h;
        h.type = "http";
        h.attributes = std::move(attributes);
        ResourceSpec r;
        r.name = "web";
        return make_agent(h, r, guard_, events_)->check(within(ms));
    }
    std::string file(std::string const& name, std::string const& text, mode_t mode = 0600) {
        std::string const path = directory_ + "/" + name;
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        return path;
    }
    // Remembers the request, gives this answer.
    std::unique_ptr<Server> answering(std::string answer) {
        return std::make_unique<Server>([this, answer = std::move(answer)](int fd) {
            std::string const request = hear(fd, "\r\n\r\n");
            {
                std::lock_guard lock(mutex_);
                request_ = request;
            }
            say(fd, answer);
        });
    }
    std::string request() {
        std::lock_guard lock(mutex_);
        return request_;
    }
    GuardEvents events_;
    SpawningGuard guard_;
    std::string directory_;
    std::mutex mutex_;
    std::string request_;
};

constexpr char const* fine = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-State: all well\r\n\r\nI am fine.\n";

TEST_F(Http, AGoodAnswerIsOk) {
    auto server = answering(fine);
    CheckOutcome const outcome = check({{"url", server->url("/healthz?deep=1")}});
    EXPECT_EQ(outcome.result, Health::ok) << outcome.message;
    EXPECT_EQ(request().rfind("GET /healthz?deep=1 HTTP/1.1\r\n", 0), 0u) << request();
}

TEST_F(Http, BodyHeaderAndStatusMustBeAsAskedFor) {
    auto server = answering(fine);
    EXPECT_EQ(check({{"url", server->url()}, {"body", "am fine"}, {"header", "x-state: well"}, {"status", "200"}}).result,
              Health::ok);
    CheckOutcome outcome = check({{"url", server->url()}, {"body", "am ill"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("am ill"), std::string::npos) << outcome.message;
    outcome = check({{"url", server->url()}, {"header", "X-State: ill"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("all well"), std::string::npos) << outcome.message;
    outcome = check({{"url", server->url()}, {"header", "X-Nothing: a"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("missing"), std::string::npos) << outcome.message;
    outcome = check({{"url", server->url()}, {"status", "204"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("status 200, 204 expected"), std::string::npos) << outcome.message;
}

TEST_F(Http, ErrorsOfTheServerAreFailures) {
    EXPECT_EQ(check({{"url", answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")->url()}}).result, Health::failed);
    EXPECT_EQ(check({{"url", answering("")->url()}}).result, Health::failed) << "it closed without an answer";
    EXPECT_EQ(check({{"url", answering("SSH-2.0-OpenSSH\r\n")->url()}}).result, Health::failed);
    EXPECT_EQ(check({{"url", answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")->url()}}).result, Health::failed)
        << "the answer broke off";
}

TEST_F(Http, RefusedIsAFailure) {
    RefusingPort port;
    CheckOutcome const outcome = check({{"url", "http://127.0.0.1:" + std::to_string(port.port()) + "/"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("http://127.0.0.1"), std::string::npos) << outcome.message;
}

// A node that has run out of files must not take its service for dead and move it away.
TEST_F(Http, WithoutAFileForItsSocketItIsUnknown) {
    auto const server = answering("HTTP/1.1 200 OK\r\n\r\n");
    ASSERT_EQ(check({{"url", server->url()}}).result, Health::ok);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit const none{3, before.rlim_max};  // what is open stays open
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    auto const outcome = check({{"url", server->url()}});
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(outcome.result, Health::unknown) << outcome.message;
    EXPECT_NE(outcome.message.find("no socket: Too many open files"), std::string::npos) << outcome.message;
    EXPECT_EQ(check({{"url", server->url()}}).result, Health::ok);
}

TEST_F(Http, NoAnswerInTimeIsAFailureInTime) {
    Server* self = nullptr;
    Server silent([&](int fd) { self->hold(fd); });
    self = &silent;
    Instant const begin = boot_now();
    CheckOutcome const outcome = check({{"url", silent.url()}}, 150);
    EXPECT_EQ(outcome.result, Health::failed) << outcome.message;
    EXPECT_GE(to_ms(boot_now() - begin), 140);
    EXPECT_LT(to_ms(boot_now() - begin), 5'000);
}

TEST_F(Http, AnEndlessBodyIsReadOnlySoFar) {
    std::atomic<bool> stopped{false};
    Server flood([&](int fd) {
        hear(fd, "\r\n\r\n");
        say(fd, "HTTP/1.1 200 OK\r\n\r\n");
        std::string const part(64 << 10, 'x');
        while (send(fd, part.data(), part.size(), MSG_NOSIGNAL) > 0) {
        }
        stopped = true;  // we closed
    });
    EXPECT_EQ(check({{"url", flood.url()}}).result, Health::ok);
    CheckOutcome const outcome = check({{"url", flood.url()}, {"body", "needle"}});
    EXPECT_EQ(outcome.result, Health::failed);
    EXPECT_NE(outcome.message.find("256 KiB"), std::string::npos) << outcome.message;
    for (int i = 0; i < 2000 && !stopped; ++i) usleep(5'000);
    EXPECT_TRUE(stopped);
}

TEST_F(Http, EndlessHeadersAreRefused) {
    Server flood([&](int fd) {
        hear(fd, "\r\n\r\n");
        say(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 3000; ++i) say(fd, "X-" + std::to_string(i) + ": " + std::string(60, 'h') + "\r\n");
        say(fd, "\r\n");
    });
    EXPECT_EQ(check({{"url", flood.url()}}).result, Health::failed);
}

TEST_F(Http, RedirectsAreNotFollowed) {
    auto server = answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(check({{"url", server->url()}}).result, Health::ok) << "302 is within 200-399";
    EXPECT_EQ(check({{"url", server->url()}, {"status", "200"}}).result, Health::failed);
}

TEST_F(Http, NoProxyOfTheEnvironmentIsUsed) {
    auto server = answering(fine);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    EXPECT_EQ(check({{"url", server->url()}}).result, Health::ok);
    unsetenv("http_proxy");
}

TEST_F(Http, ConnectReplacesTheNamesAddress) {
    auto server = answering(fine);
    CheckOutcome const outcome =
        check({{"url", "http://web.test:" + std::to_string(server->port()) + "/"}, {"connect", "127.0.0.1"}});
    EXPECT_EQ(outcome.result, Health::ok) << outcome.message;
    EXPECT_NE(request().find("Host: web.test"), std::string::npos) << request();
}

TEST_F(Http, AMethodAndHeadersAreSent) {
    auto server = answering(fine);
    EXPECT_EQ(check({{"url", server->url()},
                     {"method", "POST"},
                     {"request-header", "X-Asked: by me"},
                     {"request-header-file", file("headers", "# secret\nX-Token: s3cret\n\n")},
                     {"user", "ann"},
                     {"password-file", file("password", "pass word\n")}})
                  .result,
              Health::ok);
    EXPECT_EQ(request().rfind("POST / ", 0), 0u);
    for (char const* line : {"X-Asked: by me\r\n", "X-Token: s3cret\r\n", "Authorization: Basic YW5uOnBhc3Mgd29yZA==\r\n"})
        EXPECT_NE(request().find(line), std::string::npos) << line;
    auto head = answering("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    EXPECT_EQ(check({{"url", head->url()}, {"method", "HEAD"}}).result, Health::ok);
}

TEST_F(Http, WhatCantBeAskedIsUnknown) {
    auto server = answering(fine);
    EXPECT_EQ(check({{"url", "http://no-such-name.invalid/"}}).result, Health::unknown);
    EXPECT_EQ(check({{"url", "not a url"}}).result, Health::unknown);
    EXPECT_EQ(check({{"url", server->url()}, {"ca-file", directory_ + "/none.pem"}}).result, Health::unknown);
    EXPECT_EQ(check({{"url", server->url()}, {"request-header-file", directory_ + "/none"}}).result, Health::unknown);
    CheckOutcome const open = check({{"url", server->url()}, {"user", "ann"}, {"password-file", file("open", "s3cret\n", 0644)}});
    EXPECT_EQ(open.result, Health::unknown);
    EXPECT_NE(open.message.find("chmod 600"), std::string::npos) << open.message;
    EXPECT_EQ(open.message.find("s3cret"), std::string::npos);
}

// An HTTPS server: python's, for it brings one along.
class Https : public Http {
protected:
    void SetUp() override {
        file("both.pem", std::string(test_key) + test_certificate);
        std::string const script = file("server.py", R"(
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    try:
        with context.wrap_socket(c, server_side=True) as t:
            t.recv(4096)
            t.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
    except OSError:
        pass
)");
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
        child_ = fork();
        if (child_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(ends[1], 1);
            execlp("python3", "python3", script.c_str(), (directory_ + "/both.pem").c_str(), nullptr);
            _exit(127);
        }
        close(ends[1]);
        char c = 0;
        while (read(ends[0], &c, 1) == 1 && c != '\n') port_ += c;
        close(ends[0]);
        ASSERT_FALSE(port_.empty()) << "python3 is needed";
    }
    void TearDown() override {
        if (child_ <= 0) return;
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    std::string url(std::string const& name = "127.0.0.1") const { return "https://" + name + ":" + port_ + "/"; }
    pid_t child_ = -1;
    std::string port_;
};

TEST_F(Https, TheCertificateMustBeTrustedAndForTheName) {
    std::string const ca = file("ca.pem", test_certificate);
    CheckOutcome outcome = check({{"url", url()}});
    EXPECT_EQ(outcome.result, Health::failed) << "nobody signed it: " << outcome.message;
    outcome = check({{"url", url()}, {"ca-file", ca}, {"body", "fine"}});
    EXPECT_EQ(outcome.result, Health::ok) << outcome.message;
    EXPECT_EQ(check({{"url", url("web.test")}, {"connect", "127.0.0.1"}, {"ca-file", ca}}).result, Health::ok);
    EXPECT_EQ(check({{"url", url("mail.test")}, {"connect", "127.0.0.1"}, {"ca-file", ca}}).result, Health::failed)
        << "it isn't for that name";
    EXPECT_EQ(check({{"url", url()}, {"tls-verify", "no"}}).result, Health::ok);
    outcome = check({{"url", url()}, {"ca-file", file("bad.pem", "this is no certificate")}});
    EXPECT_EQ(outcome.result, Health::unknown) << outcome.message;
}

TEST_F(Https, AServerThatSpeaksNoTlsHasFailed) {
    Server plain([](int fd) { say(fd, "220 mail.test ESMTP\r\n"); });
    EXPECT_EQ(check({{"url", "https://127.0.0.1:" + std::to_string(plain.port()) + "/"}, {"tls-verify", "no"}}).result,
              Health::failed);
}

TEST(HttpAnswer, OnlyTheLastAnswersHeadersCount) {
    HttpAnswer answer;
    for (char const* line :
         {"HTTP/1.1 100 Continue\r\n", "X-State: early\r\n", "\r\n", "HTTP/1.1 200 OK\r\n", "X-State: late\r\n", "\r\n"})
        EXPECT_TRUE(answer.header_line(line));
    HttpExpectation expected;
    expected.header_name = "X-State";
    expected.header_value = "late";
    EXPECT_EQ(answer.judge(expected, 200).result, Health::ok);
    expected.header_value = "early";
    EXPECT_EQ(answer.judge(expected, 200).result, Health::failed);
}

}  // namespace
}  // namespace clusterd
