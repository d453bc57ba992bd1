// Two machines for a test: namespaces clt-a-PID (where the test's thread is) and clt-b-PID, joined by a cable: eth0 on both sides.
#pragma once

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <cstdlib>
#include <string>

namespace clusterd {

class TwoMachines : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "network namespaces need root";
        home_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        a_ = "clt-a-" + std::to_string(getpid());
        b_ = "clt-b-" + std::to_string(getpid());
        for (std::string const& n : {a_, b_}) ASSERT_TRUE(sh("ip netns add " + n));
        made_ = true;
        ASSERT_TRUE(sh("ip -n " + a_ + " link add eth0 type veth peer name eth0 netns " + b_));
        for (std::string const& n : {a_, b_}) {
            ASSERT_TRUE(sh("ip netns exec " + n + " sysctl -qw net.ipv6.conf.all.disable_ipv6=0"));
            ASSERT_TRUE(sh("ip -n " + n + " link set lo up && ip -n " + n + " link set eth0 up"));
        }
        ASSERT_TRUE(enter(a_));
    }
    void TearDown() override {
        if (home_ < 0) return;
        setns(home_, CLONE_NEWNET);
        close(home_);
        if (made_) sh("ip netns del " + a_ + "; ip netns del " + b_);
    }

    static bool sh(std::string const& command) { return std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) == 0; }
    bool ip_a(std::string const& arguments) { return sh("ip -n " + a_ + " " + arguments); }
    bool ip_b(std::string const& arguments) { return sh("ip -n " + b_ + " " + arguments); }
    static bool enter(std::string const& name) {
        int const fd = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
        bool const ok = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
        if (fd >= 0) close(fd);
        return ok;
    }

    int home_ = -1;
    bool made_ = false;
    std::string a_, b_;
};

}  // namespace clusterd
