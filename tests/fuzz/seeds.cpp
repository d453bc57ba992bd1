// Writes one valid input (or a few) per binary format into FOLDER/NAME/, so that fuzzing and the replay start inside it. Run by hand
// after a format's version changed: ninja -C build/release fuzz_seeds && build/release/bin/fuzz_seeds tests/fuzz/seeds
// The seeds of text formats are written by hand. Nothing random goes in, so an unchanged format gives unchanged files.
#include "clusterd/store/record.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/decision.hpp"
#include "clusterd/wire/disk.hpp"
#include "clusterd/wire/heartbeat.hpp"
#include "clusterd/wire/host_message.hpp"
#include "clusterd/wire/report.hpp"
#include "clusterd/wire/seal.hpp"
#include "clusterd/wire/status.hpp"
#include "clusterd/wire/sync.hpp"
#include "tests/unit/wire/samples.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace clusterd;

namespace {

std::filesystem::path folder;

void seed(std::string const& target, std::string const& name, std::string_view bytes) {
    std::filesystem::create_directories(folder / target);
    std::ofstream out(folder / target / name, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) std::fprintf(stderr, "fuzz_seeds: %s can't be written\n", (folder / target / name).c_str()), std::exit(1);
}

// The fields alone: the target seals them. Role joined, no flags, then numbers that differ.
void heartbeats() {
    std::string body;
    body += '\x02';
    body += '\x03';
    for (int i = 0; i < 129; ++i) body += static_cast<char>(i < 16 ? 0 : i);
    seed("heartbeat", "fields-joined", body);
    std::string header = "CHB\x01";
    ClusterTag const tag = cluster_tag("fuzz");
    header.append(reinterpret_cast<char const*>(tag.data()), tag.size());
    header += std::string("\x01\0", 2) + std::string(16, '\x07') + std::string(24 + body.size() + 16, '\x55');
    seed("heartbeat", "packet-of-another-key", header);
    header[3] = 2;
    seed("heartbeat", "packet-of-version-2", header);
}

void documents() {
    seed("decision", "full", encode_decision(test::sample_decision()));
    seed("decision", "empty", encode_decision(Decision{}));
    seed("report", "full", encode_report(test::sample_report()));
    int n = 0;
    for (auto const& message : test::sample_messages()) seed("sync", "message-" + std::to_string(n++), encode_sync(message));
}

void disk() {
    Slot slot;
    slot.incarnation = 5;
    slot.beat = 9;
    slot.state = Role::alone;
    slot.alone_term = 7;
    slot.stopped_term = 6;
    slot.newest = {7, 42};
    slot.area = 1;
    slot.wall_ms = 1'700'000'000'000;
    DiskBinding const here{{1}, 1};
    Key const key;
    seed("slot", "alone", encode_slot(slot, here, NodeIndex::a, key));
    seed("slot", "never-written", std::string(slot_bytes, '\0'));
    DiskHeader header;
    header.cluster = "fuzz";
    header.uuid = {1};
    header.disk = 1;
    header.created_wall_ms = 1'700'000'000'000;
    std::string const first = encode_disk_header(header);
    seed("disk_area", "header", first);
    AreaHeader decision;
    decision.id = {7, 42};
    seed("disk_area", "decision", encode_area(decision, encode_decision(test::sample_decision()), here, NodeIndex::a, key).substr(0, 1024));
    AreaHeader config;
    config.kind = AreaKind::config;
    seed("disk_area", "configuration", encode_area(config, "<cluster/>", here, NodeIndex::a, key).substr(0, 512));
    std::string const length("\x00\x40", 2);  // 8 MiB in blocks of 512
    seed("device", "ours", length + first.substr(0, 4096));
    std::string foreign(2048, '\0');
    foreign.replace(0x438, 2, "\x53\xef");
    seed("device", "ext4", length + foreign);
    seed("device", "one-block", std::string("\x01\x00", 2) + std::string(512, 'x'));
}

void store_files() {
    store::Commit commit;
    commit.sequence = 12;
    commit.terms = {9, 7, 5};
    commit.copy = 1;
    std::string const decision = encode_decision(test::sample_decision());
    commit.length = decision.size();
    commit.decision = store::hash_of(decision);
    seed("store_record", "commit", store::encode_commit(commit));
    seed("store_record", "identity", store::encode_identity(77));
    seed("store_record", "decision", store::encode_decision_file(decision));
}

void host_messages() {
    host::Configure configure;
    configure.resource.name = "web-ip";
    configure.resource.type = "ip-address";
    configure.resource.attributes["address"] = "10.0.0.100/24";
    HealthSpec health;
    health.type = "http";
    health.attributes["url"] = "http://10.0.0.100/";
    configure.resource.health.push_back(health);
    host::State const state{ResourceState::online, "it answers", true};
    std::vector<host::Message> const all{host::Hello{1},
                                         configure,
                                         host::Forget{"web-ip"},
                                         host::Action{3, ActionKind::start, "web-ip", std::chrono::seconds(5)},
                                         host::Checks{"web-ip", true},
                                         host::Permit{Instant{5}},
                                         host::Ping{4},
                                         host::Welcome{1},
                                         host::Busy{3, ActionKind::start, "web-ip", std::chrono::seconds(2)},
                                         host::ActionDone{3, "web-ip", state},
                                         host::Changed{"web-ip", state},
                                         host::HealthSeen{"web-ip", 0, Health::ok, std::chrono::milliseconds(3), "200"},
                                         host::Pong{4}};
    int n = 0;
    for (auto const& message : all) seed("host_message", "message-" + std::to_string(n++), *host::encode(message));
}

// What the tool reads; the first byte picks the reader (api_request_fuzz.cpp).
void documents_of_the_api() {
    Status status;
    status.cluster = "shop";
    status.nodes[0].name = "alpha";
    status.nodes[1].name = "beta";
    status.nodes[1].links.push_back({"10.0.0.2", true, 12});
    GroupStatus group;
    group.name = "web";
    group.owner = NodeIndex::b;
    ResourceStatus resource;
    resource.name = "web-ip";
    resource.type = "ip-address";
    group.resources.push_back(resource);
    status.groups.push_back(group);
    status.warnings = {"something to look at"};
    seed("api_request", "status", "\x02" + status_json(status));
    Command command;
    command.verb = Verb::move;
    command.target = "web";
    command.to = "beta";
    seed("api_request", "command", "\x01" + command_json(command));
    FailoverRecord const failover{"F-alpha-1", "web", "alpha", "beta", "alpha was lost", 1'700'000'000'000, {{"detect", 301}, {"commit", -1}}};
    seed("api_request", "failover", "\x03" + failover_json(failover));
    seed("api_request", "failovers", "\x03" + failovers_json({failover}));
    seed("api_request", "events", "\x03" + events_json({{"alpha-1", 1'700'000'000'000, "alpha", "warning", "web", "web-ip", "it failed"}}));
    seed("api_request", "timing", "\x03" + timing_json(TimingInfo{}));
    seed("api_request", "target", std::string(1, '\0') + "/v1/events?after=alpha-1&limit=10&wait_ms=1000");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: fuzz_seeds FOLDER (tests/fuzz/seeds)\n");
        return 2;
    }
    folder = argv[1];
    heartbeats();
    documents();
    disk();
    store_files();
    host_messages();
    documents_of_the_api();
    return 0;
}
