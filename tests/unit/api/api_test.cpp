// The API as a client meets it: real requests over the real socket (libcurl), and what no client should send (raw bytes).
#include "fake_daemon.hpp"

#include "clusterd/wire/status.hpp"

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FakeDaemon;
using ::testing::HasSubstr;

struct Answer {
    CURLcode code = CURLE_OK;
    long status = 0;
    std::string body;
};

Answer request(std::string const& socket, std::string const& method, std::string const& path, std::string const& body = "",
               long timeout_ms = 30'000) {
    CURL* const c = curl_easy_init();
    Answer a;
    std::string const url = "http://x" + path;
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method.c_str());
    if (!body.empty()) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.data());
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    }
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &a.body);
    curl_easy_setopt(
        c, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t one, std::size_t n, void* to) {
            static_cast<std::string*>(to)->append(data, one * n);
            return one * n;
        });
    a.code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.status);
    curl_easy_cleanup(c);
    return a;
}

// A connection that sends any bytes.
class Raw {
public:
    explicit Raw(std::string const& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        connected = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    ~Raw() { close(fd_); }
    Raw(Raw const&) = delete;
    Raw& operator=(Raw const&) = delete;
    bool send(std::string_view bytes) const {
        while (!bytes.empty()) {
            ssize_t const n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    // Everything until the server closes; `closed` says whether it did within 20 s.
    std::string rest(bool* closed = nullptr) const {
        std::string out;
        char buffer[4096];
        if (closed != nullptr) *closed = false;
        while (true) {
            pollfd in{fd_, POLLIN, 0};
            if (poll(&in, 1, 20'000) <= 0) return out;
            ssize_t const n = recv(fd_, buffer, sizeof buffer, 0);
            if (n <= 0) {
                if (closed != nullptr) *closed = true;
                return out;
            }
            out.append(buffer, static_cast<std::size_t>(n));
        }
    }
    bool connected = false;

private:
    int fd_;
};

std::string id_of_answer(Answer const& a) {
    auto const id = parse_accepted(a.body);
    return id ? *id : "";
}

TEST(Api, StatusIsTheBackends) {
    FakeDaemon daemon;
    auto const a = request(daemon.socket(), "GET", "/v1/status");
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.body, status_json(testing::well_status()));
}

TEST(Api, SocketIsTheOwnersOnlyAndRemovedAtTheEnd) {
    std::string path;
    {
        FakeDaemon daemon;
        path = daemon.socket();
        struct stat s {};
        ASSERT_EQ(stat(path.c_str(), &s), 0);
        EXPECT_TRUE(S_ISSOCK(s.st_mode));
        EXPECT_EQ(s.st_mode & 0777U, 0600U);
        daemon.end_server();
        EXPECT_NE(stat(path.c_str(), &s), 0);
    }
}

TEST(Api, StaleSocketIsReplacedAndAFileIsNot) {
    FakeDaemon daemon;
    std::string const path = daemon.directory() + "/other.sock";
    testing::FakeBackend backend;
    {
        // What a killed daemon leaves: a bound socket that nobody listens on.
        int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        close(fd);
    }
    std::unique_ptr<ApiServer> second;
    daemon.on_loop([&] { second = std::make_unique<ApiServer>(daemon.loop(), path, backend); });
    EXPECT_EQ(request(path, "GET", "/v1/status").status, 200);
    daemon.on_loop([&] { second.reset(); });

    std::string const file = daemon.directory() + "/file";
    close(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    std::string error;
    daemon.on_loop([&] {
        try {
            ApiServer const refused(daemon.loop(), file, backend);
        } catch (std::runtime_error const& e) {
            error = e.what();
        }
    });
    EXPECT_THAT(error, HasSubstr("no socket"));
    struct stat s {};
    EXPECT_EQ(stat(file.c_str(), &s), 0);
}

TEST(Api, SuccessorsSocketIsLeftAlone) {
    FakeDaemon daemon;
    testing::FakeBackend backend;
    std::unique_ptr<ApiServer> successor;
    daemon.on_loop([&] { successor = std::make_unique<ApiServer>(daemon.loop(), daemon.socket(), backend); });
    daemon.end_server();
    EXPECT_EQ(request(daemon.socket(), "GET", "/v1/status").status, 200);
    daemon.on_loop([&] { successor.reset(); });
}

TEST(Api, OtherUsersAreForbiddenEvenWhereTheSocketLetsThemIn) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: another user's process is started";
    FakeDaemon daemon;
    ASSERT_EQ(chmod(daemon.directory().c_str(), 0755), 0);
    ASSERT_EQ(chmod(daemon.socket().c_str(), 0666), 0);
    int out[2];
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    std::string const path = daemon.socket();
    pid_t const child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
        int const fd = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) _exit(2);
        constexpr std::string_view get = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
        if (send(fd, get.data(), get.size(), 0) < 0) _exit(3);
        char buffer[1024];
        for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
            if (write(out[1], buffer, static_cast<std::size_t>(n)) != n) _exit(4);
        }
        _exit(0);
    }
    close(out[1]);
    std::string answer;
    char buffer[1024];
    for (ssize_t n = 0; (n = read(out[0], buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<std::size_t>(n));
    close(out[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 403"));
    EXPECT_THAT(answer, ::testing::Not(HasSubstr("alpha")));
    EXPECT_EQ(daemon.on_loop([&] { return daemon.server().counters().forbidden; }), 1U);
}

TEST(Api, CommandIsGivenAndItsOutcomeAwaited) {
    FakeDaemon daemon;
    auto const given =
        request(daemon.socket(), "POST", "/v1/commands", R"({"verb":"move","target":"web","to":"beta","user":"ann"})");
    ASSERT_EQ(given.status, 202);
    std::string const id = id_of_answer(given);
    ASSERT_FALSE(id.empty());
    auto const command = daemon.on_loop([&] { return daemon.backend.given.at(0); });
    EXPECT_EQ(command, (Command{id, Verb::move, "web", "beta", false, false, "ann"}));

    auto waiting = std::async(std::launch::async,
                              [&] { return request(daemon.socket(), "GET", "/v1/commands/" + id + "?after=0&wait_ms=30000"); });
    EXPECT_EQ(waiting.wait_for(200ms), std::future_status::timeout) << waiting.get().body;
    daemon.on_loop([&] { daemon.update(id, Outcome::running, "web-server goes offline"); });
    auto const first = parse_progress(waiting.get().body);
    ASSERT_TRUE(first) << first.error();
    EXPECT_EQ(first->outcome, Outcome::running);
    EXPECT_THAT(first->updates, ElementsAre(CommandProgress::Update{1, Outcome::running, "web-server goes offline"}));

    daemon.on_loop([&] { daemon.update(id, Outcome::done, "web is online on beta"); });
    auto const last = parse_progress(request(daemon.socket(), "GET", "/v1/commands/" + id + "?after=1&wait_ms=30000").body);
    ASSERT_TRUE(last) << last.error();
    EXPECT_EQ(last->outcome, Outcome::done);
    EXPECT_THAT(last->updates, ElementsAre(CommandProgress::Update{2, Outcome::done, "web is online on beta"}));
    // Finished and nothing new: answered at once, however long one would wait.
    EXPECT_EQ(request(daemon.socket(), "GET", "/v1/commands/" + id + "?after=2&wait_ms=30000", "", 10'000).status, 200);
}

TEST(Api, UpdateFromWithinSubmitIsNotLost) {
    FakeDaemon daemon;
    daemon.on_loop(
        [&] { daemon.backend.on_submit = [&](Command const& c) { daemon.update(c.id, Outcome::refused, "beta is down"); }; });
    std::string const id = id_of_answer(request(daemon.socket(), "POST", "/v1/commands", R"({"verb":"move","target":"web"})"));
    auto const progress = parse_progress(request(daemon.socket(), "GET", "/v1/commands/" + id + "?wait_ms=30000", "", 10'000).body);
    ASSERT_TRUE(progress) << progress.error();
    EXPECT_EQ(progress->outcome, Outcome::refused);
}

TEST(Api, WaitEndsEmptyWhenItsTimeIsOver) {
    FakeDaemon daemon;
    std::string const id = id_of_answer(request(daemon.socket(), "POST", "/v1/commands", R"({"verb":"online","target":"web"})"));
    auto const progress = parse_progress(request(daemon.socket(), "GET", "/v1/commands/" + id + "?wait_ms=50").body);
    ASSERT_TRUE(progress) << progress.error();
    EXPECT_TRUE(progress->updates.empty());
    EXPECT_EQ(progress->outcome, Outcome::running);
}

TEST(Api, AbandonedCommandIsToldOnceWhileItRuns) {
    FakeDaemon daemon;
    std::string const id = id_of_answer(request(daemon.socket(), "POST", "/v1/commands", R"({"verb":"online","target":"web"})"));
    EXPECT_EQ(request(daemon.socket(), "DELETE", "/v1/commands/" + id).status, 200);
    daemon.on_loop([&] { daemon.update(id, Outcome::done, ""); });
    EXPECT_EQ(request(daemon.socket(), "DELETE", "/v1/commands/" + id).status, 200);
    EXPECT_THAT(daemon.on_loop([&] { return daemon.backend.abandoned; }), ElementsAre(id));
}

TEST(Api, WrongCommandsAreRefusedWithWhatWasExpected) {
    FakeDaemon daemon;
    struct Case {
        std::string body, says;
    };
    for (auto const& c : std::vector<Case>{{"{", "not JSON"},
                                           {"[]", "object"},
                                           {R"({"target":"web"})", "verb"},
                                           {R"({"verb":"explode","target":"web"})", "none of online"},
                                           {R"({"verb":"online"})", "target"},
                                           {R"({"verb":"online","target":""})", "target"},
                                           {R"({"verb":"online","target":7})", "string"},
                                           {R"({"verb":"online","target":"web","to":"beta"})", "only `move`"},
                                           {R"({"verb":"online","target":"web","colour":"red"})", "colour"},
                                           {R"({"verb":"online","target":"a\u0007b"})", "control"},
                                           {R"({"verb":"online","target":")" + std::string(300, 'a') + "\"}", "256"},
                                           {std::string(500, '['), "not JSON"}}) {
        auto const a = request(daemon.socket(), "POST", "/v1/commands", c.body);
        EXPECT_EQ(a.status, 400) << c.body;
        EXPECT_THAT(error_of(a.body), HasSubstr(c.says)) << c.body;
    }
    EXPECT_TRUE(daemon.on_loop([&] { return daemon.backend.given.empty(); }));
}

TEST(Api, EventsWaitForTheNextOne) {
    FakeDaemon daemon;
    daemon.on_loop([&] { daemon.record({"e1", 1'764'000'000'000, "alpha", "info", "web", "", "online"}); });
    auto const now = parse_events(request(daemon.socket(), "GET", "/v1/events").body);
    ASSERT_TRUE(now) << now.error();
    ASSERT_EQ(now->size(), 1U);
    auto waiting =
        std::async(std::launch::async, [&] { return request(daemon.socket(), "GET", "/v1/events?after=e1&wait_ms=30000"); });
    EXPECT_EQ(waiting.wait_for(200ms), std::future_status::timeout);
    EventRecord const second{"e2", 1'764'000'001'000, "alpha", "warning", "", "web-ip", "carrier lost"};
    daemon.on_loop([&] { daemon.record(second); });
    auto const next = parse_events(waiting.get().body);
    ASSERT_TRUE(next) << next.error();
    EXPECT_THAT(*next, ElementsAre(second));
}

TEST(Api, HistoryTimingAndConfig) {
    FakeDaemon daemon;
    FailoverRecord const move{
        "17", "web", "alpha", "beta", "alpha was lost", 1'764'000'000'000, {{"detect", 310}, {"online web-ip", 20}}};
    daemon.on_loop([&] { daemon.backend.moves = {move}; });
    auto const all = parse_failovers(request(daemon.socket(), "GET", "/v1/failovers").body);
    ASSERT_TRUE(all) << all.error();
    EXPECT_THAT(*all, ElementsAre(move));
    auto const one = parse_failover(request(daemon.socket(), "GET", "/v1/failovers/17").body);
    ASSERT_TRUE(one) << one.error();
    EXPECT_EQ(*one, move);
    EXPECT_EQ(request(daemon.socket(), "GET", "/v1/failovers/18").status, 404);
    EXPECT_TRUE(parse_timing(request(daemon.socket(), "GET", "/v1/timing").body));
    EXPECT_EQ(request(daemon.socket(), "GET", "/v1/config").body, daemon.backend.xml);
}

TEST(Api, ForceWantsTheNodesName) {
    FakeDaemon daemon;
    EXPECT_THAT(request(daemon.socket(), "GET", "/v1/quorum/force").body, HasSubstr("nothing would be lost"));
    EXPECT_EQ(request(daemon.socket(), "POST", "/v1/quorum/force", R"({"node":"beta"})").status, 409);
    EXPECT_EQ(request(daemon.socket(), "POST", "/v1/quorum/force", "{}").status, 400);
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.forced; }), 0);
    EXPECT_EQ(request(daemon.socket(), "POST", "/v1/quorum/force", R"({"node":"alpha"})").status, 200);
    EXPECT_EQ(daemon.on_loop([&] { return daemon.backend.forced; }), 1);
}

TEST(Api, UnknownPathsMethodsAndParameters) {
    FakeDaemon daemon;
    auto const status_of = [&](std::string const& method, std::string const& path) {
        return request(daemon.socket(), method, path).status;
    };
    EXPECT_EQ(status_of("GET", "/"), 404);
    EXPECT_EQ(status_of("GET", "/v1/statuses"), 404);
    EXPECT_EQ(status_of("GET", "/v1/commands/none"), 404);
    EXPECT_EQ(status_of("POST", "/v1/status"), 405);
    EXPECT_EQ(status_of("PUT", "/v1/commands"), 405);
    EXPECT_EQ(status_of("GET", "/v1/events?limit=0"), 400);
    EXPECT_EQ(status_of("GET", "/v1/events?limit=99999999999999999999"), 400);
    EXPECT_EQ(status_of("GET", "/v1/events?wait=1"), 400);
    EXPECT_EQ(status_of("GET", "/v1/events?after=%zz"), 400);
    EXPECT_EQ(status_of("GET", "/v1/events?after=%0a"), 400);
}

TEST(Api, GarbageIsAnsweredWith400AndTheServerLives) {
    FakeDaemon daemon;
    for (std::string const& bytes :
         {std::string("hello\r\n\r\n"), std::string("\x16\x03\x01\x02\x00", 5) + std::string(200, '\0') + "\r\n\r\n",
          std::string("GET / HTTP/9.9\r\n\r\n"), std::string("POST /v1/commands HTTP/1.1\r\nContent-Length: -5\r\n\r\n"),
          std::string("GET /v1/status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n")}) {
        Raw const raw(daemon.socket());
        ASSERT_TRUE(raw.send(bytes));
        bool closed = false;
        EXPECT_THAT(raw.rest(&closed), HasSubstr("HTTP/1.1 400")) << bytes;
        EXPECT_TRUE(closed);
    }
    EXPECT_EQ(request(daemon.socket(), "GET", "/v1/status").status, 200);
}

TEST(Api, TooLargeIsRefused) {
    FakeDaemon daemon;
    Raw const header(daemon.socket());
    header.send("GET /v1/status HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
    EXPECT_THAT(header.rest(), HasSubstr("HTTP/1.1 431"));
    EXPECT_EQ(request(daemon.socket(), "POST", "/v1/commands", std::string(ApiLimits{}.body_bytes + 1, ' ')).status, 413);
    // Nothing is set aside for a body that is only announced.
    Raw const announced(daemon.socket());
    announced.send("POST /v1/commands HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n");
    EXPECT_THAT(announced.rest(), HasSubstr("HTTP/1.1 413"));
    EXPECT_EQ(
        request(daemon.socket(), "POST", "/v1/commands", R"({"verb":"online","target":"web"})" + std::string(ApiLimits{}.body_bytes - 1024, ' '))
            .status,
        202);
}

TEST(Api, SlowAndSilentClientsAreHungUpOn) {
    ApiLimits limits;
    limits.request = 300ms;
    FakeDaemon daemon(limits);
    Raw const silent(daemon.socket());
    Raw const slow(daemon.socket());
    bool closed = false;
    auto const begun = std::chrono::steady_clock::now();
    for (char const c : std::string("GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) {
        if (!slow.send(std::string(1, c))) break;
        std::this_thread::sleep_for(20ms);  // a byte now and then: each alone would be in time
    }
    slow.rest(&closed);
    EXPECT_TRUE(closed);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
    silent.rest(&closed);
    EXPECT_TRUE(closed);
    EXPECT_EQ(daemon.on_loop([&] { return daemon.server().counters().bad; }), 1U);
}

TEST(Api, ConnectionsAreBounded) {
    ApiLimits limits;
    limits.connections = 4;
    limits.farewell = 20s;
    FakeDaemon daemon(limits);
    std::vector<std::unique_ptr<Raw>> held;
    for (int i = 0; i < 4; ++i) {
        held.push_back(std::make_unique<Raw>(daemon.socket()));
        ASSERT_TRUE(held.back()->connected);
    }
    // Who is turned away hears why, however slowly he asks: the answer is there before the question.
    for (int i = 0; i < 3; ++i) EXPECT_EQ(request(daemon.socket(), "GET", "/v1/status").status, 503);
    Raw const late(daemon.socket());
    auto const refused_by = std::chrono::steady_clock::now() + 20s;
    while (daemon.on_loop([&] { return daemon.server().counters().refused_full; }) < 4 && std::chrono::steady_clock::now() < refused_by)
        std::this_thread::yield();
    EXPECT_TRUE(late.send("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")) << "it is closed only once he has asked";
    bool closed = false;
    EXPECT_THAT(late.rest(&closed), HasSubstr("too many connections"));
    EXPECT_TRUE(closed);
    held.pop_back();
    auto const deadline = std::chrono::steady_clock::now() + 20s;
    long status = 503;
    while (status == 503 && std::chrono::steady_clock::now() < deadline)
        status = request(daemon.socket(), "GET", "/v1/status").status;
    EXPECT_EQ(status, 200);
}

TEST(Api, ClientThatLeavesWhileItWaitsFreesItsPlace) {
    ApiLimits limits;
    limits.connections = 1;
    FakeDaemon daemon(limits);
    {
        Raw const waiting(daemon.socket());
        waiting.send("GET /v1/events?after=&wait_ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    auto const deadline = std::chrono::steady_clock::now() + 20s;
    long status = 503;
    while (status == 503 && std::chrono::steady_clock::now() < deadline)
        status = request(daemon.socket(), "GET", "/v1/status").status;
    EXPECT_EQ(status, 200);
}

TEST(Api, PipelinedRequestsAreAnsweredInTurn) {
    FakeDaemon daemon;
    Raw const raw(daemon.socket());
    raw.send(
        "GET /v1/events?wait_ms=100 HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    std::string const answers = raw.rest();
    auto const events = answers.find("\"events\"");
    auto const config = answers.find("<cluster");
    ASSERT_NE(events, std::string::npos) << answers;
    ASSERT_NE(config, std::string::npos) << answers;
    EXPECT_LT(events, config);
}

TEST(Api, ServerCanEndWhileClientsWait) {
    FakeDaemon daemon;
    auto waiting = std::async(std::launch::async, [&] { return request(daemon.socket(), "GET", "/v1/events?wait_ms=60000"); });
    auto const deadline = std::chrono::steady_clock::now() + 20s;
    while (daemon.on_loop([&] { return daemon.server().counters().requests; }) == 0 &&
           std::chrono::steady_clock::now() < deadline) {
    }
    daemon.end_server();
    EXPECT_NE(waiting.get().code, CURLE_OK);
}

TEST(Api, BackendThatThrowsCostsOneAnswer) {
    FakeDaemon daemon;
    daemon.on_loop([&] { daemon.backend.on_submit = [](Command const&) { throw std::runtime_error("lost"); }; });
    EXPECT_EQ(request(daemon.socket(), "POST", "/v1/commands", R"({"verb":"online","target":"web"})").status, 500);
    EXPECT_EQ(request(daemon.socket(), "GET", "/v1/status").status, 200);
}

}  // namespace
}  // namespace clusterd
