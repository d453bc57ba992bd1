// An OCF agent's meta-data, and what it says of a resource's parameters.
#include "config/ocf_metadata.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char xml[] = R"(<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="mine" version="1.0">
<longdesc lang="en">Long.</longdesc>
<parameters>
<parameter name="ip" unique="1" required="1"><longdesc lang="en">x</longdesc><content type="string" default=""/></parameter>
<parameter name="count"><content type="integer" default="3"/></parameter>
<parameter name="fast"><content type="boolean"/></parameter>
</parameters>
<actions><action name="monitor" depth="20" interval="60" timeout="90"/><action name="monitor" depth="0" timeout="30s" interval="15"/><action name="start" timeout="240s"/><action name="stop" timeout="20"/></actions>
</resource-agent>)";

ResourceSpec with(std::map<std::string, std::string> attributes) {
    ResourceSpec r;
    r.attributes = std::move(attributes);
    r.online_timeout = r.offline_timeout = 5min;
    return r;
}

TEST(OcfMetadata, IsRead) {
    auto const m = parse_ocf_metadata(xml);
    ASSERT_TRUE(m) << m.error();
    ASSERT_EQ(m->parameters.size(), 3u);
    EXPECT_EQ(m->parameters[0].name, "ip");
    EXPECT_TRUE(m->parameters[0].required);
    EXPECT_EQ(m->parameters[1].type, "integer");
    EXPECT_EQ(m->start_timeout, 240s);
    EXPECT_EQ(m->stop_timeout, 20s);
    EXPECT_EQ(m->monitor_interval, 15s);  // not the deeper one's
    EXPECT_EQ(m->monitor_timeout, 30s);
}

TEST(OcfMetadata, WhatIsNoneIsRefused) {
    for (std::string const& bad : {std::string(), std::string("usage: agent start|stop"), std::string("<html/>"), std::string(100'000, '<'), std::string("\0\1\2", 3)})
        EXPECT_FALSE(parse_ocf_metadata(bad));
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "<a>";
    EXPECT_FALSE(parse_ocf_metadata(deep));
}

TEST(OcfMetadata, ParametersAreHeldAgainstIt) {
    auto const m = *parse_ocf_metadata(xml);
    EXPECT_THAT(check_against(m, with({{"param:ip", "10.0.0.1"}, {"param:count", "-5"}, {"param:fast", "Yes"}})), IsEmpty());
    EXPECT_THAT(check_against(m, with({{"param-file:ip", "/etc/ip"}})), IsEmpty());
    EXPECT_THAT(check_against(m, with({{"param:pi", "1"}, {"param:count", "many"}, {"param:fast", "maybe"}})),
                ElementsAre("parameter \"count\": \"many\" is no integer", "parameter \"fast\": \"maybe\" is no boolean", HasSubstr("no parameter \"pi\"; did you mean \"ip\"?"),
                            "the agent's parameter \"ip\" is missing"));
    ResourceSpec quick = with({{"param:ip", "x"}});
    quick.online_timeout = 10s;
    EXPECT_THAT(check_against(m, quick), ElementsAre("online-timeout is 10s; the agent wants 4min for its start"));
}

}  // namespace
}  // namespace clusterd
