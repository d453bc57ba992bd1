// sim_run: seeded runs of two simulated nodes and a quorum disk, each step checked against protocol.md's invariants.
//
//   sim_run [--seeds N] [--from S] [--minutes M] [--jobs J] [--seconds LIMIT] [--no-shrink] [--no-probes] [--verbose] [--write-trace FILE]
//   sim_run --replay FILE-OR-FOLDER
//
// Prints what was covered. A seed that breaks an invariant is shrunk and told; exit 1. Exit 2: usage, or a probe never hit.
#include "tests/sim/scenario.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

namespace {

using namespace clusterd::sim;

struct Options {
    std::uint64_t seeds = 200, from = 1;
    double minutes = 10;
    unsigned jobs = 1;
    double seconds = 0;  // stop drawing new seeds after this; 0 = no limit
    bool verbose = false, shrink = true, probes = true;
    std::string write_trace, replay;
};

// Cases so rare or so important that a run of many seeds which never met them proves nothing.
char const* const must_happen[] = {"takeover by time", "takeover by stop mark", "takeover past a slot that says alone", "offer taken while alone",
                                   "offer replaced by a higher one", "two claims at once", "alone past a retired or quiet slot",
                                   "worker goes on as the same incarnation", "goes on while alone", "goes on while joined",
                                   "joined while a disk request is under way", "the less fit node waits with its term stored",
                                   "guard stops for a dead or frozen worker", "dead process's write landed late", "decision committed alone",
                                   "decision committed joined", "liveness reached", "command done", "failover recorded", "stop mark written", "killed in vain", "abstains",
                                   "emergency stop not proven", "something can't be stopped for ever",
                                   // each fault, and each of the planner's checks, did something
                                   "a heartbeat came after a later one", "the disk lost a write", "a slot was torn", "a wall clock was set back",
                                   "a wall clock was set forward", "a health agent hung", "a health agent said ok of a dead resource",
                                   "a health agent said failed of a well resource", "a start hung", "a stop hung", "a resource died unseen",
                                   "a worker was upgraded", "both were upgraded, one after the other", "a failover by failure",
                                   "the failover limit was used up", "a paused node was passed over", "a configuration was taken back unconfirmed", "an operator's last word was looked at"};

[[noreturn]] void usage() {
    std::fprintf(stderr, "usage: sim_run [--seeds N] [--from S] [--minutes M] [--jobs J] [--seconds LIMIT] [--no-shrink] [--no-probes] [--verbose] "
                         "[--write-trace FILE]\n       sim_run --replay FILE-OR-FOLDER\n");
    std::exit(2);
}

Options parse(int count, char** words) {
    Options o;
    for (int i = 1; i < count; ++i) {
        std::string const word = words[i];
        if (word == "--verbose") o.verbose = true;
        else if (word == "--no-shrink") o.shrink = false;
        else if (word == "--no-probes") o.probes = false;
        else if (i + 1 >= count) usage();
        else if (word == "--seeds") o.seeds = std::strtoull(words[++i], nullptr, 10);
        else if (word == "--from") o.from = std::strtoull(words[++i], nullptr, 10);
        else if (word == "--minutes") o.minutes = std::strtod(words[++i], nullptr);
        else if (word == "--jobs") o.jobs = static_cast<unsigned>(std::strtoul(words[++i], nullptr, 10));
        else if (word == "--write-trace") o.write_trace = words[++i];
        else if (word == "--replay") o.replay = words[++i];
        else if (word == "--seconds") o.seconds = std::strtod(words[++i], nullptr);
        else usage();
    }
    if (o.seeds == 0 || o.jobs == 0 || o.minutes <= 0) usage();
    return o;
}

void tell_failure(Scenario const& scenario, Result const& failure, Options const& o) {
    std::printf("seed %llu: invariant %s\n", static_cast<unsigned long long>(scenario.seed), failure.what.c_str());
    std::fflush(stdout);
    Scenario const small = o.shrink ? shrink(scenario, failure, 150) : scenario;
    Result const again = run(small, true);
    std::printf("  timing %s, seed %llu, %zu of %zu faults are enough:\n", small.setup.config->spec.timing.profile.c_str(),
                static_cast<unsigned long long>(small.seed), small.faults.size(), scenario.faults.size());
    if (small.faults.size() <= 40)
        for (auto const& f : small.faults) std::printf("    %s\n", describe(f).c_str());
    for (auto const& line : again.log) std::printf("  %s\n", line.c_str());
    std::printf("  => %s\nagain: sim_run --from %llu --seeds 1 --minutes %g\n", again.what.c_str(), static_cast<unsigned long long>(small.seed), o.minutes);
    if (o.write_trace.empty()) return;
    write_trace(o.write_trace, small, again);
    std::printf("written to %s: once it holds, keep it in tests/traces/seeds\n", o.write_trace.c_str());
}

// Recorded runs: each has to hold. Exit 2: one can't be played.
int replay(std::string const& where) {
    namespace fs = std::filesystem;
    std::vector<std::string> files;
    if (!fs::is_directory(where)) files.push_back(where);
    else
        for (auto const& f : fs::directory_iterator(where))
            if (f.path().extension() == ".txt") files.push_back(f.path().string());
    std::sort(files.begin(), files.end());
    int worst = files.empty() ? 2 : 0;
    if (files.empty()) std::printf("no trace (*.txt) in %s\n", where.c_str());
    for (auto const& file : files) {
        try {
            Scenario const scenario = read_trace(file);
            Result const result = run(scenario, true);
            std::printf("%s: %llu steps, %s\n", file.c_str(), static_cast<unsigned long long>(result.steps), result.failed ? "FAILED" : "holds");
            if (!result.failed) continue;
            for (auto const& line : result.log) std::printf("  %s\n", line.c_str());
            std::printf("  => %s\n", result.what.c_str());
            worst = std::max(worst, 1);
        } catch (std::exception const& e) {
            std::printf("%s\n", e.what());
            worst = 2;
        }
    }
    return worst;
}

}  // namespace

int main(int count, char** words) {
    Options const o = parse(count, words);
    if (!o.replay.empty()) return replay(o.replay);
    auto const start = std::chrono::steady_clock::now();
    auto const elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
    std::printf("seeds %llu to %llu, %g simulated minutes each\n", static_cast<unsigned long long>(o.from),
                static_cast<unsigned long long>(o.from + o.seeds - 1), o.minutes);
    std::fflush(stdout);
    std::atomic<std::uint64_t> next{o.from}, done{0}, steps{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::map<std::string_view, std::uint64_t> probes;
    double simulated = 0;
    auto const work = [&] {
        while (!failed && (o.seconds <= 0 || elapsed() < o.seconds)) {
            std::uint64_t const seed = next++;
            if (seed >= o.from + o.seeds) return;
            Scenario const scenario = draw_scenario(seed, o.minutes);
            Result const result = run(scenario, false);
            std::lock_guard const lock(mutex);
            ++done;
            steps += result.steps;
            simulated += static_cast<double>(result.simulated) / 3.6e12;
            for (auto const& [name, times] : result.probes) probes[name] += times;
            if (o.verbose)
                std::printf("seed %llu: %llu steps, digest %016llx%s\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(result.steps),
                            static_cast<unsigned long long>(result.digest), result.failed ? " FAILED" : "");
            if (result.failed && !failed.exchange(true)) tell_failure(scenario, result, o);
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < o.jobs; ++i) threads.emplace_back(work);
    work();
    for (auto& t : threads) t.join();
    std::printf("%llu seeds, %.1f simulated hours, %.1f M steps, %.0f steps/s, %.1f s\n", static_cast<unsigned long long>(done.load()), simulated,
                static_cast<double>(steps.load()) / 1e6, static_cast<double>(steps.load()) / elapsed(), elapsed());
    for (auto const& [name, times] : probes) std::printf("  %-48.*s %llu\n", static_cast<int>(name.size()), name.data(), static_cast<unsigned long long>(times));
    if (failed) return 1;
    bool missed = false;
    for (auto const* probe : must_happen) {
        if (!o.probes || o.seeds < 100 || probes.contains(probe)) continue;
        std::printf("never happened: %s\n", probe);
        missed = true;
    }
    return missed ? 2 : 0;
}
