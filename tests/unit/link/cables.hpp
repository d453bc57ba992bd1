// A world of two network namespaces in one test process: this thread lives in one, "the peer" in the other, veth pairs between.
// Needs root; everything ends with the object, and with the process.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

namespace clusterd::test {

class Cables {
public:
    Cables() {
        home_ = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (home_ < 0 || ::unshare(CLONE_NEWNET) != 0) return;
        here_ = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        keeper_ = keep_a_namespace();
        if (keeper_ < 0) return;
        there_ = ::open(("/proc/" + std::to_string(keeper_) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
        good_ = here_ >= 0 && there_ >= 0 && run("ip link set lo up") && at_peer("ip link set lo up");
    }
    ~Cables() {
        if (home_ >= 0) (void)::setns(home_, CLONE_NEWNET);
        if (keeper_ > 0) {
            ::kill(keeper_, SIGKILL);
            ::waitpid(keeper_, nullptr, 0);
        }
        for (int const fd : {home_, here_, there_})
            if (fd >= 0) ::close(fd);
    }
    bool good() const { return good_; }  // false: not root, or no namespaces here

    bool run(std::string const& command) { return std::system(("(" + command + ") >/dev/null 2>&1").c_str()) == 0; }
    bool at_peer(std::string const& command) {
        bool result = false;
        at_peer([&] { result = run(command); });
        return result;
    }
    // Sockets made in there stay there.
    void at_peer(std::function<void()> const& work) {
        ASSERT_EQ(::setns(there_, CLONE_NEWNET), 0);
        work();
        ASSERT_EQ(::setns(here_, CLONE_NEWNET), 0);
    }
    // A cable NAME (here) - NAME (there), with 10.N.0.1 / fd00:N::1 here and ...2 there.
    bool plug(std::string const& name, int n) {
        std::string const v4 = "10." + std::to_string(n) + ".0.", v6 = "fd00:" + std::to_string(n) + "::";
        return run("ip link add " + name + " type veth peer name " + name + " netns " + std::to_string(keeper_)) &&
               address(name, v4 + "1", v6 + "1") &&
               at_peer("ip addr add " + v4 + "2/24 dev " + name + " && ip addr add " + v6 + "2/64 dev " + name +
                       " nodad && ip link set " + name + " up");
    }
    bool address(std::string const& name, std::string const& v4, std::string const& v6) {
        return run("ip addr add " + v4 + "/24 dev " + name + " && ip addr add " + v6 + "/64 dev " + name +
                   " nodad && ip link set " + name + " up");
    }

private:
    static pid_t keep_a_namespace() {
        std::array<int, 2> ready{};
        if (::pipe2(ready.data(), O_CLOEXEC) != 0) return -1;
        pid_t const pid = ::fork();
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::unshare(CLONE_NEWNET) == 0) (void)!::write(ready[1], "x", 1);
            ::close(ready[1]);
            for (;;) ::pause();
        }
        ::close(ready[1]);
        char c = 0;
        bool const good = pid > 0 && ::read(ready[0], &c, 1) == 1;
        ::close(ready[0]);
        if (pid > 0 && !good) ::kill(pid, SIGKILL), ::waitpid(pid, nullptr, 0);
        return good ? pid : -1;
    }
    int home_ = -1, here_ = -1, there_ = -1;
    pid_t keeper_ = -1;
    bool good_ = false;
};

}  // namespace clusterd::test
