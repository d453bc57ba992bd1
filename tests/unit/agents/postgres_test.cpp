// The agent postgres: against a real PostgreSQL of the test's own, and against small servers that answer what no real one would.
#include "agents/agent.hpp"
#include "agents/postgres_answer.hpp"
#include "agents/scram.hpp"
#include "tests/unit/agents/servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

using ::testing::HasSubstr;

constexpr char programs[] = "/usr/lib/postgresql/15/bin/";

std::string error(std::string const& sqlstate, std::string const& message) {
    return write_postgres_message('E', std::string("SFATAL\0C", 8) + sqlstate + '\0' + "M" + message + '\0' + '\0');
}
std::string wants(int kind, std::string const& data = {}) { return write_postgres_message('R', std::string{0, 0, 0, static_cast<char>(kind)} + data); }
std::string const ready = write_postgres_message('Z', "I");
std::string row(std::string const& value) { return write_postgres_message('D', std::string{0, 1, 0, 0, 0, static_cast<char>(value.size())} + value); }

TEST(PostgresAnswer, MessagesComeInPieces) {
    std::string const whole = error("57P03", "the database system is starting up");
    for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(read_postgres_message(whole.substr(0, n))) << n;
    std::string const more = whole + ready;
    auto const m = read_postgres_message(more);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->type, 'E');
    EXPECT_EQ(m->size, whole.size());
    EXPECT_EQ(read_postgres_error(*m).sqlstate, "57P03");
    EXPECT_EQ(read_postgres_error(*m).message, "the database system is starting up");
}

TEST(PostgresAnswer, AnErrorOfTheOldForm) {
    std::string const text("Ecould not fork new process\n\0", 29);
    EXPECT_FALSE(read_postgres_message(text.substr(0, 28)));
    auto const m = read_postgres_message(text);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->size, text.size());
    EXPECT_EQ(read_postgres_error(*m).message, "could not fork new process\n");
    EXPECT_EQ(read_postgres_error(*m).sqlstate, "");
}

TEST(PostgresAnswer, AllElseIsNone) {
    for (std::string const& bytes : {std::string("HTTP/1.1 400"), std::string("-ERR\r\n"), std::string("R\0\0\0\3", 5), std::string("R\x7f\xff\xff\xff", 5)}) {
        auto const m = read_postgres_message(bytes);
        ASSERT_TRUE(m) << bytes;
        EXPECT_EQ(m->type, 0) << bytes;
    }
    EXPECT_EQ(read_postgres_error(*read_postgres_message(write_postgres_message('E', "Mno end"))).message, "");
    EXPECT_FALSE(read_postgres_authentication("abc"));
    EXPECT_FALSE(read_postgres_authentication("\x7f\x7f\x7f\x7f"));
    EXPECT_FALSE(read_postgres_parameter("name"));
    EXPECT_FALSE(read_postgres_first_value(std::string("\0\1\0\0\0\7ab", 8)));
    EXPECT_FALSE(read_postgres_first_value(std::string("\0\1\0", 3)));
    EXPECT_EQ(read_postgres_first_value(std::string("\0\1\xff\xff\xff\xff", 6)), "null");
    EXPECT_EQ(read_postgres_first_value(std::string("\0\0", 2)), "");
    EXPECT_TRUE(offers_mechanism(std::string("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 35), "SCRAM-SHA-256"));
    EXPECT_FALSE(offers_mechanism(std::string("SCRAM-SHA-256-PLUS\0\0", 20), "SCRAM-SHA-256"));
    EXPECT_FALSE(offers_mechanism("SCRAM-SHA-256", "SCRAM-SHA-256"));
}

// The exchange of RFC 7677, with the empty name that PostgreSQL wants: numbers made with another implementation (Python's hashlib).
TEST(Scram, ProvesThatThePasswordIsKnown) {
    EXPECT_EQ(scram_first("rOprNGfwEbeRWgbNEkqO"), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
    std::string const first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    auto const proof = scram_final("pencil", "rOprNGfwEbeRWgbNEkqO", first);
    ASSERT_TRUE(proof) << proof.error();
    EXPECT_EQ(proof->message, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=");
    EXPECT_EQ(proof->signature, "v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=");
}

TEST(Scram, WhatIsWrongWithAServersMessageIsSaid) {
    auto const wrong = [](std::string const& first) {
        auto const made = scram_final("pencil", "abc", first);
        return made ? "nothing" : made.error();
    };
    EXPECT_THAT(wrong(""), HasSubstr("can't be read"));
    EXPECT_THAT(wrong("r=abcd"), HasSubstr("can't be read"));
    EXPECT_THAT(wrong("r=abc,s=QQ==,i=1"), HasSubstr("answers another one"));
    EXPECT_THAT(wrong("r=xyz,s=QQ==,i=1"), HasSubstr("answers another one"));
    EXPECT_THAT(wrong("r=abcd,s=QQ==,i=0"), HasSubstr("iterations"));
    EXPECT_THAT(wrong("r=abcd,s=QQ==,i=99999999"), HasSubstr("iterations"));
    EXPECT_THAT(wrong("r=abcd,s=!!,i=1"), HasSubstr("no salt"));
    EXPECT_EQ(wrong("r=abcd,s=QQ==,i=1"), "nothing");
}

class Postgres : public testing::Test {
protected:
    Postgres() : guard_(events_) {
        char name[] = "/tmp/clusterd-postgres-XXXXXX";
        folder_ = mkdtemp(name);
        chmod(folder_.c_str(), 0755);
    }
    ~Postgres() override {
        stop(SIGQUIT);
        std::filesystem::remove_all(folder_);
    }
    CheckOutcome check(int port, std::map<std::string, std::string> attributes = {}, std::int64_t ms = 20'000) {
        HealthSpec h;
        h.type = "postgres";
        h.attributes = std::move(attributes);
        h.attributes.emplace("address", "127.0.0.1");
        h.attributes.emplace("port", std::to_string(port));
        return make_agent(h, ResourceSpec{}, guard_, events_)->check(within(ms));
    }
    // A server that says this to whoever comes.
    CheckOutcome answered(std::string const& bytes, std::map<std::string, std::string> const& attributes = {}) {
        Server const server([&bytes](int fd) {
            char buffer[512];
            [[maybe_unused]] ssize_t const n = recv(fd, buffer, sizeof buffer, 0);
            say(fd, bytes);
            shutdown(fd, SHUT_WR);
            hear(fd, "never said");
        });
        return check(server.port(), attributes);
    }
    std::string file(std::string const& name, std::string const& text, mode_t mode = 0600) const {
        std::string const path = folder_ + "/" + name;
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        return path;
    }

    // PostgreSQL refuses to run as root: its user is Debian's.
    pid_t as_postgres(std::vector<std::string> words) const {
        pid_t const pid = fork();
        if (pid != 0) return pid;
        passwd const* const user = getpwnam("postgres");
        if (!user || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGQUIT);  // behind setuid, which clears it
        int const null = open("/dev/null", O_RDWR);
        for (int fd : {0, 1, 2}) dup2(null, fd);
        std::vector<char*> argv;
        for (auto& each : words) argv.push_back(each.data());
        argv.push_back(nullptr);
        execv(argv[0], argv.data());
        _exit(127);
    }
    bool make_cluster() {
        if (geteuid() != 0 || access((std::string(programs) + "postgres").c_str(), X_OK) != 0 || !getpwnam("postgres")) return false;
        std::filesystem::create_directory(folder_ + "/data");
        chown((folder_ + "/data").c_str(), getpwnam("postgres")->pw_uid, getpwnam("postgres")->pw_gid);
        std::string const password = file("initial", "se same\n", 0644);
        int status = -1;
        waitpid(as_postgres({std::string(programs) + "initdb", "-D", folder_ + "/data", "-N", "-A", "scram-sha-256", "--pwfile=" + password, "--locale=C.UTF-8"}), &status, 0);
        return status == 0;
    }
    // The users' ways in; the first that fits counts.
    void let_in(std::string const& lines) const { std::ofstream(folder_ + "/data/pg_hba.conf") << lines; }
    void start(std::vector<std::string> const& settings = {}) {
        port_ = RefusingPort().port();
        std::vector<std::string> words{std::string(programs) + "postgres", "-D", folder_ + "/data", "-p", std::to_string(port_), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"};
        for (auto const& each : settings) words.insert(words.end(), {"-c", each});
        server_ = as_postgres(words);
    }
    void stop(int signal) {
        if (server_ <= 0) return;
        kill(server_, signal);
        waitpid(server_, nullptr, 0);
        server_ = -1;
    }
    CheckOutcome once_up(std::map<std::string, std::string> const& attributes = {}) {
        CheckOutcome last;
        for (Instant const end = within(60'000); boot_now() < end; usleep(50'000))
            if (last = check(port_, attributes); last.result != Health::failed) break;
        return last;
    }

    GuardEvents events_;
    SpawningGuard guard_;
    std::string folder_;
    pid_t server_ = -1;
    int port_ = 0;
};

TEST_F(Postgres, ForReal) {
    if (!make_cluster()) GTEST_SKIP() << "PostgreSQL 15, its user and root are needed";
    let_in("host all trusted 127.0.0.1/32 trust\nhost all old 127.0.0.1/32 md5\nhost all plain 127.0.0.1/32 password\nhost all all 127.0.0.1/32 scram-sha-256\n");
    start({"max_connections=4", "superuser_reserved_connections=0"});
    CheckOutcome seen = once_up();
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    EXPECT_THAT(seen.message, HasSubstr("takes clients"));

    std::string const password = file("password", "se same\n");
    seen = check(port_, {{"user", "postgres"}, {"password-file", password}});
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    EXPECT_THAT(seen.message, HasSubstr("serves (PostgreSQL 15"));
    EXPECT_THAT(seen.message, HasSubstr("SELECT 1: 1"));
    std::map<std::string, std::string> login{{"user", "postgres"}, {"password-file", password}};
    auto const asked = [&](std::string const& query) {
        login["query"] = query;
        return check(port_, login);
    };
    EXPECT_THAT(asked("SELECT pg_is_in_recovery()").message, HasSubstr(": f"));
    EXPECT_THAT(asked("SELECT repeat('x', 300000)").message, HasSubstr("xxx"));
    seen = asked("SELECT * FROM nothing");
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr("relation \"nothing\" does not exist (42P01)"));
    EXPECT_EQ(asked("COPY (SELECT 1) TO STDOUT").result, Health::unknown);
    login["query"] = "SELECT pg_sleep(60)";
    seen = check(port_, login, 300);
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr("no answer in time"));
    EXPECT_EQ(asked("CREATE ROLE trusted LOGIN").result, Health::ok);

    seen = check(port_, {{"user", "trusted"}, {"database", "postgres"}});
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    seen = check(port_, {{"user", "trusted"}});
    EXPECT_EQ(seen.result, Health::unknown);
    EXPECT_THAT(seen.message, HasSubstr("the login as trusted to database trusted is refused: database \"trusted\" does not exist (3D000)"));
    seen = check(port_, {{"user", "postgres"}});
    EXPECT_EQ(seen.result, Health::unknown);
    EXPECT_THAT(seen.message, HasSubstr("give password-file"));
    seen = check(port_, {{"user", "postgres"}, {"password-file", file("wrong", "open\n")}});
    EXPECT_EQ(seen.result, Health::unknown);
    EXPECT_THAT(seen.message, HasSubstr("password authentication failed"));
    EXPECT_THAT(check(port_, {{"user", "postgres"}, {"password-file", file("shared", "se same\n", 0644)}}).message, HasSubstr("chmod 600"));
    seen = check(port_, {{"user", "plain"}, {"password-file", password}});
    EXPECT_EQ(seen.result, Health::unknown);
    EXPECT_THAT(seen.message, HasSubstr("isn't supported by the agent: a password in clear text"));

    kill(server_, SIGSTOP);
    seen = check(port_, {}, 300);
    kill(server_, SIGCONT);
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr("no answer in time"));

    stop(SIGQUIT);
    seen = check(port_);
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr("refused"));
}

// Real ones that can't serve: one that waits for what it is to recover from, and one that has no slot left.
TEST_F(Postgres, StartingUpAndFullForReal) {
    if (!make_cluster()) GTEST_SKIP() << "PostgreSQL 15, its user and root are needed";
    let_in("host all all 127.0.0.1/32 trust\n");
    std::ofstream(folder_ + "/data/standby.signal");
    start({"hot_standby=off", "restore_command=/bin/false"});
    CheckOutcome seen;
    for (Instant const end = within(60'000); boot_now() < end; usleep(50'000))
        if (seen = check(port_); seen.message.find("57P03") != std::string::npos) break;
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr("the database system is"));
    EXPECT_THAT(check(port_, {{"user", "postgres"}}).message, HasSubstr("(57P03)"));
    stop(SIGQUIT);

    std::filesystem::remove(folder_ + "/data/standby.signal");
    start({"max_connections=1", "superuser_reserved_connections=0", "max_wal_senders=0"});
    seen = once_up();
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    for (Instant const end = within(60'000); boot_now() < end && seen.result == Health::ok; usleep(20'000)) {  // the one before may not have gone yet
        std::thread holder([this] { check(port_, {{"user", "postgres"}, {"query", "SELECT pg_sleep(1)"}}); });
        for (Instant const held = within(900); boot_now() < held && seen.result == Health::ok; usleep(20'000)) seen = check(port_);
        holder.join();
    }
    EXPECT_EQ(seen.result, Health::degraded) << seen.message;
    EXPECT_THAT(seen.message, HasSubstr("too many clients already (53300)"));
}

TEST_F(Postgres, WhatAServerSaysIsJudged) {
    std::map<std::string, std::string> const user{{"user", "m"}};
    CheckOutcome seen = answered(error("57P03", "the database system is starting up"));
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr(": the database system is starting up (57P03)"));
    EXPECT_EQ(answered(error("53300", "sorry, too many clients already")).result, Health::degraded);
    EXPECT_EQ(answered(error("53300", "sorry, too many clients already"), user).result, Health::degraded);
    EXPECT_EQ(answered(error("28000", "no pg_hba.conf entry")).result, Health::ok);  // somebody decided so: it is alive
    EXPECT_EQ(answered(error("28000", "no pg_hba.conf entry"), user).result, Health::unknown);
    EXPECT_EQ(answered(error("XX000", "could not open file"), user).result, Health::failed);
    EXPECT_EQ(answered(std::string("Ecould not fork new process\n\0", 29)).result, Health::failed);
    EXPECT_EQ(answered(wants(5, "salt")).result, Health::ok);
    EXPECT_THAT(answered(wants(5, "salt"), user).message, HasSubstr("isn't supported by the agent: md5"));
    EXPECT_THAT(answered(wants(10, std::string("OTHER\0\0", 7)), user).message, HasSubstr("SASL without SCRAM-SHA-256"));
    EXPECT_THAT(answered("HTTP/1.1 400 Bad Request\r\n").message, HasSubstr("doesn't speak as PostgreSQL does"));
    EXPECT_THAT(answered("").message, HasSubstr("closed the connection"));
    EXPECT_EQ(answered(wants(0) + ready + row("7") + ready, user).result, Health::ok);
    EXPECT_THAT(answered(wants(0) + ready + row("7") + ready, user).message, HasSubstr("SELECT 1: 7"));
    seen = answered(wants(0) + ready + error("57P01", "terminating connection due to administrator command"), user);
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_THAT(seen.message, HasSubstr("terminating connection"));
    EXPECT_EQ(answered(wants(11, "r=x,s=QQ==,i=1"), {{"user", "m"}, {"password-file", file("p", "x\n")}}).result, Health::failed);
    EXPECT_EQ(answered(wants(12, "v=x"), user).result, Health::unknown);
    EXPECT_EQ(answered(row("1"), user).result, Health::failed);
}

// Whoever knows no password may still say that it took ours.
TEST_F(Postgres, AServerThatProvesNothingIsAnother) {
    std::map<std::string, std::string> const login{{"user", "ann"}, {"database", "shop"}, {"password-file", file("secret", "pencil\n")}};
    std::string const sasl = wants(PostgresAuthentication::sasl, std::string("SCRAM-SHA-256\0\0", 15));
    auto const taken = answered(sasl + wants(PostgresAuthentication::ok) + ready + row("1") + ready, login);
    EXPECT_EQ(taken.result, Health::unknown);
    EXPECT_THAT(taken.message, HasSubstr("without a proof"));
    auto const empty = answered(sasl + wants(PostgresAuthentication::sasl_final) + wants(PostgresAuthentication::ok) + ready + row("1") + ready, login);
    EXPECT_EQ(empty.result, Health::unknown);
    EXPECT_THAT(empty.message, HasSubstr("doesn't know the password itself"));
}

// What a server hears from one check, to its end.
struct Heard {
    std::mutex mutex;
    std::string bytes;
};

TEST_F(Postgres, AFarewellIsSaidOnlyWhereNoPasswordIsAwaited) {
    for (int const kind : {static_cast<int>(PostgresAuthentication::sasl), static_cast<int>(PostgresAuthentication::ok)}) {
        Heard heard;
        {
            Server const server([&](int fd) {
                char buffer[512];
                std::string all;
                ssize_t n = recv(fd, buffer, sizeof buffer, 0);
                if (n > 0) all.append(buffer, static_cast<std::size_t>(n));
                say(fd, wants(kind, kind == PostgresAuthentication::sasl ? std::string("SCRAM-SHA-256\0\0", 15) : std::string()));
                while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) all.append(buffer, static_cast<std::size_t>(n));
                std::lock_guard lock(heard.mutex);
                heard.bytes = all;
            });
            EXPECT_EQ(check(server.port()).result, Health::ok);
        }
        std::lock_guard lock(heard.mutex);
        bool const farewell = heard.bytes.ends_with(write_postgres_message('X', {}));
        EXPECT_EQ(farewell, kind == PostgresAuthentication::ok) << kind;
    }
}

TEST_F(Postgres, AQuestionThatIsGivenUpEndsAtTheServerToo) {
    Heard heard;
    Server const server([&](int fd) {
        char buffer[512];
        ssize_t const n = recv(fd, buffer, sizeof buffer, 0);
        {
            std::lock_guard lock(heard.mutex);
            if (n > 0) heard.bytes.assign(buffer, static_cast<std::size_t>(n));
        }
        say(fd, error("57P03", "the database system is starting up"));
        shutdown(fd, SHUT_WR);
        hear(fd, "never said");
    });
    EXPECT_EQ(check(server.port(), {{"user", "ann"}}).result, Health::failed);
    std::lock_guard lock(heard.mutex);
    EXPECT_THAT(heard.bytes, HasSubstr(std::string("statement_timeout\0", 18)));
}

}  // namespace
}  // namespace clusterd
