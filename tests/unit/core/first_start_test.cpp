// The first start of a cluster: two blank stores and a fresh disk. Two whole nodes, simulated.
#include "tests/unit/core/pair.hpp"

#include <gtest/gtest.h>

namespace {

using namespace clusterd;
using namespace clusterd::sim;

// Found by the simulator (seed 885): one failed read at the wrong moment, and the cluster went without its third vote for ever.
TEST(FirstStart, ADiskThatFailsJustThenIsStillAVoteOnceItAnswers) {
    Cluster c({config(), 1});
    c.power_on(a);
    c.power_on(b);
    while (c.now < 10 * s && c.machine(a).resume.role != Role::joined) c.run_until(c.now + ms / 10);
    ASSERT_EQ(c.machine(a).resume.role, Role::joined);
    ASSERT_EQ(c.machine(a).node->decision(), nullptr) << "else this shows nothing";
    c.disk_fails(a, true);
    c.run_until(c.now + 3 * s);
    c.disk_fails(a, false);
    c.run_until(c.now + 10 * s);
    DecisionPtr const d = c.machine(a).node->decision();
    ASSERT_NE(d, nullptr);
    EXPECT_EQ(d->stores[2], c.disk.id);
    EXPECT_EQ(d->cluster, c.disk.cluster);
    c.power_cut(a);
    c.run_until(c.now + 5 * s);
    EXPECT_EQ(c.machine(b).resume.role, Role::alone);
}

}  // namespace
