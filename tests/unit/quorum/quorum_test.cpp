// The quorum disk as the daemon uses it: events come back, hangs are seen, and nothing here ever blocks.
#include "clusterd/quorum/quorum.hpp"

#include "tests/unit/quorum/queue_loop.hpp"
#include "tests/unit/quorum/support.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

using namespace clusterd;
using namespace clusterd::test;
using testing::HasSubstr;

namespace {

struct Disk : testing::Test {
    TempDir dir;
    std::string path = dir / "disk";
    DiskHeader header = make_disk(path);
    std::shared_ptr<Faults> faults = std::make_shared<Faults>();
    QueueLoop loop;
    std::vector<Event> events;

    QuorumDisk::Options options(NodeIndex self = NodeIndex::a) {
        QuorumDisk::Options o;
        o.path = path;
        o.cluster = "shop";
        o.self = self;
        o.key = key_of(7);
        o.lock_dir = dir / (self == NodeIndex::a ? "node-a" : "node-b");
        std::filesystem::create_directories(o.lock_dir);
        o.parse_config = parse;
        o.on_event = [this](Event e) { events.push_back(std::move(e)); };
        o.opener = faulty(faults);
        return o;
    }
    ~Disk() override { faults->set_hang(false); }

    template <class T>
    T next() {
        std::size_t const had = events.size();
        EXPECT_TRUE(loop.run_until([&] { return events.size() > had; })) << "no answer";
        if (events.size() == had || !std::holds_alternative<T>(events.back())) {
            ADD_FAILURE() << "another event, or none";
            return T{};
        }
        return std::get<T>(events.back());
    }
};

}  // namespace

TEST_F(Disk, EveryRequestIsAnsweredByItsEvent) {
    QuorumDisk a(options(), loop);
    a.read(1);
    auto const read = next<event::DiskReadDone>();
    EXPECT_TRUE(read.ok) << read.error;
    EXPECT_EQ(read.id, 1u);
    EXPECT_EQ(read.disk, header.disk);
    EXPECT_EQ(read.cluster, header.uuid);
    Instant const before = boottime_now();
    a.cycle(2, slot_of(1, 1));
    auto const cycle = next<event::CycleDone>();
    EXPECT_TRUE(cycle.ok) << cycle.error;
    EXPECT_EQ(cycle.id, 2u);
    EXPECT_GE(cycle.started, before);
    a.store_decision(3, decision_of({3, 1}, config_of("<one/>")), 1);
    auto const stored = next<event::DiskDecisionStored>();
    EXPECT_TRUE(stored.ok) << stored.error;
    EXPECT_EQ(stored.area, 1);
    Slot named = slot_of(1, 2);
    named.newest = {3, 1};
    named.area = 1;
    a.cycle(4, named);
    ASSERT_TRUE(next<event::CycleDone>().ok);
    a.load_decisions(5);
    auto const loaded = next<event::DiskDecisionsLoaded>();
    EXPECT_TRUE(loaded.ok) << loaded.error;
    ASSERT_TRUE(loaded.newest);
    EXPECT_EQ(loaded.newest->id, (DecisionId{3, 1}));
    EXPECT_EQ(a.health().state, QuorumState::ok);
    EXPECT_EQ(a.latency().count, 2u);
    EXPECT_GT(a.latency().p99, Duration{});
    EXPECT_EQ(a.read_latency().count, 1u);
}

TEST_F(Disk, TwoNodesSeeEachOther) {
    QuorumDisk a(options(NodeIndex::a), loop), b(options(NodeIndex::b), loop);
    a.cycle(1, slot_of(1, 1, Role::alone, 3));
    ASSERT_TRUE(next<event::CycleDone>().ok);
    b.cycle(1, slot_of(2, 1));
    EXPECT_EQ(next<event::CycleDone>().peer, slot_of(1, 1, Role::alone, 3));
}

TEST_F(Disk, AHangIsSeenAndBlocksNobody) {
    QuorumDisk a(options(), loop);
    a.read(1);
    ASSERT_TRUE(next<event::DiskReadDone>().ok);
    faults->set_hang(true);
    a.cycle(2, slot_of(1, 1));
    ASSERT_TRUE(faults->wait_for_hang());
    EXPECT_TRUE(loop.run_until([&] { return a.health().state == QuorumState::failed; }));
    EXPECT_THAT(a.health().message, HasSubstr("hasn't answered for"));
    EXPECT_TRUE(a.health().in_flight.has_value());
    EXPECT_EQ(events.size(), 1u) << "no answer is made up";
    faults->set_hang(false);
    auto const late = next<event::CycleDone>();
    EXPECT_TRUE(late.ok);
    EXPECT_GE(boottime_now() - late.started, std::chrono::milliseconds(1000)) << "the core can tell how old the write is";
    EXPECT_TRUE(loop.run_until([&] { return a.health().state != QuorumState::failed; }));  // the answer is told before its thread is idle
}

TEST_F(Disk, DestroyedWhileItHangsItEndsAtOnceAndSaysNothingMore) {
    auto a = std::make_unique<QuorumDisk>(options(), loop);
    a->read(1);
    ASSERT_TRUE(next<event::DiskReadDone>().ok);
    faults->set_hang(true);
    a->cycle(2, slot_of(1, 1));
    ASSERT_TRUE(faults->wait_for_hang());
    auto const began = std::chrono::steady_clock::now();
    a.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));

    QuorumDisk next_incarnation(options(), loop);
    next_incarnation.read(3);
    auto const waits = next<event::DiskReadDone>();
    EXPECT_FALSE(waits.ok) << "the old thread may still write";
    EXPECT_THAT(waits.error, HasSubstr("older clusterd-worker"));
    faults->set_hang(false);
    bool ok = false;
    EXPECT_TRUE(loop.run_until([&] {
        next_incarnation.read(4);
        ok = next<event::DiskReadDone>().ok;
        return ok;
    }));
    for (auto const& e : events) EXPECT_FALSE(std::holds_alternative<event::CycleDone>(e)) << "an answer to one that is gone";
}

TEST_F(Disk, TheLockOfAnOlderWorkerIsWaitedFor) {
    auto const o = options();
    int const held = ::open((o.lock_dir + "/quorum.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::flock(held, LOCK_EX), 0);
    QuorumDisk a(o, loop);
    a.cycle(1, slot_of(1, 1));
    EXPECT_FALSE(next<event::CycleDone>().ok);
    EXPECT_EQ(faults->opens, 0) << "not even opened";
    ::close(held);
    bool ok = false;
    std::uint64_t beat = 1;
    EXPECT_TRUE(loop.run_until([&] {
        a.cycle(2, slot_of(1, ++beat));
        ok = next<event::CycleDone>().ok;
        return ok;
    }));
}

TEST_F(Disk, TheStateSaysWhatIsWrong) {
    std::string const there = path;
    path = dir / "later";
    QuorumDisk a(options(), loop);
    a.read(1);
    EXPECT_FALSE(next<event::DiskReadDone>().ok);
    EXPECT_EQ(a.health().state, QuorumState::failed);
    std::ofstream(path) << std::string(min_disk_bytes, '\0');
    EXPECT_TRUE(loop.run_until([&] {
        a.read(2);
        EXPECT_FALSE(next<event::DiskReadDone>().ok);
        return a.health().state == QuorumState::uninitialised;
    }));
    EXPECT_THAT(a.health().message, HasSubstr("clusterctl quorum init"));
    make_disk(path);
    bool ok = false;
    EXPECT_TRUE(loop.run_until([&] {
        a.read(3);
        ok = next<event::DiskReadDone>().ok;
        return ok;
    })) << "it is used without a restart";
    EXPECT_EQ(a.health().state, QuorumState::ok);
}

TEST_F(Disk, AMissingDiskIsNotOpenedAllTheTime) {
    path = dir / "none";
    QuorumDisk a(options(), loop);
    for (std::uint64_t i = 0; i < 50; ++i) {
        a.read(i);
        EXPECT_FALSE(next<event::DiskReadDone>().ok);
    }
    EXPECT_LE(faults->opens, 25);
}

TEST_F(Disk, AnotherClustersUuidIsRefusedAsSoonAsItIsKnown) {
    QuorumDisk a(options(), loop);
    a.read(1);
    ASSERT_TRUE(next<event::DiskReadDone>().ok);
    a.set_expected_uuid({9});
    a.read(2);
    EXPECT_THAT(next<event::DiskReadDone>().error, HasSubstr("another cluster of the same name"));
    a.set_expected_uuid(header.uuid);
    EXPECT_TRUE(loop.run_until([&] {
        a.read(3);
        return next<event::DiskReadDone>().ok;
    }));
}
