// The sync channel over real sockets on loopback: reconnects, big frames, strangers, slow readers, replaced sessions.
#include "clusterd/link/sync_channel.hpp"

#include "clusterd/link/address.hpp"
#include "clusterd/link/session.hpp"
#include "tests/unit/link/pair.hpp"
#include "tests/unit/link/test_loop.hpp"

#include <sodium.h>
#include <deque>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::pair_spec;
using test::test_key;
using test::TestLoop;

struct End {
    End(TestLoop& loop, Spec const& spec, NodeIndex self, Incarnation incarnation, Key const& key = test_key())
        : channel(loop, spec, self, incarnation, key,
                  {[this](Incarnation p) { peers.push_back(p); }, [this](std::string const& why) { downs.push_back(why); },
                   [this](std::string_view f) { frames.emplace_back(f); },
                   [this](Severity, std::string text) { notes.push_back(std::move(text)); },
                   [this](int link) { return link_up(link); }}) {}
    bool noted(std::string const& part) const {
        for (auto const& n : notes)
            if (n.find(part) != std::string::npos) return true;
        return false;
    }
    std::vector<Incarnation> peers;
    std::vector<std::string> downs, frames, notes;
    std::function<bool(int)> link_up = [](int) { return true; };
    SyncChannel channel;
};

class SyncChannelTest : public testing::Test {
protected:
    void connect() {
        a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
        b = std::make_unique<End>(loop, spec, NodeIndex::b, 202);
        ASSERT_TRUE(both_up());
    }
    bool both_up() {
        return loop.run_until([&] { return a->channel.up() && b->channel.up(); });
    }
    // A TCP connection to node a, from `from` (the peer's address, or a stranger's).
    Fd dial(char const* from = "127.0.0.2") {
        Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto const own = socket_address(from, 0), to = socket_address("127.0.0.1", spec.nodes[0].links[0].port);
        EXPECT_EQ(::bind(fd.get(), own->get(), own->length), 0);
        EXPECT_EQ(::connect(fd.get(), to->get(), to->length), 0);
        return fd;
    }
    static void put(Fd const& fd, std::string const& bytes) { (void)!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    bool closed_by_peer(Fd const& fd) {
        return loop.run_until([&] {
            char buffer[4096];
            ssize_t const n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            return n == 0 || (n < 0 && errno == ECONNRESET);
        });
    }

    TestLoop loop;
    Spec spec = pair_spec();
    std::unique_ptr<End> a, b;
};

TEST_F(SyncChannelTest, BothKnowEachOtherAndMessagesArriveInOrder) {
    connect();
    EXPECT_EQ(a->peers, std::vector<Incarnation>{202});
    EXPECT_EQ(b->peers, std::vector<Incarnation>{101});
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(a->channel.send("a" + std::to_string(i)));
        EXPECT_TRUE(b->channel.send("b" + std::to_string(i)));
    }
    ASSERT_TRUE(loop.run_until([&] { return a->frames.size() == 1000 && b->frames.size() == 1000; }));
    for (std::size_t i = 0; i < 1000; ++i) {
        EXPECT_EQ(b->frames[i], "a" + std::to_string(i));
        EXPECT_EQ(a->frames[i], "b" + std::to_string(i));
    }
    EXPECT_EQ(a->channel.info().frames_sent, 1000U);
    EXPECT_EQ(a->channel.info().link, 0);
}

TEST_F(SyncChannelTest, WorksWhicheverStartsFirst) {
    b = std::make_unique<End>(loop, spec, NodeIndex::b, 202);
    ASSERT_TRUE(loop.run_until([&] { return !b->notes.empty(); }));
    EXPECT_TRUE(b->noted("Connection refused"));
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
    ASSERT_TRUE(both_up());
}

TEST_F(SyncChannelTest, BigAndEmptyFramesArriveWhole) {
    connect();
    std::string big(max_sync_frame, '\0');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
    ASSERT_TRUE(a->channel.send(big));
    ASSERT_TRUE(a->channel.send(""));
    ASSERT_TRUE(a->channel.send(big));
    ASSERT_TRUE(loop.run_until([&] { return b->frames.size() == 3; }));
    EXPECT_TRUE(b->frames[0] == big);
    EXPECT_EQ(b->frames[1], "");
    EXPECT_TRUE(b->frames[2] == big);
}

TEST_F(SyncChannelTest, AFrameAboveTheLimitEndsTheSessionAndTheNextOneWorks) {
    connect();
    EXPECT_FALSE(a->channel.send(std::string(max_sync_frame + 1, 'x')));
    EXPECT_FALSE(a->channel.up());
    ASSERT_EQ(a->downs.size(), 1U);
    EXPECT_NE(a->downs[0].find("the limit is"), std::string::npos);
    ASSERT_TRUE(loop.run_until([&] { return a->peers.size() == 2 && b->peers.size() == 2; }));
}

TEST_F(SyncChannelTest, ARestartedPeerIsFoundAgainWithItsNewIncarnation) {
    connect();
    b.reset();
    ASSERT_TRUE(loop.run_until([&] { return !a->channel.up(); }));
    EXPECT_FALSE(a->channel.send("lost"));
    b = std::make_unique<End>(loop, spec, NodeIndex::b, 203);
    ASSERT_TRUE(both_up());
    EXPECT_EQ(a->peers, (std::vector<Incarnation>{202, 203}));
    a.reset();
    ASSERT_TRUE(loop.run_until([&] { return !b->channel.up(); }));
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 102);
    ASSERT_TRUE(both_up());
    EXPECT_EQ(b->peers, (std::vector<Incarnation>{101, 102}));
    EXPECT_TRUE(b->frames.empty());
}

TEST_F(SyncChannelTest, ANewerSessionReplacesTheOldOne) {
    connect();
    // The same node once more, as after a power cut that this end hasn't noticed.
    auto newer = std::make_unique<End>(loop, spec, NodeIndex::b, 303);
    ASSERT_TRUE(loop.run_until([&] { return a->peers.size() == 2 && newer->channel.up(); }));
    EXPECT_EQ(a->peers[1], 303U);
    ASSERT_EQ(a->downs.size(), 1U);
    EXPECT_NE(a->downs[0].find("new session"), std::string::npos);
    b.reset();  // it would come back and replace in turn
    ASSERT_TRUE(loop.run_until([&] { return a->channel.up() && newer->channel.up(); }));
    std::size_t const before = newer->frames.size();
    ASSERT_TRUE(loop.run_until([&] { return a->channel.up() && a->channel.info().peer == 303 && a->channel.send("x"); }));
    ASSERT_TRUE(loop.run_until([&] { return newer->frames.size() > before; }));
}

TEST_F(SyncChannelTest, GarbageIsRefusedAndDisturbsNothing) {
    connect();
    std::deque<Fd> dialled;
    for (std::string const& garbage :
         {std::string("GET / HTTP/1.0\r\n\r\n"), std::string(100000, '\xff'), "CSY1" + std::string(36, 'r'),
          "CSY1" + std::string(32 + 24, 'r') + std::string("\xff\xff\xff\x7f", 4),
          "CSY1" + std::string(32 + 24, 'r') + std::string("\x40\0\0\0", 4) + std::string(64, 'z')}) {
        dialled.push_back(dial());
        put(dialled.back(), garbage);
    }
    dialled.push_back(dial());  // says nothing at all
    std::size_t const strangers = dialled.size();
    for (auto const& fd : dialled) EXPECT_TRUE(closed_by_peer(fd));
    EXPECT_TRUE(loop.run_until([&] { return a->channel.info().refused >= strangers; }));
    EXPECT_TRUE(a->channel.up());
    EXPECT_TRUE(a->downs.empty());
    ASSERT_TRUE(b->channel.send("still here"));
    ASSERT_TRUE(loop.run_until([&] { return a->frames.size() == 1; }));
}

TEST_F(SyncChannelTest, AStrangersAddressIsRefusedAtOnce) {
    connect();
    Fd const fd = dial("127.0.0.3");
    EXPECT_TRUE(closed_by_peer(fd));
    EXPECT_TRUE(a->noted("from 127.0.0.3"));
}

TEST_F(SyncChannelTest, ManySilentConnectionsDoNotKeepThePeerOut) {
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
    std::deque<Fd> dialled;
    for (int i = 0; i < 30; ++i) {
        dialled.push_back(dial());
        loop.run_once(0ns);
    }
    b = std::make_unique<End>(loop, spec, NodeIndex::b, 202);
    ASSERT_TRUE(both_up());
}

TEST_F(SyncChannelTest, AnotherKeyNeverGetsASession) {
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
    b = std::make_unique<End>(loop, spec, NodeIndex::b, 202, test_key(9));
    ASSERT_TRUE(loop.run_until([&] { return a->noted("same key file") || b->noted("same key file"); }));
    EXPECT_TRUE(a->peers.empty() && b->peers.empty());
}

TEST_F(SyncChannelTest, AnotherClusterWithTheSameKeyNeverGetsASession) {
    Spec foreign = spec;
    foreign.cluster = "other";
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
    b = std::make_unique<End>(loop, foreign, NodeIndex::b, 202);
    ASSERT_TRUE(loop.run_until([&] { return a->noted("another cluster") || b->noted("another cluster"); }));
    EXPECT_TRUE(a->peers.empty() && b->peers.empty());
}

// Between the ends sits a man in the middle who forwards, and can change a byte, hold back or repeat.
class Middle {
public:
    Middle(TestLoop& loop, std::uint16_t port)
        : loop_(loop), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        int const one = 1;
        ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        auto const own = socket_address("127.0.0.9", port);
        good = ::bind(listener_.get(), own->get(), own->length) == 0 && ::listen(listener_.get(), 4) == 0;
        to_ = *socket_address("127.0.0.1", port);
        watch_ = loop_.on_readable(listener_.get(), [this] { accept(); });
    }
    bool good = false;
    std::function<void(std::string&)> to_a = [](std::string&) {}, to_b = [](std::string&) {};  // may change what passes
    std::string recorded_to_a;

private:
    void accept() {
        near_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!near_) return;
        far_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto const from = socket_address("127.0.0.2", 0);
        EXPECT_EQ(::bind(far_.get(), from->get(), from->length), 0);
        EXPECT_EQ(::connect(far_.get(), to_.get(), to_.length), 0);
        near_watch_ = loop_.on_readable(near_.get(), [this] { forward(near_, far_, true); });
        far_watch_ = loop_.on_readable(far_.get(), [this] { forward(far_, near_, false); });
    }
    void forward(Fd& from, Fd& to, bool towards_a) {
        std::string buffer(65536, '\0');
        ssize_t const n = ::recv(from.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n <= 0) {
            near_watch_.reset(), far_watch_.reset();
            near_.reset(), far_.reset();
            return;
        }
        buffer.resize(static_cast<std::size_t>(n));
        if (towards_a) recorded_to_a += buffer;
        (towards_a ? to_a : to_b)(buffer);
        (void)!::send(to.get(), buffer.data(), buffer.size(), MSG_NOSIGNAL);
    }
    TestLoop& loop_;
    Fd listener_, near_, far_;
    SocketAddress to_;
    Loop::HandlePtr watch_, near_watch_, far_watch_;
};

class SyncChannelMiddle : public SyncChannelTest {
protected:
    void connect_through() {
        middle = std::make_unique<Middle>(loop, spec.nodes[0].links[0].port);
        ASSERT_TRUE(middle->good);
        Spec through = spec;  // b takes the middle for a
        through.nodes[0].links[0].address = "127.0.0.9";
        a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
        b = std::make_unique<End>(loop, through, NodeIndex::b, 202);
    }
    std::unique_ptr<Middle> middle;
};

TEST_F(SyncChannelMiddle, AChangedByteEndsTheSessionAndNothingWrongIsDelivered) {
    connect_through();
    ASSERT_TRUE(both_up());
    bool armed = true;
    middle->to_a = [&](std::string& bytes) {
        if (armed && bytes.size() > 500) bytes[250] = static_cast<char>(bytes[250] ^ 1), armed = false;
    };
    ASSERT_TRUE(b->channel.send(std::string(1000, 'm')));
    ASSERT_TRUE(loop.run_until([&] { return !a->downs.empty(); }));
    EXPECT_NE(a->downs[0].find("changed on its way"), std::string::npos) << a->downs[0];
    EXPECT_TRUE(a->frames.empty());
    ASSERT_TRUE(loop.run_until([&] { return a->channel.up() && b->channel.up(); }));
}

TEST_F(SyncChannelMiddle, ARecordedSessionCannotBePlayedBack) {
    connect_through();
    ASSERT_TRUE(both_up());
    ASSERT_TRUE(b->channel.send("once"));
    ASSERT_TRUE(loop.run_until([&] { return a->frames.size() == 1; }));
    std::uint64_t const sessions = a->channel.info().sessions;
    Fd const fd = dial();
    put(fd, middle->recorded_to_a);
    EXPECT_TRUE(closed_by_peer(fd));
    EXPECT_EQ(a->channel.info().sessions, sessions);
    EXPECT_EQ(a->frames.size(), 1U);
}

TEST_F(SyncChannelMiddle, ItsOwnWordsMirroredAreRefused) {
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
    Fd const fd = dial();
    bool closed = false;
    ASSERT_TRUE(loop.run_until([&] {
        char buffer[4096];
        ssize_t const n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) put(fd, std::string(buffer, static_cast<std::size_t>(n)));
        closed = n == 0 || (n < 0 && errno == ECONNRESET);
        return closed;
    }));
    EXPECT_EQ(a->channel.info().sessions, 0U);
}

// A peer that keeps its connection but has stopped (frozen): nothing is heard of it any more.
TEST_F(SyncChannelMiddle, ASilentPeerIsGivenUp) {
    connect_through();
    ASSERT_TRUE(both_up());
    middle->to_a = [](std::string& bytes) { bytes.clear(); };
    ASSERT_TRUE(loop.run_until([&] { return !a->downs.empty(); }));
    EXPECT_NE(a->downs[0].find("nothing was heard"), std::string::npos) << a->downs[0];
}

TEST_F(SyncChannelTest, AnIdleSessionStays) {
    connect();
    Instant const start = loop.now().mono;
    loop.run_until([&] { return loop.now().mono - start > 4s; });  // well above every limit
    EXPECT_TRUE(a->downs.empty() && b->downs.empty());
    EXPECT_TRUE(a->channel.up() && b->channel.up());
}

// A slow reader: it takes part in the handshake, then reads no more. What waits for it is bounded, and it is given up.
TEST_F(SyncChannelTest, AReaderThatStopsIsGivenUpAndMemoryIsBounded) {
    auto other_loop = std::make_unique<TestLoop>();
    a = std::make_unique<End>(loop, spec, NodeIndex::a, 101);
    End slow(*other_loop, spec, NodeIndex::b, 202);
    ASSERT_TRUE(loop.run_until([&] {
        other_loop->run_once(0ns);
        return a->channel.up() && slow.channel.up();
    }));
    std::string const chunk(1 << 20, 'c');
    std::size_t sent = 0;
    while (sent < 200 && a->channel.send(chunk)) ++sent, loop.run_once(0ns);
    EXPECT_LT(sent, 60U);  // 24 MiB of ours and what the kernel's buffers take
    ASSERT_TRUE(loop.run_until([&] { return !a->downs.empty(); }));
    // It reads again: a new session comes, and what was sent before isn't mixed into it.
    ASSERT_TRUE(loop.run_until([&] {
        other_loop->run_once(0ns);
        return a->peers.size() >= 2 && a->channel.up() && slow.channel.up() && slow.peers.size() >= 2;
    }));
    slow.frames.clear();
    ASSERT_TRUE(a->channel.send("fresh"));
    ASSERT_TRUE(loop.run_until([&] {
        other_loop->run_once(0ns);
        return !slow.frames.empty();
    }));
    EXPECT_EQ(slow.frames[0], "fresh");
}

TEST_F(SyncChannelTest, ASlowReaderThatKeepsReadingGetsEverything) {
    connect();
    std::string const chunk(1 << 20, 'c');
    std::size_t sent = 0;
    ASSERT_TRUE(loop.run_until([&] {
        if (sent < 100 && sent < b->frames.size() + 8 && a->channel.send(chunk)) ++sent;
        return b->frames.size() == 100;
    }));
    EXPECT_TRUE(a->downs.empty());
}

TEST_F(SyncChannelTest, ADeadLinkIsLeftForOneThatWorks) {
    // The first link's peer address answers nothing (a listener that is never there); the second one works.
    std::uint16_t const port = test::free_port();
    Spec two = spec;
    two.nodes[0].links.insert(two.nodes[0].links.begin(), LinkSpec{"127.0.0.21", port});
    two.nodes[1].links.insert(two.nodes[1].links.begin(), LinkSpec{"127.0.0.22", port});
    Spec as_a = two;
    as_a.nodes[0].links[0].address = "192.0.2.1";  // a doesn't have that address
    a = std::make_unique<End>(loop, as_a, NodeIndex::a, 101);
    b = std::make_unique<End>(loop, two, NodeIndex::b, 202);
    b->link_up = [](int) { return true; };
    ASSERT_TRUE(both_up());
    EXPECT_EQ(b->channel.info().link, 1);
}

}  // namespace
}  // namespace clusterd
