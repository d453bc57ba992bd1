// The status document is a contract: the whole of one is held against its text, read back, and every field of it made wrong.
#include "clusterd/wire/status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>
#include <functional>

namespace clusterd {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

Status example() {
    Status s;
    s.cluster = "shop";
    s.self = NodeIndex::b;
    s.role = Role::alone;
    s.term = 8;
    s.decision = {6, 42};
    s.leader = NodeIndex::b;
    s.permit = PermitSource::alone;
    s.permit_remaining_ms = 731;
    s.worst_margin_ms = 204;
    s.nodes[0] = {"alpha", NodeState::down, 0, {{"192.168.50.1", false, -1}}, true, false};
    s.nodes[1] = {"beta", NodeState::up, 0xfedcba9876543210, {{"192.168.50.2", true, 12}, {"fd00::2", false, 90'000}}, false, true};
    s.quorum = {"/dev/mapper/q",
                QuorumState::slow,
                180,
                "slow",
                {Slot{0xab, 9, Role::seeking, 5, 5, {6, 40}, 1, 1'764'000'000'000}, std::nullopt}};
    GroupStatus g;
    g.name = "web";
    g.state = GroupState::partial_online;
    g.owner = NodeIndex::b;
    g.draining_to = NodeIndex::a;
    g.cause = "alpha was lost";
    g.failovers_in_window = 1;
    g.failover_limit = 2;
    g.maintenance_until = 1'764'001'800'000;
    ResourceStatus r;
    r.name = "web-ip";
    r.type = "ip-address";
    r.report.state = ResourceState::offline_pending;
    r.report.health = Health::degraded;
    r.report.since_wall_ms = 1'764'000'000'123;
    r.report.restarts_in_window = 2;
    r.report.retry_wall_ms = 1'764'000'060'000;
    r.report.message = "carrier \"lost\"";
    r.stale_ms = 40;
    g.resources.push_back(r);
    s.groups.push_back(g);
    s.warnings = {"SCHED_RR was not granted"};
    return s;
}

constexpr char const* expected = R"({
 "cluster":"shop","node":"beta","self":"beta","role":"alone","term":8,"index":42,"decision_term":6,"revision":0,"confirm_until":null,"leader":"beta",
 "permit":{"source":"alone","remaining_ms":731,"worst_margin_ms":204},
 "nodes":[
  {"name":"alpha","state":"down","incarnation":"0000000000000000","paused":true,"leaving":false,"flapping":false,
   "links":[{"address":"192.168.50.1","state":"down","last_heard_ms":null}]},
  {"name":"beta","state":"up","incarnation":"fedcba9876543210","paused":false,"leaving":true,"flapping":false,
   "links":[{"address":"192.168.50.2","state":"up","last_heard_ms":12},{"address":"fd00::2","state":"down","last_heard_ms":90000}]}],
 "quorum":{"disk":"/dev/mapper/q","state":"slow","latency_ms":180,"message":"slow","slots":[
  {"node":"alpha","incarnation":"00000000000000ab","beat":9,"state":"seeking","alone_term":5,"stopped_term":5,"newest_term":6,"newest_index":40,
   "written":"2025-11-24T16:00:00.000Z"}]},
 "groups":[{"name":"web","state":"partial-online","owner":"beta","wanted":"online","draining_to":"alpha","cause":"alpha was lost",
  "failovers_in_window":1,"failover_limit":2,"maintenance":true,"maintenance_until":"2025-11-24T16:30:00.000Z",
  "resources":[{"name":"web-ip","type":"ip-address","state":"offline-pending","since":"2025-11-24T16:00:00.123Z","health":"degraded",
   "restarts_in_window":2,"message":"carrier \"lost\"","retry":"2025-11-24T16:01:00.000Z","stopped":false,"stale_ms":40}]}],
 "warnings":["SCHED_RR was not granted"]})";

TEST(StatusJson, IsTheContractsDocument) {
    EXPECT_EQ(json::parse(status_json(example())), json::parse(expected)) << status_json(example());
}

TEST(StatusJson, IsReadBackWhole) {
    auto const back = parse_status(status_json(example()));
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(status_json(*back), status_json(example()));
    EXPECT_EQ(back->groups[0].resources[0].report, example().groups[0].resources[0].report);
    EXPECT_EQ(back->quorum.slots[0]->alone_term, 5U);
}

TEST(StatusJson, WithoutPermitNothingRemains) {
    Status s = example();
    s.permit = PermitSource::none;
    s.leader.reset();
    s.groups[0].owner.reset();
    auto document = json::parse(status_json(s)).as_object();
    EXPECT_EQ(document["permit"].at("remaining_ms"), json::value(0));
    EXPECT_EQ(document["permit"].at("source"), json::value("none"));
    EXPECT_TRUE(document["leader"].is_null());
    EXPECT_TRUE(document["groups"].as_array()[0].at("owner").is_null());
    s.permit = PermitSource::joined;  // over, and not yet noticed
    s.permit_remaining_ms = -3;
    document = json::parse(status_json(s)).as_object();
    EXPECT_EQ(document["permit"].at("source"), json::value("none"));
    EXPECT_EQ(document["permit"].at("remaining_ms"), json::value(0));
}

TEST(StatusJson, EveryStateHasTheContractsSpelling) {
    EXPECT_EQ(spell(ResourceState::online_pending), "online-pending");
    EXPECT_EQ(spell(ResourceState::offline_pending), "offline-pending");
    EXPECT_EQ(spell(ResourceState::unknown), "unknown");
    EXPECT_EQ(spell(GroupState::partial_online), "partial-online");
    EXPECT_EQ(spell(NodeState::seeking), "seeking");
    EXPECT_EQ(spell(QuorumState::uninitialised), "uninitialised");
    EXPECT_EQ(spell(PermitSource::joined), "joined");
    EXPECT_EQ(spell(Health::none), "none");
}

TEST(StatusJson, MessagesOfAnyBytesGiveAReadableDocument) {
    for (std::string const& bytes : {std::string("caf\xe9"), std::string("\xff\xfe"), std::string("ok \xe2\x82"),
                                     std::string("\xed\xa0\x80"), std::string("\x00\x1b[2J", 5), std::string("\xf4\x90\x80\x80"),
                                     std::string("\xc0\xaf"), std::string("gr\xc3\xbc\xc3\x9f")}) {
        Status s = example();
        s.groups[0].resources[0].report.message = bytes;
        auto const back = parse_status(status_json(s));
        ASSERT_TRUE(back) << back.error();
    }
    Status s = example();
    s.groups[0].cause = "gr\xc3\xbc\xc3\x9f\xff!";
    EXPECT_EQ(parse_status(status_json(s))->groups[0].cause, "gr\xc3\xbc\xc3\x9f\xef\xbf\xbd!");
}

// Walks the document; `visit` gets every value's parent object and key.
void each_field(json::value& value, std::function<void(json::object&, std::string const&)> const& visit) {
    if (auto* const object = value.if_object()) {
        std::vector<std::string> keys;
        for (auto const& [key, ignored] : *object) keys.emplace_back(key);
        for (auto const& key : keys) {
            visit(*object, key);
            if (object->contains(key)) each_field(object->at(key), visit);
        }
    } else if (auto* const array = value.if_array()) {
        for (auto& element : *array) each_field(element, visit);
    }
}

TEST(StatusJson, WrongFieldsAreRefusedAndNamed) {
    int refused = 0;
    json::value document = json::parse(expected);
    each_field(document, [&](json::object& object, std::string const& key) {
        json::value const good = object.at(key);
        for (json::value const& wrong : {json::value(json::array{}), json::value(-1), json::value("\x01no such value"),
                                         json::value(true), json::value(1e99)}) {
            object[key] = wrong;
            auto const read = parse_status(json::serialize(document));  // must not crash; most are errors
            if (!read) {
                ++refused;
                // A wrong name of a node is noticed where something refers to it.
                EXPECT_THAT(read.error(), ::testing::AnyOf(HasSubstr(key), HasSubstr("none of the two nodes")));
            }
        }
        object[key] = good;
    });
    EXPECT_GT(refused, 150);
    EXPECT_TRUE(parse_status(json::serialize(document)));
    for (char const* required : {"cluster", "node", "term", "index", "permit", "nodes", "quorum", "groups"}) {
        json::object part = json::parse(expected).as_object();
        part.erase(required);
        EXPECT_FALSE(parse_status(json::serialize(part))) << required;
    }
}

TEST(StatusJson, NoDocumentAtAll) {
    EXPECT_FALSE(parse_status(""));
    EXPECT_FALSE(parse_status("[]"));
    EXPECT_FALSE(parse_status(std::string(100'000, '[')));
    EXPECT_FALSE(parse_status(std::string(9U << 20U, ' ')));
}

TEST(Rfc3339, BothWays) {
    EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(1'709'210'096'789), "2024-02-29T12:34:56.789Z");
    for (std::int64_t const ms : {std::int64_t{0}, std::int64_t{1'764'000'000'123}, std::int64_t{4'102'444'799'999}})
        EXPECT_EQ(parse_rfc3339(rfc3339(ms)), ms);
    EXPECT_EQ(parse_rfc3339("2024-02-29T12:34:56Z"), 1'709'210'096'000);
    for (char const* wrong :
         {"", "2024-02-30T00:00:00.000Z", "2024-13-01T00:00:00.000Z", "2024-01-01T24:00:00.000Z", "2024-01-01 00:00:00.000Z",
          "2024-01-01T00:00:00.000", "2024-01-01T00:00:00.0000Z", "x024-01-01T00:00:00.000Z"}) {
        EXPECT_FALSE(parse_rfc3339(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace clusterd
