// Links and sync channel on real cables between two namespaces: what loopback can't show.
#include "tests/unit/link/cables.hpp"
#include "clusterd/link/link.hpp"
#include "clusterd/link/sync_channel.hpp"
#include "tests/unit/link/pair.hpp"
#include "tests/unit/link/test_loop.hpp"

#include <algorithm>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::Cables;
using test::test_key;
using test::TestLoop;

class OnCables : public testing::Test {
protected:
    void SetUp() override {
        if (!cables.good()) GTEST_SKIP() << "needs root and network namespaces: cut cables were NOT tried";
        ASSERT_TRUE(cables.plug("v1", 1));
        ASSERT_TRUE(cables.plug("v2", 2));
        spec.cluster = "pair";
        spec.timing.heartbeat = 20ms;
        spec.timing.suspect = 200ms;
        for (int i = 0; i < 2; ++i) {
            std::string const end = std::to_string(i + 1);
            spec.nodes[static_cast<std::size_t>(i)].links = {{"10.1.0." + end, 7780}, {"fd00:2::" + end, 7780}};
        }
    }
    static Heartbeat heartbeat_of(NodeIndex from, std::int64_t sent = 1) {
        Heartbeat h;
        h.from = from;
        h.incarnation = 5;
        h.sent = Instant{sent};
        return h;
    }
    Cables cables;
    TestLoop loop;
    Spec spec;
};

TEST_F(OnCables, HeartbeatsOfTheTimeWithoutAPeerDoNotComeInABurst) {
    std::vector<std::int64_t> heard;  // on the first link
    std::size_t heard_on_second = 0;
    Links a(loop, spec, NodeIndex::a, test_key(), {[](Heartbeat const&, int) {}, nullptr});
    std::unique_ptr<Links> b;
    cables.at_peer([&] {
        b = std::make_unique<Links>(loop, spec, NodeIndex::b, test_key(),
                                    Links::Callbacks{[&](Heartbeat const& h, int link) {
                                                         if (link == 0)
                                                             heard.push_back(h.sent.ns);
                                                         else
                                                             ++heard_on_second;
                                                     },
                                                     nullptr});
    });
    ASSERT_TRUE(loop.run_until([&] {
        a.send(heartbeat_of(NodeIndex::a, 0));
        loop.run_for(10ms);
        return !heard.empty() && heard_on_second > 0;
    }));
    loop.run_for(100ms);
    std::size_t const before = heard.size();
    auto const errors_before = a.info()[1].counters.send_errors;
    // The neighbour's hardware address gets unknown while nobody answers for it: packets wait for it in the kernel.
    ASSERT_TRUE(cables.at_peer("ip link set v1 arp off") && cables.run("ip neigh flush dev v1"));
    constexpr std::int64_t during = 60;
    for (std::int64_t i = 1; i <= during; ++i) a.send(heartbeat_of(NodeIndex::a, i)), loop.run_for(10ms);
    ASSERT_EQ(heard.size(), before);
    EXPECT_GT(a.info()[0].counters.send_errors, 30U);
    EXPECT_EQ(a.info()[1].counters.send_errors, errors_before);  // the other link doesn't suffer
    ASSERT_TRUE(cables.at_peer("ip link set v1 arp on"));
    std::int64_t number = during;
    ASSERT_TRUE(loop.run_until([&] {
        a.send(heartbeat_of(NodeIndex::a, ++number));
        loop.run_for(10ms);
        return heard.back() > during;
    }));
    auto const old =
        std::count_if(heard.begin() + static_cast<std::ptrdiff_t>(before), heard.end(), [](std::int64_t n) { return n <= during; });
    EXPECT_LE(old, 10);
}

TEST_F(OnCables, ALinkWhoseAddressComesLaterIsUsed) {
    ASSERT_TRUE(cables.run("ip addr del 10.1.0.1/24 dev v1"));
    std::vector<std::string> notes;
    int heard = 0;
    Links a(loop, spec, NodeIndex::a, test_key(),
            {[&](Heartbeat const&, int link) { heard += link == 0; },
             [&](Severity, std::string text) { notes.push_back(std::move(text)); }});
    std::unique_ptr<Links> b;
    cables.at_peer([&] {
        b = std::make_unique<Links>(loop, spec, NodeIndex::b, test_key(), Links::Callbacks{[](Heartbeat const&, int) {}, nullptr});
    });
    EXPECT_EQ(notes.size(), 1U);
    EXPECT_FALSE(a.info()[0].bound);
    ASSERT_TRUE(cables.run("ip addr add 10.1.0.1/24 dev v1"));
    ASSERT_TRUE(loop.run_until([&] {
        b->send(heartbeat_of(NodeIndex::b));
        loop.run_for(20ms);
        return heard > 0;
    }));
    EXPECT_TRUE(a.info()[0].bound);
    // Taken away and given back: the socket lives through it.
    ASSERT_TRUE(cables.run("ip addr del 10.1.0.1/24 dev v1 && ip addr add 10.1.0.1/24 dev v1"));
    int const before = heard;
    ASSERT_TRUE(loop.run_until([&] {
        b->send(heartbeat_of(NodeIndex::b));
        a.send(heartbeat_of(NodeIndex::a));
        loop.run_for(20ms);
        return heard > before && b->up(0);
    }));
}

TEST_F(OnCables, ACutCableMovesTheSyncSessionToTheOtherLink) {
    struct End {
        int ups = 0;
        std::vector<std::string> downs, frames;
        std::unique_ptr<SyncChannel> channel;
    } a, b;
    auto const make = [&](End& end, NodeIndex self) {
        end.channel = std::make_unique<SyncChannel>(
            loop, spec, self, 1 + at(self), test_key(),
            SyncChannel::Callbacks{[&end](Incarnation) { ++end.ups; }, [&end](std::string const& why) { end.downs.push_back(why); },
                                   [&end](std::string_view f) { end.frames.emplace_back(f); }, nullptr, nullptr});
    };
    // b is this side: it connects again and again, and new sockets are made where the thread is.
    std::swap(spec.nodes[0].links, spec.nodes[1].links);
    cables.at_peer([&] { make(a, NodeIndex::a); });
    make(b, NodeIndex::b);
    ASSERT_TRUE(loop.run_until([&] { return a.channel->up() && b.channel->up(); }));
    int const link = b.channel->info().link;
    ASSERT_TRUE(cables.run(link == 0 ? "ip link set v1 down" : "ip link set v2 down"));
    Instant const cut = loop.now().mono;
    ASSERT_TRUE(b.channel->send("lost or not"));
    ASSERT_TRUE(loop.run_until([&] { return b.ups == 2 && a.ups == 2 && a.channel->up() && b.channel->up(); }));
    EXPECT_EQ(b.channel->info().link, 1 - link);
    EXPECT_LT(loop.now().mono - cut, 10s);
    ASSERT_TRUE(b.channel->send("over the other one"));
    ASSERT_TRUE(loop.run_until([&] { return !a.frames.empty() && a.frames.back() == "over the other one"; }));
}

}  // namespace
}  // namespace clusterd
