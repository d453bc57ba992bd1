// The driver file-share with a real Samba of the test's own: smbd in a folder, on a port of its own. Moves, faults and clients on another host are
// met in containers (tests/system/fileserver.py).
#include "tests/unit/resources/driver_world.hpp"
#include "tests/unit/resources/programs.hpp"

#include "resources/file_share.hpp"

#include <gmock/gmock.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace clusterd {
namespace {

using ::testing::HasSubstr;

class SambaShares : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0 || std::system("command -v smbd smbclient >/dev/null") != 0) GTEST_SKIP() << "Samba, smbclient and root are needed";
        chmod(world_.dir.c_str(), 0755);
        for (char const* each : {"state", "cache", "lock", "private", "rpc", "docs", "other"}) std::filesystem::create_directory(world_.dir + "/" + each);
        world_.write("docs/hello", "docs says hello");
        world_.write("other/hello", "other says hello");
        setenv("CLUSTERD_SAMBA_DIRECTORY", world_.dir.c_str(), 1);
        setenv("CLUSTERD_SMB_CONF", (world_.dir + "/smb.conf").c_str(), 1);
        port_ = std::to_string(free_port());
        configure("  include = " + world_.dir + "/clusterd.conf\n");
        start_smbd();
    }
    void TearDown() override {
        world_.driver.reset();
        stop_smbd(SIGTERM);
        unsetenv("CLUSTERD_SAMBA_DIRECTORY");
        unsetenv("CLUSTERD_SMB_CONF");
    }

    void configure(std::string const& include) const {
        std::string text = "[global]\n" + include + "  smb ports = " + port_ + "\n  interfaces = lo\n  bind interfaces only = yes\n  map to guest = Bad User\n  load printers = no\n";
        for (auto const& [parameter, folder] : {std::pair{"lock directory", "lock"}, {"pid directory", "lock"}, {"state directory", "state"}, {"cache directory", "cache"}, {"private dir", "private"}, {"ncalrpc dir", "rpc"}})
            text += std::string("  ") + parameter + " = " + world_.dir + "/" + folder + "\n";
        world_.write("smb.conf", text + "  log file = " + world_.dir + "/log\n[fixed]\n  path = " + world_.dir + "/other\n  guest ok = yes\n");
    }
    void start_smbd() {
        smbd_ = fork();
        if (smbd_ == 0) {
            setsid();  // its end takes its process group along
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            int const null = open("/dev/null", O_RDWR);
            for (int fd : {0, 1, 2}) dup2(null, fd);
            execlp("smbd", "smbd", "-F", "--no-process-group", "-s", (world_.dir + "/smb.conf").c_str(), nullptr);
            _exit(127);
        }
        for (int i = 0; i < 300 && output_of("smbcontrol -s " + world_.dir + "/smb.conf smbd ping").find("PONG") == std::string::npos; ++i) usleep(50'000);
        for (int i = 0; i < 300 && client("fixed").find("other says hello") == std::string::npos; ++i) usleep(50'000);
    }
    void stop_smbd(int signal) {
        if (smbd_ <= 0) return;
        kill(smbd_, signal);
        waitpid(smbd_, nullptr, 0);
        smbd_ = -1;
    }
    // On a busy machine the client itself gives up on a connection now and then.
    std::string client(std::string const& share) const {
        std::string said;
        for (int tries = 0; tries < 10; ++tries) {
            said = output_of("smbclient -N //127.0.0.1/" + share + " -p " + port_ + " -c 'get hello -'");
            if (said.find("NT_STATUS_IO_TIMEOUT") == std::string::npos) break;
        }
        return said;
    }
    Driver& make(std::map<std::string, std::string> more = {}) {
        std::map<std::string, std::string> all{{"protocol", "smb"}, {"share", "docs"}, {"path", world_.dir + "/docs"}, {"guest", "yes"}, {"read-only", "no"}};
        for (auto const& [name, value] : more) all[name] = value;
        return world_.make(make_file_share_driver, all);
    }

    DriverWorld world_;
    std::string port_;
    pid_t smbd_ = -1;
};

// As the core does it: what can't be found out is asked again.
ResourceState found_out(Driver& driver) {
    DriverOutcome outcome;
    for (int asked = 0; asked < 5; ++asked)
        if ((outcome = driver.probe(in(30s))).state != ResourceState::unknown) break;
    return outcome.state;
}

TEST_F(SambaShares, ComesGoesAndIsFoundAgain) {
    Driver& driver = make();
    EXPECT_EQ(found_out(driver), ResourceState::offline);
    EXPECT_THAT(client("docs"), HasSubstr("BAD_NETWORK_NAME"));
    DriverOutcome const started = driver.start(in(60s));
    ASSERT_EQ(started.state, ResourceState::online) << started.message;
    EXPECT_THAT(client("docs"), HasSubstr("docs says hello"));
    EXPECT_EQ(driver.start(in(60s)).state, ResourceState::online);
    make();  // another host's driver finds it
    EXPECT_EQ(world_.driver->probe(in(30s)).state, ResourceState::online);
    DriverOutcome const stopped = world_.driver->stop(in(60s));
    EXPECT_EQ(stopped.state, ResourceState::offline) << stopped.message;
    EXPECT_THAT(client("docs"), HasSubstr("BAD_NETWORK_NAME"));
    EXPECT_THAT(client("fixed"), HasSubstr("other says hello"));
    EXPECT_EQ(world_.driver->stop(in(60s)).state, ResourceState::offline);
    EXPECT_EQ(world_.driver->kill(in(60s)).state, ResourceState::offline);
    EXPECT_FALSE(world_.has_told());
}

TEST_F(SambaShares, AClientThatIsConnectedIsNoHindrance) {
    Driver& driver = make();
    ASSERT_EQ(driver.start(in(60s)).state, ResourceState::online);
    FILE* const session = popen(("smbclient -N //127.0.0.1/docs -p " + port_ + " >" + world_.dir + "/said 2>&1").c_str(), "w");
    std::fputs("get hello -\n", session);
    std::fflush(session);
    for (int i = 0; i < 300 && world_.read("said").find("says hello") == std::string::npos; ++i) usleep(50'000);
    EXPECT_THAT(output_of("smbstatus -S -s " + world_.dir + "/smb.conf"), HasSubstr("docs"));
    EXPECT_EQ(driver.stop(in(60s)).state, ResourceState::offline);
    EXPECT_EQ(output_of("smbstatus -S -s " + world_.dir + "/smb.conf").find("docs "), std::string::npos);
    EXPECT_EQ(kill(smbd_, 0), 0);
    pclose(session);
}

TEST_F(SambaShares, RefusesWhatWouldNotWork) {
    DriverOutcome seen = make({{"path", world_.dir + "/none"}}).start(in(60s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_THAT(seen.message, HasSubstr("its directory " + world_.dir + "/none isn't there"));
    seen = make({{"share", "fixed"}}).start(in(60s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_FALSE(seen.restart_here);
    EXPECT_THAT(seen.message, HasSubstr("has a share [fixed] of its own"));
    configure("");
    seen = make().start(in(60s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_FALSE(seen.restart_here);
    EXPECT_THAT(seen.message, HasSubstr("add the line \"include = " + world_.dir + "/clusterd.conf\" to its section [global]"));
    EXPECT_EQ(world_.driver->probe(in(30s)).state, ResourceState::offline);
    configure("  include = " + world_.dir + "/clusterd.conf\n");
    seen = make({{"options", "creat mask = 0640"}}).start(in(60s));
    EXPECT_EQ(seen.state, ResourceState::online);
    EXPECT_THAT(seen.message, HasSubstr("Samba doesn't know the parameter \"creat mask\""));
    world_.driver->stop(in(60s));
    stop_smbd(SIGTERM);
    seen = make().start(in(60s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_THAT(seen.message, HasSubstr("systemctl start smbd"));
    EXPECT_EQ(world_.driver->stop(in(60s)).state, ResourceState::offline);
}

void start(Driver& driver) {
    DriverOutcome const outcome = driver.start(in(60s));
    ASSERT_EQ(outcome.state, ResourceState::online) << outcome.message;
}

TEST_F(SambaShares, ItsEndIsToldByWhateverEndsIt) {
    Driver& driver = make();
    start(driver);
    world_.write("clusterd.conf", "[global]\n");
    EXPECT_THAT(world_.wait_told().message, HasSubstr("it was removed from " + world_.dir + "/clusterd.conf"));

    ASSERT_EQ(driver.stop(in(60s)).state, ResourceState::offline);
    start(driver);
    std::filesystem::rename(world_.dir + "/docs", world_.dir + "/gone");
    EXPECT_THAT(world_.wait_told().message, HasSubstr("isn't there"));
    std::filesystem::rename(world_.dir + "/gone", world_.dir + "/docs");

    ASSERT_EQ(driver.stop(in(60s)).state, ResourceState::offline);
    start(driver);
    configure("");
    EXPECT_THAT(world_.wait_told().message, HasSubstr("doesn't include the cluster's shares"));
    configure("  include = " + world_.dir + "/clusterd.conf\n");

    ASSERT_EQ(driver.stop(in(60s)).state, ResourceState::offline);
    start(driver);
    stop_smbd(SIGKILL);
    EXPECT_THAT(world_.wait_told().message, HasSubstr("smbd isn't running on this node"));
    EXPECT_EQ(found_out(driver), ResourceState::failed);
    EXPECT_EQ(driver.stop(in(60s)).state, ResourceState::offline);
    EXPECT_EQ(found_out(driver), ResourceState::offline);
}

TEST(WithoutSamba, AShareIsOfflineAndDoesntStart) {
    DriverWorld world;
    setenv("CLUSTERD_SAMBA_DIRECTORY", world.dir.c_str(), 1);
    std::string const path = std::getenv("PATH");
    setenv("PATH", "/nowhere", 1);
    Driver& driver = world.make(make_file_share_driver, {{"protocol", "smb"}, {"path", "/tmp"}});
    EXPECT_EQ(driver.probe(in(30s)).state, ResourceState::offline);
    DriverOutcome const seen = driver.start(in(30s));
    EXPECT_EQ(seen.state, ResourceState::failed);
    EXPECT_FALSE(seen.restart_here);
    EXPECT_THAT(seen.message, HasSubstr("install the package samba"));
    EXPECT_EQ(driver.stop(in(30s)).state, ResourceState::offline);
    setenv("PATH", path.c_str(), 1);
    unsetenv("CLUSTERD_SAMBA_DIRECTORY");
}

}  // namespace
}  // namespace clusterd
