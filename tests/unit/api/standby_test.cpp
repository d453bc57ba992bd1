// check-standby against a fake daemon: it waits until both have looked again, says what lacks and what to do, and its exit code.
#include "tool_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Readiness said(std::string node, std::uint64_t round) { return {std::move(node), "0.1.0", round, 0, {"web-ip"}, {}}; }

TEST(CheckStandby, ReadyIsZeroAndALackIsOneWithWhatToDo) {
    FakeDaemon daemon;
    daemon.on_loop([&] {
        daemon.backend.ready = {said("alpha", 1), said("beta", 1)};
        daemon.backend.on_look = [&] {
            ++daemon.backend.ready.own->round;
            ++daemon.backend.ready.peer->round;
        };
    });
    Ran r = run({"check-standby", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.out, AllOf(HasSubstr("alpha could take over: web-ip"), HasSubstr("beta could take over: web-ip")));
    daemon.on_loop([&] { daemon.backend.ready.peer->lacks = {{"web-server", {"/usr/sbin/nginx isn't there", "install it as on the other node"}}}; });
    r = run({"check-standby", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 1);
    EXPECT_THAT(r.out, AllOf(HasSubstr("beta could not take over all"), HasSubstr("web-server: /usr/sbin/nginx isn't there"), HasSubstr("install it as on the other node")));
    EXPECT_THAT(run({"check-standby", "--json", "--socket", daemon.socket()}).out, HasSubstr("\"resource\":\"web-server\""));
}

TEST(CheckStandby, APeerThatIsDownCantTakeOver) {
    FakeDaemon daemon;
    daemon.on_loop([&] {
        daemon.backend.shown.nodes[1].state = NodeState::down;
        daemon.backend.ready = {said("alpha", 1), said("beta", 1)};  // as it was
        daemon.backend.on_look = [&] { ++daemon.backend.ready.own->round; };
    });
    Ran const r = run({"check-standby", "--socket", daemon.socket()});
    EXPECT_EQ(r.code, 1);
    EXPECT_THAT(r.out, HasSubstr("beta is not up"));
}

}  // namespace
}  // namespace clusterd
