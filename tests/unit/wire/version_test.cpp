// What a later version wrote is refused with its version and what to do, never as damage: nobody shall be told to empty a disk
// because of an upgrade. Decisions, host messages and heartbeats have tests of their own beside these.
#include "clusterd/wire/disk.hpp"
#include "clusterd/wire/heartbeat.hpp"
#include "clusterd/wire/report.hpp"
#include "clusterd/wire/seal.hpp"
#include "clusterd/wire/sync.hpp"
#include "tests/unit/wire/samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

auto says_what_to_do() {
    return AllOf(HasSubstr("version 2"), HasSubstr("install the same clusterd on both nodes"));
}

void append(std::string& to, Hash const& h) {
    to.append(reinterpret_cast<char const*>(h.data()), h.size());
}

TEST(NewerVersion, OfAHeartbeat) {
    std::string packet = seal_heartbeat(Heartbeat{}, cluster_tag("shop"), 0, 1, Key{});
    packet[3] = 2;
    EXPECT_THAT(open_heartbeat(packet, Key{}).error(), says_what_to_do());
    EXPECT_THAT(read_heartbeat_header(packet + "more of it").error(), says_what_to_do()) << "whatever its length is then";
}

TEST(NewerVersion, OfAReportAndASyncMessage) {
    std::string report = encode_report(test::sample_report());
    report[4] = 2;
    EXPECT_THAT(decode_report(report).error(), says_what_to_do());
    std::string message = encode_sync(test::sample_messages().front());
    message[4] = 2;
    EXPECT_THAT(decode_sync(message).error(), says_what_to_do());
}

TEST(NewerVersion, OfASlot) {
    DiskBinding const here{{1}, 1};
    Key const key;
    Slot slot;
    slot.incarnation = 5;
    std::string bytes = encode_slot(slot, here, NodeIndex::a, key).substr(0, slot_bytes - 64);
    bytes[8] = 2;
    append(bytes, wire::blake2b(bytes));
    append(bytes, wire::mac_of("slot", here, NodeIndex::a, bytes, key));
    EXPECT_THAT(decode_slot(bytes, here, NodeIndex::a, &key).error(), says_what_to_do());
}

TEST(NewerVersion, OfADisksHeaderAndAnArea) {
    DiskHeader header;
    header.cluster = "shop";
    header.disk = 1;
    std::string bytes = encode_disk_header(header).substr(0, disk_block - 32);
    bytes[8] = 2;
    append(bytes, wire::blake2b(bytes));
    EXPECT_THAT(decode_disk_header(bytes).error(), says_what_to_do());

    DiskBinding const here{{1}, 1};
    std::string area = encode_area(AreaHeader{}, "content", here, NodeIndex::a, Key{}).substr(0, area_header_bytes - 32);
    area[8] = 2;
    append(area, wire::mac_of("area", here, NodeIndex::a, area, Key{}));
    Key const key;
    EXPECT_THAT(decode_area_header(area, 1u << 20, here, NodeIndex::a, &key).error(), says_what_to_do());
}

}  // namespace
}  // namespace clusterd
