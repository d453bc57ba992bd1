// The examples are valid for the parser and for the schema, and mean what they say.
#include "files.hpp"

#include <gtest/gtest.h>
#include <tinyxml2.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::told;

class Example : public testing::TestWithParam<std::filesystem::path> {};

Spec without_lines(Spec spec) {
    for (GroupSpec& group : spec.groups) {
        group.line = 0;
        for (ResourceSpec& resource : group.resources) resource.line = 0;
    }
    return spec;
}

TEST_P(Example, IsValidWithoutAWarning) {
    ParseResult const result = parse_config(test::read(GetParam()), GetParam().filename());
    EXPECT_TRUE(result.spec.has_value());
    EXPECT_EQ(told(result), "");
}

TEST_P(Example, IsValidForTheSchema) {
    std::string output;
    EXPECT_EQ(test::xmllint(GetParam(), output), 0) << output;
}

TEST_P(Example, MeansTheSameWhenWrittenAnew) {
    std::string const xml = test::read(GetParam());
    auto const first = parse_config(xml, "f").spec;
    tinyxml2::XMLDocument document;
    ASSERT_EQ(document.Parse(xml.c_str()), tinyxml2::XML_SUCCESS);
    tinyxml2::XMLPrinter printer(nullptr, true);
    document.Print(&printer);
    auto const second = parse_config(printer.CStr(), "f").spec;
    ASSERT_TRUE(first && second);
    EXPECT_EQ(without_lines(*first), without_lines(*second));
    EXPECT_EQ(*first, *parse_config(xml, "other name").spec);
}

INSTANTIATE_TEST_SUITE_P(All, Example, testing::ValuesIn(test::xml_files("config/examples")), test::file_name);

TEST(Examples, WebIsReadIntoEveryField) {
    auto const spec = parse_config(test::read(SOURCE_DIR "/config/examples/web.xml"), "web.xml").spec;
    ASSERT_TRUE(spec);
    Spec wanted;
    wanted.cluster = "shop";
    wanted.version = 1;
    wanted.nodes[0] = {"alpha", {{"192.168.50.1", 7780}, {"10.0.0.11", 7780}}};
    wanted.nodes[1] = {"beta", {{"192.168.50.2", 7780}, {"10.0.0.12", 7780}}};
    wanted.quorum_disk = "/dev/disk/by-id/scsi-36001405a";
    wanted.networks = {{"public", "eth0", {"10.0.0.254"}}};
    ResourceSpec ip;
    ip.name = "web-ip";
    ip.type = "ip-address";
    ip.attributes = {{"address", "10.0.0.100/24"}, {"interface", "eth0"}, {"announce", "5"}, {"probe-conflict", "yes"}};
    ResourceSpec server;
    server.name = "web-server";
    server.type = "process";
    server.attributes = {{"command", "/usr/sbin/nginx -c /etc/nginx/nginx.conf -g 'daemon off;'"},
                         {"stop-signal", "QUIT"},
                         {"stop-timeout", "5s"},
                         {"ready", "tcp:80"},
                         {"working-directory", "/"}};
    server.depends = {Dependency::Kind::name, "web-ip", {}};
    server.online_timeout = 10s;
    server.offline_timeout = 15s;
    HealthSpec http;
    http.type = "http";
    http.attributes = {{"url", "http://10.0.0.100/healthz"}, {"status", "200-399"}, {"method", "GET"}, {"tls-verify", "yes"}};
    http.timeout = 300ms;
    HealthSpec processes;
    processes.type = "process";
    processes.attributes = {{"min", "2"}};
    processes.every = 5s;
    server.health = {http, processes};
    server.restart = {3, 15min, 0s};
    GroupSpec web;
    web.name = "web";
    web.resources = {ip, server};
    web.preferred = NodeIndex::a;
    wanted.groups = {web};
    EXPECT_EQ(without_lines(*spec), wanted);
    EXPECT_EQ(spec->groups[0].line, 11);
    EXPECT_EQ(spec->groups[0].resources[1].line, 13);
}

TEST(Examples, TwoGroupsIsReadWithItsPoliciesAndOr) {
    auto const spec = parse_config(test::read(SOURCE_DIR "/config/examples/two-groups.xml"), "f").spec;
    ASSERT_TRUE(spec && spec->groups.size() == 2);
    GroupSpec const& cache = spec->groups[0];
    GroupSpec const& reports = spec->groups[1];
    EXPECT_EQ(spec->version, 7U);
    EXPECT_EQ(spec->nodes[1].links[0], (LinkSpec{"192.168.50.2", 7781}));
    EXPECT_EQ(spec->timing.permit, 2s);
    EXPECT_EQ(spec->timing.kill, 500ms);
    EXPECT_EQ(spec->timing.suspect, 300ms);
    EXPECT_EQ(spec->networks[0].ping, (std::vector<std::string>{"10.0.0.254", "10.0.0.253"}));
    EXPECT_EQ(cache.failback, (FailbackSpec{FailbackSpec::Kind::window, 22 * 60, 4 * 60}));
    EXPECT_EQ(reports.failback.kind, FailbackSpec::Kind::immediate);
    EXPECT_EQ(reports.start, GroupSpec::Start::as_was);
    EXPECT_EQ(reports.preferred, NodeIndex::b);
    EXPECT_EQ(cache.resources[1].restart, (RestartSpec{1, 10min, 500ms}));
    ASSERT_EQ(cache.resources[1].health.size(), 2U);  // before and after <restart>
    EXPECT_EQ(cache.resources[1].health[1].unknown_failures, 5);
    EXPECT_FALSE(reports.resources[1].affects_group);
    EXPECT_TRUE(reports.resources[3].isolate);
    using Kind = Dependency::Kind;
    Dependency const printers{Kind::any, {}, {{Kind::name, "printer-a", {}}, {Kind::name, "printer-b", {}}}};
    EXPECT_EQ(reports.resources[3].depends, (Dependency{Kind::all, {}, {{Kind::name, "reports-ip", {}}, printers}}));
}

TEST(Examples, AddressesAreSpelledInOneWay) {
    auto const spec = parse_config(test::cluster("<network name='n' interface='eth0' ping='FD00:0:0::FE'/>"), "f").spec;
    ASSERT_TRUE(spec);
    EXPECT_EQ(spec->networks[0].ping, std::vector<std::string>{"fd00::fe"});
}

}  // namespace
}  // namespace clusterd
