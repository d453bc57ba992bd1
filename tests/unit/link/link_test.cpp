// Links over real sockets on loopback.
#include "clusterd/link/link.hpp"

#include "clusterd/link/address.hpp"
#include "clusterd/wire/heartbeat.hpp"
#include "tests/unit/link/pair.hpp"
#include "tests/unit/link/test_loop.hpp"

#include <fcntl.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::pair_spec;
using test::test_key;
using test::TestLoop;

struct Node {
    Node(TestLoop& loop, Spec const& spec, NodeIndex self, Key const& key = test_key())
        : links(loop, spec, self, key,
                {[this](Heartbeat const& h, int link) { heard.emplace_back(h, link); },
                 [this](Severity, std::string text) { notes.push_back(std::move(text)); }}) {}
    bool noted(std::string const& part) const {
        for (auto const& n : notes)
            if (n.find(part) != std::string::npos) return true;
        return false;
    }
    bool warns(std::string const& part) const {
        for (auto const& w : links.warnings())
            if (w.find(part) != std::string::npos) return true;
        return false;
    }
    std::vector<std::pair<Heartbeat, int>> heard;
    std::vector<std::string> notes;
    Links links;
};

Heartbeat heartbeat_of(NodeIndex from, Incarnation incarnation = 11) {
    Heartbeat h;
    h.from = from;
    h.incarnation = incarnation;
    h.sent = Instant{5};
    h.highest = 3;
    return h;
}

// A socket bound to one end of a link, to play a stranger or the peer's wire.
struct RawSocket {
    explicit RawSocket(LinkSpec const& own) : fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        auto const address = socket_address(own.address, own.port);
        bound = ::bind(fd.get(), address->get(), address->length) == 0;
    }
    void send(std::string const& bytes, LinkSpec const& to) {
        auto const address = socket_address(to.address, to.port);
        EXPECT_EQ(::sendto(fd.get(), bytes.data(), bytes.size(), 0, address->get(), address->length),
                  static_cast<ssize_t>(bytes.size()));
    }
    Fd fd;
    bool bound = false;
};

bool have_ipv6() {
    Fd const fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    auto const a = socket_address("::1", 0);
    return fd && ::bind(fd.get(), a->get(), a->length) == 0;
}

TEST(Links, CarryHeartbeatsBothWaysOnEveryLink) {
    TestLoop loop;
    Spec const spec = pair_spec(have_ipv6());
    Node a(loop, spec, NodeIndex::a), b(loop, spec, NodeIndex::b);
    std::size_t const n = spec.nodes[0].links.size();
    a.links.send(heartbeat_of(NodeIndex::a));
    b.links.send(heartbeat_of(NodeIndex::b, 12));
    ASSERT_TRUE(loop.run_until([&] { return a.heard.size() == n && b.heard.size() == n; }));
    EXPECT_EQ(b.heard[0].first, heartbeat_of(NodeIndex::a));
    EXPECT_EQ(a.heard[0].first, heartbeat_of(NodeIndex::b, 12));
    for (auto const& info : a.links.info()) {
        EXPECT_TRUE(info.up) << info.address;
        EXPECT_TRUE(info.bound);
        EXPECT_EQ(info.counters.sent, 1U);
        EXPECT_EQ(info.counters.received, 1U);
    }
    if (n == 1) GTEST_SKIP() << "no IPv6 on this machine: only IPv4 was tried";
}

TEST(Links, ALinkIsDownWhenNothingWasHeardForTheSuspectTime) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a), b(loop, spec, NodeIndex::b);
    EXPECT_FALSE(a.links.up(0));
    EXPECT_FALSE(a.links.up(7));
    b.links.send(heartbeat_of(NodeIndex::b));
    ASSERT_TRUE(loop.run_until([&] { return a.links.up(0); }));
    Instant const heard = a.links.info()[0].last_heard;
    ASSERT_TRUE(loop.run_until([&] { return !a.links.up(0); }));
    EXPECT_GE(loop.now().mono - heard, spec.timing.suspect);
}

TEST(Links, AReplayedPacketCountsOnce) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a);
    RawSocket peer(spec.nodes[1].links[0]);
    ASSERT_TRUE(peer.bound);
    Key const key = subkey(test_key(), Purpose::heartbeat);
    std::string const first = seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("pair"), 0, 1, key);
    std::string const second = seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("pair"), 0, 2, key);
    for (int i = 0; i < 3; ++i) peer.send(second, spec.nodes[0].links[0]), peer.send(first, spec.nodes[0].links[0]);
    ASSERT_TRUE(loop.run_until([&] { return a.links.info()[0].counters.dropped_replay == 4; }));
    EXPECT_EQ(a.heard.size(), 2U);
    EXPECT_TRUE(a.links.warnings().empty()) << "a few copies are any network's doing";
    for (int i = 0; i < 20; ++i) peer.send(first, spec.nodes[0].links[0]);
    ASSERT_TRUE(loop.run_until([&] { return a.links.info()[0].counters.dropped_replay == 24; }));
    EXPECT_TRUE(a.warns("24 packets were dropped")) << "somebody plays recorded packets";
    EXPECT_EQ(a.heard.size(), 2U);
}

TEST(Links, ANewerFormatIsSaidWithWhatToDo) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a);
    RawSocket peer(spec.nodes[1].links[0]);
    ASSERT_TRUE(peer.bound);
    std::string newer = seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("pair"), 0, 1, subkey(test_key(), Purpose::heartbeat));
    newer[3] = 2;
    newer += "what a later version adds";
    peer.send(newer, spec.nodes[0].links[0]);
    ASSERT_TRUE(loop.run_until([&] { return a.links.info()[0].counters.dropped_bad == 1; }));
    EXPECT_TRUE(a.noted("version 2") && a.noted("install the same clusterd on both nodes"));
    EXPECT_TRUE(a.warns("version 2"));
    EXPECT_TRUE(a.heard.empty());
}

TEST(Links, StrangersForeignersAndMirrorsAreCountedAndDropped) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a);
    RawSocket peer(spec.nodes[1].links[0]);
    RawSocket stranger(LinkSpec{"127.0.0.3", spec.nodes[0].links[0].port});
    ASSERT_TRUE(peer.bound && stranger.bound);
    LinkSpec const& to = spec.nodes[0].links[0];
    Key const key = subkey(test_key(), Purpose::heartbeat);
    std::string const good = seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("pair"), 0, 1, key);
    peer.send(seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("other"), 0, 1, key), to);         // foreign
    peer.send(seal_heartbeat(heartbeat_of(NodeIndex::a), cluster_tag("pair"), 0, 1, key), to);          // own name
    peer.send(seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("pair"), 1, 1, key), to);          // bad: of another link
    peer.send(seal_heartbeat(heartbeat_of(NodeIndex::b), cluster_tag("pair"), 0, 1, test_key(9)), to);  // bad: another key
    peer.send("hello", to);                                                                             // bad
    peer.send("", to);                                                                                  // bad
    peer.send(std::string(5000, 'x'), to);                                                              // bad
    stranger.send(good, to);                                                                            // bad: not from the peer
    ASSERT_TRUE(loop.run_until([&] {
        auto const c = a.links.info()[0].counters;
        return c.dropped_bad == 6 && c.dropped_foreign == 1 && c.dropped_own == 1;
    }));
    EXPECT_TRUE(a.heard.empty());
    EXPECT_FALSE(a.links.up(0));
    EXPECT_TRUE(a.noted("another cluster"));
    EXPECT_TRUE(a.warns("1 packet was dropped: 127.0.0.2") && a.warns("clusters on one network need addresses or ports of their own"));
    EXPECT_TRUE(a.warns("same --node on both nodes"));
    EXPECT_TRUE(a.warns("5 packets were dropped: 127.0.0.2"));
    EXPECT_TRUE(a.warns("1 packet was dropped: 127.0.0.3") && a.warns("expects only its peer"));
    EXPECT_EQ(a.links.warnings().size(), 4U);
    peer.send(good, to);  // and it still works
    ASSERT_TRUE(loop.run_until([&] { return a.heard.size() == 1; }));
}

TEST(Links, AnotherKeyIsNotedOnce) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a), b(loop, spec, NodeIndex::b, test_key(9));
    for (int i = 0; i < 5; ++i) b.links.send(heartbeat_of(NodeIndex::b));
    ASSERT_TRUE(loop.run_until([&] { return a.links.info()[0].counters.dropped_bad == 5; }));
    EXPECT_TRUE(a.noted("same key file"));
    EXPECT_EQ(a.notes.size(), 1U);
    EXPECT_TRUE(a.warns("5 packets were dropped") && a.warns("same key file"));
}

TEST(Links, AWorkerThatRestartsGoesOnWithHigherCounters) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a);
    auto b = std::make_unique<Node>(loop, spec, NodeIndex::b);
    for (int i = 0; i < 3; ++i) b->links.send(heartbeat_of(NodeIndex::b));
    ASSERT_TRUE(loop.run_until([&] { return a.heard.size() == 3; }));
    b.reset();
    b = std::make_unique<Node>(loop, spec, NodeIndex::b);
    b->links.send(heartbeat_of(NodeIndex::b));
    ASSERT_TRUE(loop.run_until([&] { return a.heard.size() == 4; }));
    EXPECT_EQ(a.links.info()[0].counters.dropped_replay, 0U);
}

TEST(Links, AnAddressThatIsNotThereIsSaidOnceAndCountedAndTheOtherLinkWorks) {
    TestLoop loop;
    Spec spec = pair_spec();
    spec.nodes[0].links.insert(spec.nodes[0].links.begin(), LinkSpec{"192.0.2.1", 7780});
    spec.nodes[1].links.insert(spec.nodes[1].links.begin(), LinkSpec{"192.0.2.2", 7780});
    Node a(loop, spec, NodeIndex::a), b(loop, spec, NodeIndex::b);
    for (int i = 0; i < 3; ++i) a.links.send(heartbeat_of(NodeIndex::a));
    ASSERT_TRUE(loop.run_until([&] { return b.heard.size() == 3; }));
    EXPECT_EQ(b.heard[0].second, 1);
    Instant const start = loop.now().mono;
    loop.run_until([&] { return loop.now().mono - start > 1s; });  // several attempts to bind
    EXPECT_EQ(a.notes.size(), 1U);
    EXPECT_TRUE(a.noted("192.0.2.1:7780 can't be used yet: this node doesn't have the address"));
    EXPECT_FALSE(a.links.info()[0].bound);
    EXPECT_EQ(a.links.info()[0].counters.send_errors, 3U);
}

TEST(Links, APortThatGetsFreeIsUsed) {
    TestLoop loop;
    Spec const spec = pair_spec();
    auto taken = std::make_unique<RawSocket>(spec.nodes[0].links[0]);
    ASSERT_TRUE(taken->bound);
    Node a(loop, spec, NodeIndex::a), b(loop, spec, NodeIndex::b);
    EXPECT_TRUE(a.noted("another program has the UDP port"));
    taken.reset();
    ASSERT_TRUE(loop.run_until([&] { return a.links.info()[0].bound; }));
    EXPECT_TRUE(a.noted("is there now"));
    b.links.send(heartbeat_of(NodeIndex::b));
    ASSERT_TRUE(loop.run_until([&] { return a.heard.size() == 1; }));
}

TEST(Links, AnAbsentPeerCostsNothing) {
    TestLoop loop;
    Spec const spec = pair_spec();
    Node a(loop, spec, NodeIndex::a);
    for (int i = 0; i < 10; ++i) a.links.send(heartbeat_of(NodeIndex::a)), loop.run_once(5ms);
    EXPECT_EQ(a.links.info()[0].counters.sent, 10U);
    Node b(loop, spec, NodeIndex::b);
    a.links.send(heartbeat_of(NodeIndex::a));  // the very first one after the peer is there arrives
    ASSERT_TRUE(loop.run_until([&] { return b.heard.size() == 1; }));
}

}  // namespace
}  // namespace clusterd
