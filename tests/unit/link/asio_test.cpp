// The rooms on the worker's real loop instead of the tests' own: watches and timers end within their own callbacks there, too.
#include "clusterd/link/link.hpp"
#include "clusterd/link/networks.hpp"
#include "clusterd/link/replica.hpp"
#include "clusterd/shell/loop_asio.hpp"
#include "tests/unit/link/pair.hpp"

#include <gtest/gtest.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;

// Runs `loop` until `done`; false: not within 20 s.
bool run_until(AsioLoop& loop, std::function<bool()> const& done) {
    Instant const end = loop.now().mono + 20s;
    bool in_time = true;
    Loop::HandlePtr timer;
    std::function<void()> look = [&] {
        in_time = loop.now().mono < end;
        if (done() || !in_time) return loop.stop();
        timer = loop.at(loop.now().mono + 5ms, look);
    };
    timer = loop.at(loop.now().mono, look);
    loop.run();
    return in_time;
}

TEST(OnTheRealLoop, EverythingOfTheRoomWorksTogether) {
    auto const loop = make_loop();
    Spec const spec = test::pair_spec();
    std::array<std::unique_ptr<Links>, 2> links;
    std::array<std::unique_ptr<Replica>, 2> replicas;
    std::array<int, 2> heartbeats{}, ups{}, downs{};
    std::array<std::size_t, 2> bytes{};
    int well = -1;
    auto const make = [&](NodeIndex self) {
        std::size_t const i = at(self);
        links[i] = std::make_unique<Links>(*loop, spec, self, test::test_key(),
                                           Links::Callbacks{[&heartbeats, i](Heartbeat const&, int) { ++heartbeats[i]; }, nullptr});
        Replica::Callbacks c;
        c.up = [&ups, i](Incarnation) { ++ups[i]; };
        c.down = [&downs, i](std::string const&) { ++downs[i]; };
        c.message = [](SyncMessage) {};
        c.aux = [&bytes, i](std::string f) { bytes[i] += f.size(); };
        c.known = [](Hash const&) -> ConfigPtr { return nullptr; };
        c.parse = [](std::string const&) -> Result<ConfigPtr> { return Error{"not asked for here"}; };
        replicas[i] = std::make_unique<Replica>(*loop, spec, self, 1 + i, test::test_key(), std::move(c));
    };
    make(NodeIndex::b);
    Networks const networks(*loop, {NetworkSpec{"net", "lo", {}}}, {[&](int, bool w, std::string) { well = w; }, nullptr});
    make(NodeIndex::a);
    Heartbeat h;
    h.from = NodeIndex::b;
    h.incarnation = 2;
    links[1]->send(h);
    ASSERT_TRUE(run_until(*loop, [&] { return heartbeats[0] == 1 && ups[0] == 1 && ups[1] == 1 && well == 1; }));
}

TEST(OnTheRealLoop, BigFramesAndReconnects) {
    auto const loop = make_loop();
    Spec const spec = test::pair_spec();
    std::array<std::unique_ptr<SyncChannel>, 2> ends;
    std::array<std::size_t, 2> bytes{};
    auto const make = [&](NodeIndex self, Incarnation incarnation) {
        std::size_t const i = at(self);
        ends[i] = std::make_unique<SyncChannel>(
            *loop, spec, self, incarnation, test::test_key(),
            SyncChannel::Callbacks{[](Incarnation) {}, [](std::string const&) {},
                                   [&bytes, i](std::string_view f) { bytes[i] += f.size(); }, nullptr, nullptr});
    };
    make(NodeIndex::a, 1);
    for (Incarnation b = 10; b < 13; ++b) {
        make(NodeIndex::b, b);
        ASSERT_TRUE(run_until(*loop, [&] { return ends[0]->up() && ends[1]->up() && ends[0]->info().peer == b; }));
        bytes = {};
        constexpr std::size_t size = 4 << 20;
        for (int i = 0; i < 4; ++i) ASSERT_TRUE(ends[0]->send(std::string(size, 'a')) && ends[1]->send(std::string(size, 'b')));
        ASSERT_TRUE(run_until(*loop, [&] { return bytes[0] == 4 * size && bytes[1] == 4 * size; }));
    }
}

}  // namespace
}  // namespace clusterd
