// What a node lacks, seeded one defect at a time, with real files, devices, interfaces and ports; systemd is a fake one. Nothing else is
// reported, and what lacks nothing is said to lack nothing.
#include "resources/readiness.hpp"
#include "tests/loop_device.hpp"
#include "tests/unit/resources/fake_systemd.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sched.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

namespace clusterd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

struct NodeThatLacks : ::testing::Test {
    NodeThatLacks() {
        char name[] = "/tmp/clusterd-ready-XXXXXX";
        dir = mkdtemp(name);
        write("program", "#!/bin/sh\n", 0755);
        write("secret", "A=1\n", 0600);
        fs::create_directory(dir + "/mount");
        spec.name = "one";
        spec.type = "process";
        spec.attributes = {{"command", dir + "/program -x"}, {"stop-command", "true"}, {"working-directory", dir}, {"environment-file", dir + "/secret"}, {"user", "root"}};
    }
    ~NodeThatLacks() override { fs::remove_all(dir); }
    void write(std::string const& name, std::string const& text, unsigned mode) {
        std::ofstream(dir + "/" + name) << text;
        fs::permissions(dir + "/" + name, fs::perms(mode));
    }
    HealthSpec& check(std::string type, std::map<std::string, std::string> attributes) {
        HealthSpec h;
        h.type = std::move(type);
        h.attributes = std::move(attributes);
        return spec.health.emplace_back(std::move(h));
    }
    // Exactly one lack, which says so.
    void lacks(std::string const& words) {
        auto const found = lacks_of(spec, elsewhere);
        ASSERT_EQ(found.size(), 1U) << words;
        EXPECT_THAT(found[0].what, HasSubstr(words));
        EXPECT_NE(found[0].todo, "");
    }
    void type(std::string name, std::map<std::string, std::string> attributes) {
        spec.type = std::move(name);
        spec.attributes = std::move(attributes);
    }

    std::string dir;
    ResourceSpec spec;
    std::vector<std::string> elsewhere;
};

TEST_F(NodeThatLacks, Nothing) { EXPECT_THAT(lacks_of(spec, {}), IsEmpty()); }

// ---- programs, files, users -----------------------------------------------------------------------------------------------

TEST_F(NodeThatLacks, AProgram) {
    spec.attributes["command"] = dir + "/nginx -g x";
    lacks("/nginx isn't there");
}
TEST_F(NodeThatLacks, TheRightToRunIt) {
    fs::permissions(dir + "/program", fs::perms(0644));
    lacks("isn't executable");
}
TEST_F(NodeThatLacks, AProgramOfThePath) {
    spec.attributes["stop-command"] = "no-such-program-here now";
    lacks("no-such-program-here isn't there");
}
TEST_F(NodeThatLacks, AUser) {
    spec.attributes["user"] = "nobody-of-that-name";
    lacks("there is no user nobody-of-that-name");
}
TEST_F(NodeThatLacks, AWorkingDirectory) {
    spec.attributes["working-directory"] = dir + "/work";
    lacks("/work isn't there");
}
TEST_F(NodeThatLacks, ASecret) {
    fs::remove(dir + "/secret");
    lacks("/secret can't be opened");
}
TEST_F(NodeThatLacks, ASecretThatOthersCantRead) {
    fs::permissions(dir + "/secret", fs::perms(0644));
    lacks("can be read or changed by others");
}
TEST_F(NodeThatLacks, APluginOfACheck) {
    check("exec", {{"command", dir + "/check_it"}});
    lacks("check exec: " + dir + "/check_it isn't there");
}
TEST_F(NodeThatLacks, APasswordOfACheck) {
    check("http", {{"url", "http://10.0.0.1/"}, {"user", "ann"}, {"password-file", dir + "/password"}});
    lacks("check http: " + dir + "/password can't be opened");
}
TEST_F(NodeThatLacks, CertificatesOfACheck) {
    check("http", {{"url", "https://10.0.0.1/"}, {"ca-file", dir + "/ca.pem"}});
    lacks("/ca.pem can't be read");
}

// What is on the group's own filesystem comes with it.
TEST_F(NodeThatLacks, NothingThatComesWithTheGroup) {
    elsewhere = {"/srv/web"};
    spec.attributes["command"] = "/srv/web/bin/server";
    spec.attributes["working-directory"] = "/srv/web";
    EXPECT_THAT(lacks_of(spec, elsewhere), IsEmpty());
    spec.attributes["command"] = "/srv/website/bin/server";
    lacks("/srv/website/bin/server isn't there");
}

// ---- interfaces and ports -------------------------------------------------------------------------------------------------

TEST_F(NodeThatLacks, AnInterface) {
    type("ip-address", {{"address", "10.0.0.100/24"}, {"interface", "nowhere0"}});
    lacks("there is no interface nowhere0");
}
TEST_F(NodeThatLacks, AnInterfaceThatIsUp) {
    if (geteuid() != 0) GTEST_SKIP() << "a network namespace needs root";
    std::thread([this] {  // in a new namespace lo is down
        ASSERT_EQ(unshare(CLONE_NEWNET), 0);
        type("ip-address", {{"address", "10.0.0.100/24"}, {"interface", "lo"}});
        lacks("interface lo is down");
    }).join();
}
TEST_F(NodeThatLacks, AFreePort) {
    int const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    socklen_t size = sizeof at;
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), size), 0);
    ASSERT_EQ(listen(fd, 1), 0);
    getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    std::string const port = std::to_string(ntohs(at.sin_port));
    spec.attributes["ready"] = "tcp:" + port;
    check("tcp", {{"address", "10.0.0.100"}, {"port", port}});
    lacks("port " + port);
    close(fd);
    EXPECT_THAT(lacks_of(spec, {}), IsEmpty());
}

// ---- disks ----------------------------------------------------------------------------------------------------------------

TEST_F(NodeThatLacks, ADevice) {
    type("disk", {{"device", dir + "/sdz"}});
    lacks("/sdz can't be opened");
}
TEST_F(NodeThatLacks, ADeviceThatIsOne) {
    type("disk", {{"device", dir + "/program"}});
    lacks("isn't a block device");
}
TEST_F(NodeThatLacks, TheRightDisk) {
    if (geteuid() != 0) GTEST_SKIP() << "loop devices need root";
    LoopDevice const loop(dir + "/image", "ext4");
    if (loop.path.empty()) GTEST_SKIP() << "no loop devices here";
    type("disk", {{"device", loop.path}, {"size", std::to_string(32 << 20)}});
    EXPECT_THAT(lacks_of(spec, {}), IsEmpty());
    spec.attributes["size"] = "4096";
    lacks("bytes, not 4096");
    spec.attributes.erase("size");
    spec.attributes["uuid"] = "01234567-89ab-cdef-0123-456789abcdef";
    lacks("not 01234567");
}
TEST_F(NodeThatLacks, AMountPoint) {
    if (geteuid() != 0) GTEST_SKIP() << "loop devices need root";
    LoopDevice const loop(dir + "/image", "ext4");
    if (loop.path.empty()) GTEST_SKIP() << "no loop devices here";
    type("filesystem", {{"device", loop.path}, {"mount", dir + "/mount"}, {"type", "ext4"}});
    EXPECT_THAT(lacks_of(spec, {}), IsEmpty());
    fs::remove(dir + "/mount");
    lacks("the mount point " + dir + "/mount isn't there");
    write("mount", "", 0644);
    lacks("isn't a directory");
}

// ---- agents and units -----------------------------------------------------------------------------------------------------

TEST_F(NodeThatLacks, AnOcfAgent) {
    setenv("CLUSTERD_OCF_ROOT", dir.c_str(), 1);
    type("ocf", {{"agent", "heartbeat:pgsql"}});
    lacks("resource.d/heartbeat/pgsql isn't there");
    fs::create_directories(dir + "/resource.d/heartbeat");
    write("resource.d/heartbeat/pgsql", "", 0644);
    lacks("isn't executable");
    fs::permissions(dir + "/resource.d/heartbeat/pgsql", fs::perms(0755));
    EXPECT_THAT(lacks_of(spec, {}), IsEmpty());
    unsetenv("CLUSTERD_OCF_ROOT");
}

TEST_F(NodeThatLacks, AUnit) {
    FakeSystemd systemd(dir);
    type("service", {{"unit", "web.service"}});
    EXPECT_THAT(lacks_of(spec, {}), IsEmpty());
    auto const set = [&](char const* property, char const* value) {
        std::lock_guard const lock(systemd.mutex);
        systemd.is[property] = value;
    };
    set("LoadState", "not-found");
    lacks("unit web.service isn't installed");
    set("LoadState", "masked");
    lacks("unit web.service is masked");
    set("LoadState", "error");
    lacks("can't be loaded (error)");
    set("LoadState", "loaded");
    set("UnitFileState", "enabled");
    lacks("it starts at boot, without the cluster");
}

TEST_F(NodeThatLacks, ASystemd) {
    setenv("CLUSTERD_SYSTEMD_ADDRESS", ("unix:path=" + dir + "/nobody").c_str(), 1);
    type("service", {{"unit", "web.service"}});
    lacks("systemd doesn't answer");
    unsetenv("CLUSTERD_SYSTEMD_ADDRESS");
}

}  // namespace
}  // namespace clusterd
