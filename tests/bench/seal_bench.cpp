// What a heartbeat costs: sealing and opening a packet, and the pair of both. Not part of the tests; links wire and benchmark.
#include "clusterd/wire/heartbeat.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace clusterd;

Heartbeat sample() {
    Heartbeat h;
    h.incarnation = 0x1234567890abcdef;
    h.role = Role::joined;
    return h;
}

void seal(benchmark::State& state) {
    Key const key = subkey(Key{}, Purpose::heartbeat);
    ClusterTag const tag = cluster_tag("bench");
    Heartbeat const h = sample();
    std::uint64_t counter = 0;
    for (auto _ : state) benchmark::DoNotOptimize(seal_heartbeat(h, tag, 0, ++counter, key));
}
BENCHMARK(seal);

void open(benchmark::State& state) {
    Key const key = subkey(Key{}, Purpose::heartbeat);
    std::string const packet = seal_heartbeat(sample(), cluster_tag("bench"), 0, 1, key);
    for (auto _ : state) benchmark::DoNotOptimize(open_heartbeat(packet, key));
}
BENCHMARK(open);

void refuse(benchmark::State& state) {
    Key const key = subkey(Key{}, Purpose::heartbeat);
    std::string packet = seal_heartbeat(sample(), cluster_tag("bench"), 0, 1, key);
    packet.back() = static_cast<char>(packet.back() ^ 1);
    for (auto _ : state) benchmark::DoNotOptimize(open_heartbeat(packet, key));
}
BENCHMARK(refuse);

}  // namespace

BENCHMARK_MAIN();
