// The agent smb: against a real Samba of the test's own, and against small servers that answer what no real one would.
#include "agents/agent.hpp"
#include "agents/smb_answer.hpp"
#include "tests/unit/agents/servers.hpp"

#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace clusterd {
namespace {

std::string answer(std::uint32_t status, std::uint16_t dialect, std::size_t body = 65) {
    std::string m("\xfeSMB\x40\0\0\0", 8);
    auto const put = [&m](std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) m += static_cast<char>(value >> (8 * i) & 0xff);
    };
    put(status, 4);
    put(0, 2);
    put(1, 2);
    put(1, 4);  // from the server
    m.resize(64);
    put(body, 2);
    put(1, 2);
    put(dialect, 2);
    m.resize(64 + 65);
    return std::string{0, 0, 0, static_cast<char>(m.size())} + m;
}

TEST(SmbAnswer, TheDialectIsRead) {
    EXPECT_EQ(**read_smb_negotiate(answer(0, 0x0311)), "SMB 3.1.1");
    EXPECT_EQ(**read_smb_negotiate(answer(0, 0x0202)), "SMB 2.0.2");
    std::string const whole = answer(0, 0x0302);
    for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(read_smb_negotiate(whole.substr(0, n))) << n;
    EXPECT_EQ(**read_smb_negotiate(whole + "more"), "SMB 3.0.2");
}

TEST(SmbAnswer, AllElseIsAnError) {
    auto const error = [](std::string const& bytes) {
        auto const read = read_smb_negotiate(bytes);
        return !read ? "waits" : *read ? "accepted" : read->error();
    };
    std::string const none = "what came is no answer of an SMB2 server";
    EXPECT_EQ(error("HTTP/1.1 400"), none);
    EXPECT_EQ(error(std::string("\0\0\0\1x", 5)), none);
    EXPECT_EQ(error(std::string("\0\xff\xff\xff", 4)), none);
    EXPECT_EQ(error(answer(0, 0x02ff)), none);  // the wildcard, which nobody asked for
    EXPECT_EQ(error(answer(0, 0x0311, 9)), none);
    EXPECT_EQ(error(answer(0xc00000bb, 0)), "it speaks no dialect from SMB 2.0.2 to 3.1.1");
    EXPECT_EQ(error(answer(0xc0000022, 0)), "it refuses to negotiate: status 0xc0000022");
}

TEST(SmbAnswer, AStatusIsFoundInWhatSmbclientSays) {
    EXPECT_EQ(smb_status_in("tree connect failed: NT_STATUS_BAD_NETWORK_NAME\n"), "NT_STATUS_BAD_NETWORK_NAME");
    EXPECT_EQ(smb_status_in("Connection to x failed (Error NT_STATUS_CONNECTION_REFUSED)"), "NT_STATUS_CONNECTION_REFUSED");
    EXPECT_EQ(smb_status_in("nothing"), "");
}

// smbd in a folder of its own, on a port of its own.
class Samba {
public:
    explicit Samba(std::string const& folder) : folder_(folder), port_(std::to_string(RefusingPort().port())) {
        for (char const* each : {"state", "cache", "lock", "private", "rpc", "docs", "secret"}) std::filesystem::create_directory(folder + "/" + each);
        chmod((folder + "/lock").c_str(), 0755);
        std::ofstream(folder + "/smb.conf") << "[global]\n  smb ports = " << port_ << "\n  interfaces = lo\n  bind interfaces only = yes\n  lock directory = " << folder
                                            << "/lock\n  state directory = " << folder << "/state\n  cache directory = " << folder << "/cache\n  pid directory = " << folder
                                            << "/lock\n  private dir = " << folder << "/private\n  ncalrpc dir = " << folder << "/rpc\n  log file = " << folder
                                            << "/log\n  map to guest = Bad User\n  load printers = no\n[docs]\n  path = " << folder << "/docs\n  guest ok = yes\n[secret]\n  path = "
                                            << folder << "/secret\n[gone]\n  path = " << folder << "/gone\n  guest ok = yes\n";
        pid_ = fork();
        if (pid_ == 0) {
            setsid();  // its end takes its process group along
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            int const null = open("/dev/null", O_RDWR);
            for (int fd : {0, 1, 2}) dup2(null, fd);
            execlp("smbd", "smbd", "-F", "--no-process-group", "-s", (folder + "/smb.conf").c_str(), nullptr);
            _exit(127);
        }
    }
    ~Samba() {
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    std::string const& port() const { return port_; }

private:
    std::string const folder_, port_;
    pid_t pid_ = -1;
};

class Smb : public testing::Test {
protected:
    Smb() : guard_(events_) {
        char name[] = "/tmp/clusterd-smb-XXXXXX";
        folder_ = mkdtemp(name);
        chmod(folder_.c_str(), 0755);
    }
    ~Smb() override { std::filesystem::remove_all(folder_); }

    CheckOutcome check(std::map<std::string, std::string> attributes, std::int64_t ms = 20'000) {
        HealthSpec h;
        h.type = "smb";
        h.attributes = std::move(attributes);
        h.attributes.try_emplace("address", "127.0.0.1");
        ResourceSpec resource;
        resource.name = "share";
        return make_agent(h, resource, guard_, events_)->check(within(ms));
    }

    GuardEvents events_;
    SpawningGuard guard_;
    std::string folder_;
};

TEST_F(Smb, ForReal) {
    if (std::system("command -v smbd smbclient >/dev/null") != 0 || geteuid() != 0) GTEST_SKIP() << "smbd, smbclient and root are needed";
    Samba const samba(folder_);
    CheckOutcome seen;
    for (int i = 0; i < 300 && seen.result != Health::ok; ++i) {  // until it listens
        seen = check({{"port", samba.port()}});
        if (seen.result != Health::ok) usleep(100'000);
    }
    EXPECT_EQ(seen.message, "127.0.0.1:" + samba.port() + ": speaks SMB 3.1.1");
    seen = check({{"port", samba.port()}, {"share", "docs"}});
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    EXPECT_NE(seen.message.find("serves share docs"), std::string::npos) << seen.message;
    seen = check({{"port", samba.port()}, {"share", "secret"}});
    EXPECT_EQ(seen.result, Health::ok) << seen.message;
    EXPECT_NE(seen.message.find("not for guests"), std::string::npos) << seen.message;
    for (char const* share : {"nosuch", "gone"}) {
        seen = check({{"port", samba.port()}, {"share", share}});
        EXPECT_EQ(seen.result, Health::failed) << seen.message;
        EXPECT_NE(seen.message.find("has no share " + std::string(share)), std::string::npos) << seen.message;
    }
    std::ofstream(folder_ + "/password") << "wrong\n";
    chmod((folder_ + "/password").c_str(), 0600);
    seen = check({{"port", samba.port()}, {"share", "docs"}, {"user", "root"}, {"password-file", folder_ + "/password"}});
    EXPECT_EQ(seen.result, Health::ok) << seen.message;  // no Samba user: mapped to guest, who is welcome there
    chmod((folder_ + "/password").c_str(), 0644);
    seen = check({{"port", samba.port()}, {"share", "docs"}, {"user", "root"}, {"password-file", folder_ + "/password"}});
    EXPECT_EQ(seen.result, Health::unknown) << seen.message;
}

TEST_F(Smb, WhoIsNoneOrSilent) {
    Server web([](int fd) { say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n"); });
    CheckOutcome seen = check({{"port", std::to_string(web.port())}});
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_NE(seen.message.find("no answer of an SMB2 server"), std::string::npos) << seen.message;
    Server* self = nullptr;
    Server silent([&](int fd) { self->hold(fd); });
    self = &silent;
    seen = check({{"port", std::to_string(silent.port())}}, 100);
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_NE(seen.message.find("no answer in time"), std::string::npos) << seen.message;
    seen = check({{"port", std::to_string(RefusingPort().port())}});
    EXPECT_EQ(seen.result, Health::failed);
    EXPECT_NE(seen.message.find("Connection refused"), std::string::npos) << seen.message;
}

}  // namespace
}  // namespace clusterd
