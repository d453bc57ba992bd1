// What parse_config promises beside the files of data/broken: limits, warnings, fields, messages.
#include "files.hpp"

namespace clusterd {
namespace {

using namespace std::chrono_literals;
using test::cluster;
using test::group;
using test::told;

std::string repeated(std::string const& text, std::size_t times) {
    std::string result;
    for (std::size_t i = 0; i < times; ++i) result += text;
    return result;
}

// The one problem of a file that isn't read any further.
Problem refusal(std::string const& xml) {
    ParseResult const result = parse_config(xml, "f.xml");
    EXPECT_FALSE(result.spec.has_value());
    EXPECT_EQ(result.problems.size(), 1U) << told(result).substr(0, 2000);
    return result.problems.empty() ? Problem{} : result.problems.front();
}

TEST(Limits, SizeIsLookedAtFirst) {
    std::string const fits = cluster("<!--" + std::string(config_max_bytes - cluster("").size() - 7, 'x') + "-->");
    ASSERT_EQ(fits.size(), config_max_bytes);
    EXPECT_TRUE(parse_config(fits, "f").spec);
    EXPECT_EQ(refusal(fits + " ").message, "the file has 4194305 bytes; at most 4194304 are read");
}

TEST(Limits, DepthIsBoundedHoweverDeep) {
    EXPECT_EQ(refusal(repeated("<a>", 33) + repeated("</a>", 33)).message, "elements nested more than 32 deep");
    EXPECT_EQ(refusal(repeated("<a>", 1'000'000)).message, "elements nested more than 32 deep");
    // 32 are read, and refused for what they are.
    auto const result = parse_config(repeated("<a>", 32) + repeated("</a>", 32), "f");
    EXPECT_EQ(told(result), "f.xml:1: <a>: a configuration is one element <cluster name=\"...\">\n");
}

TEST(Limits, ElementsAreBounded) {
    EXPECT_EQ(refusal(cluster(repeated("<a/>", 60'000))).message, "more than 50000 elements");
}

TEST(Limits, AttributesAreBoundedInNumberAndLength) {
    std::string many;
    for (int i = 0; i < 65; ++i) many += " a" + std::to_string(i) + "=''";
    EXPECT_EQ(refusal("<cluster" + many + "/>").message, "<cluster>: more than 64 attributes");
    EXPECT_EQ(refusal("<cluster name='" + std::string(4097, 'x') + "'/>").message,
              "<cluster>: attribute 'name' has more than 4096 bytes");
    EXPECT_EQ(refusal("<cluster " + std::string(200, 'x') + "=''/>").message, "a name of more than 128 bytes");
}

TEST(Limits, ProblemsAreToldUpToANumberAndThenCounted) {
    auto const result = parse_config(cluster(repeated("<bad/>\n", 1000)), "f");
    ASSERT_EQ(result.problems.size(), config_max_problems + 1);
    EXPECT_EQ(result.problems.back().message, "and 800 more problems; correct these first");
    EXPECT_FALSE(result.problems.back().warning);
    EXPECT_FALSE(result.spec);
}

TEST(Limits, AnErrorIsToldEvenBehindManyWarnings) {
    std::string groups;
    for (int i = 0; i < 300; ++i) groups += "<group name='g" + std::to_string(i) + "'/>\n";
    auto const result = parse_config(cluster(groups + "<bad/>"), "f");
    EXPECT_FALSE(result.spec);
    EXPECT_NE(told(result).find("unknown element <bad>"), std::string::npos);
}

TEST(Limits, LinksGroupsAndResourcesAreBounded) {
    std::string links, groups, resources;
    for (int i = 1; i <= 9; ++i) links += "<link address='10.0.0." + std::to_string(i) + "'/>";
    EXPECT_NE(told(parse_config("<cluster name='c'><node name='a'>" + links + "</node></cluster>", "f")).find("more than 8 links"),
              std::string::npos);
    for (int i = 0; i <= 1024; ++i) groups += "<group name='g" + std::to_string(i) + "'/>";
    EXPECT_NE(told(parse_config(cluster(groups), "f")).find("more than 1024 groups"), std::string::npos);
    for (int i = 0; i <= 8192; ++i) resources += "<dummy name='d" + std::to_string(i) + "'/>";
    EXPECT_NE(told(parse_config(group(resources), "f")).find("more than 8192 resources"), std::string::npos);
}

TEST(Limits, ALongChainOfDependenciesIsRead) {
    std::string chain = "<dummy name='d0'/>", circle = "<dummy name='d0' depends='d7999'/>";
    for (int i = 1; i < 8000; ++i) {
        std::string const next = "<dummy name='d" + std::to_string(i) + "' depends='d" + std::to_string(i - 1) + "'/>";
        chain += next;
        circle += next;
    }
    EXPECT_TRUE(parse_config(group(chain), "f").spec);
    EXPECT_NE(told(parse_config(group(circle), "f")).find("goes in a circle: d0 -> d7999 -> d7998"), std::string::npos);
}

TEST(PlainXml, IsAllThatIsRead) {
    EXPECT_EQ(refusal(std::string("<cluster>\n\0</cluster>", 21)), (Problem{2, false, "a NUL byte; a configuration is text"}));
    EXPECT_EQ(refusal("<cluster>\n\n\x01</cluster>"), (Problem{3, false, "a control character (1)"}));
    EXPECT_EQ(refusal("<cluster name='\xff'/>").message, "bytes that aren't UTF-8; save the file as UTF-8");
    EXPECT_EQ(refusal("<cluster name='\xc0\xaf'/>").message, "bytes that aren't UTF-8; save the file as UTF-8");
    EXPECT_EQ(refusal("<cluster name='\xed\xa0\x80'/>").message, "bytes that aren't UTF-8; save the file as UTF-8");
    EXPECT_EQ(refusal("\n<!DOCTYPE x>"), (Problem{2, false, "DOCTYPE and entity declarations aren't read; take them out"}));
    EXPECT_EQ(refusal("<cluster><![CDATA[x]]></cluster>").message, "CDATA isn't read; values stand in attributes");
    EXPECT_NE(refusal("<cluster><?php ?></cluster>").message.find("processing instructions"), std::string::npos);
    EXPECT_EQ(refusal("<?xml version='1.0' encoding='ISO-8859-1'?><cluster/>").message,
              "an encoding other than UTF-8; save the file as UTF-8");
    for (char const* bad :
         {"&", "&;", "&x", "&lol;", "&#0;", "&#1;", "&#xd800;", "&#x110000;", "&#99999999999999;", "&#x;", "&#;"}) {
        EXPECT_NE(refusal("<cluster name='" + std::string(bad) + "'/>").message.find("& that isn't one of"), std::string::npos)
            << bad;
    }
}

TEST(PlainXml, MistakesOfWritingAreToldWithTheirLine) {
    EXPECT_NE(refusal("").message.find("there is no element"), std::string::npos);
    EXPECT_EQ(refusal("\njust text"), (Problem{2, false, "text outside of <cluster>"}));
    EXPECT_EQ(refusal("<a>\n</a>\n<b/>"), (Problem{3, false, "a second element <b> beside the first; a file holds one <cluster>"}));
    EXPECT_EQ(refusal("</a>").message, "</a> closes nothing");
    EXPECT_EQ(refusal("<a>\n\n<b x='1\n</a>"),
              (Problem{3, false, "<b>: attribute 'x' holds < (write &lt;), or its quote isn't closed"}));
    EXPECT_EQ(refusal("<a x='1").message, "<a>: attribute 'x' has a quote that isn't closed");
    EXPECT_EQ(refusal("<a x=1/>").message, "<a>: attribute 'x': the value must stand in quotes");
    EXPECT_EQ(refusal("<a x/>").message, "<a>: attribute 'x' has no value; write x=\"...\"");
    EXPECT_EQ(refusal("<a x='1'y='2'/>").message, "<a>: a blank was expected before the next attribute");
    EXPECT_EQ(refusal("<a").message, "<a isn't closed (>)");
    EXPECT_EQ(refusal("<a><!-- ").message, "a comment isn't closed (-->)");
    EXPECT_EQ(refusal("<a><1/></a>").message, "a name was expected here; write &lt; for the character <");
    EXPECT_EQ(refusal(cluster("") + "more").message, "text outside of <cluster>");
}

TEST(PlainXml, TakesWhatEditorsPutThere) {
    std::string xml = "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\r\n" + cluster("");
    xml.replace(xml.find("<cluster "), 9,
                "<cluster xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:noNamespaceSchemaLocation=\"cluster.xsd\" ");
    auto const result = parse_config(xml, "f.xml");
    EXPECT_TRUE(result.spec) << told(result);
}

TEST(PlainXml, ReferencesAndNewLinesInValuesMeanWhatXmlSays) {
    auto const spec = parse_config(group("<process name='p' command='/bin/echo &lt;&#x41;&amp;\n\t&quot;b c&quot;'/>"), "f").spec;
    ASSERT_TRUE(spec);
    EXPECT_EQ(spec->groups[0].resources[0].attributes.at("command"), "/bin/echo <A&  \"b c\"");
}

TEST(Timing, ProfilesAndOverrides) {
    auto const timing = [](std::string const& xml) { return parse_config(cluster(xml), "f").spec->timing; };
    EXPECT_EQ(timing(""), Timing{});
    EXPECT_EQ(timing("<timing profile='fast'/>").permit, 300ms);
    EXPECT_EQ(timing("<timing profile='fast'/>").heartbeat, 20ms);
    EXPECT_EQ(timing("<timing profile='wan'/>").suspect, 5s);
    EXPECT_EQ(timing("<timing profile='wan' kill='2s'/>").kill, 2s);
    EXPECT_EQ(timing("<timing profile='wan' kill='2s'/>").permit, 15s);
    EXPECT_EQ(timing("<timing profile='wan' kill='2s'/>").profile, "wan");
}

TEST(Timing, TheRequiredInequalityIsAnErrorTheWantedOneAWarning) {
    EXPECT_FALSE(parse_config(cluster("<timing permit='600ms'/>"), "f").spec);  // 300 + 50 + 250 = 600
    auto const tight = parse_config(cluster("<timing permit='601ms'/>"), "f");
    EXPECT_TRUE(tight.spec);
    EXPECT_EQ(told(tight),
              "f.xml:5: warning: <timing>: 2 suspect + kill = 850ms should be less than permit (601ms); "
              "now a second loss of heartbeats in a row may cost the permit\n");
    EXPECT_NE(told(parse_config(cluster("<timing permit='850ms'/>"), "f")), "");
    EXPECT_EQ(told(parse_config(cluster("<timing permit='851ms'/>"), "f")), "");
    EXPECT_NE(told(parse_config(cluster("<timing suspect='149ms'/>"), "f")).find("less than three heartbeats"), std::string::npos);
}

TEST(Watchdog, ItsTimeOutIsInWholeSecondsAndLongerThanThePermit) {
    EXPECT_EQ(parse_config(cluster("<watchdog device='/dev/watchdog0'/>"), "f").spec->watchdog, (WatchdogSpec{"/dev/watchdog0", 2s}));
    EXPECT_EQ(parse_config(cluster("<timing permit='1500ms'/><watchdog device='/dev/watchdog'/>"), "f").spec->watchdog.timeout, 3s);
    EXPECT_EQ(parse_config(cluster("<watchdog device='/dev/watchdog' timeout='10s'/>"), "f").spec->watchdog.timeout, 10s);
    EXPECT_NE(told(parse_config(cluster("<watchdog device='/dev/watchdog' timeout='1500ms'/>"), "f")).find("watchdogs count whole seconds; 1500ms"), std::string::npos);
    EXPECT_NE(told(parse_config(cluster("<watchdog device='/dev/watch dog'/>"), "f")).find("a path without blanks"), std::string::npos);
    EXPECT_NE(told(parse_config(cluster("<watchdog timeout='5s'/>"), "f")).find("attribute 'device' is missing"), std::string::npos);
    EXPECT_FALSE(parse_config(cluster("<watchdog device='/dev/watchdog'/><watchdog device='/dev/watchdog1'/>"), "f").spec);
    EXPECT_EQ(parse_config(cluster(""), "f").spec->watchdog, WatchdogSpec{});
}

TEST(Warnings, LeaveTheConfigurationValid) {
    auto const result = parse_config(
        "<cluster name='c'>\n<node name='alpha'><link address='::1'/></node>\n"
        "<node name='beta'><link address='::1' port='7781'/></node>\n"
        "<group name='g' priority='3' apart='h' after='h' preferred='alpha'><process name='p' command='/bin/a | /bin/b "
        "--password=swordfish'/></group>\n"
        "<group name='h' preferred='alpha'/></cluster>",
        "f.xml");
    EXPECT_TRUE(result.spec);
    EXPECT_EQ(result.spec->groups[0].after, "h");
    EXPECT_EQ(told(result),
              "f.xml:1: warning: <cluster>: there is no <quorum disk=\"...\"/>; without it no node takes over by itself when the "
              "other is lost\n"
              "f.xml:4: warning: <process name=\"p\">: attribute 'command' has the word \"|\", which only a shell understands, and "
              "none is run; use sh -c '...' where that is meant\n"
              "f.xml:4: warning: <group name=\"g\">: attribute 'apart': both groups prefer alpha; the one that is placed second starts "
              "on the other node\n"
              "f.xml:5: warning: <group name=\"h\">: a group without resources does nothing\n");
    auto const secret = parse_config(group("<process name='p' command='/bin/b --password=swordfish'/>"), "f.xml");
    EXPECT_TRUE(secret.spec);
    EXPECT_NE(told(secret).find("gives \"--password\", which every user"), std::string::npos);
    EXPECT_EQ(told(secret).find("swordfish"), std::string::npos);
}

TEST(Groups, ArePossibleWhereAllTheirResourcesAre) {
    auto const spec = parse_config(group("<dummy name='one' possible='beta'/><dummy name='two' possible='beta alpha'/>"), "f").spec;
    ASSERT_TRUE(spec);
    EXPECT_EQ(spec->groups[0].possible, (std::array<bool, 2>{false, true}));
    EXPECT_EQ(spec->groups[0].resources[1].possible, (std::array<bool, 2>{true, true}));
}

TEST(Links, OfTwoNodesOnOneMachineDifferByPort) {
    auto const result = parse_config(
        "<cluster name='c'><node name='a'><link address='127.0.0.1' port='7781'/></node>"
        "<node name='b'><link address='127.0.0.1' port='7782'/></node><quorum disk='/q'/></cluster>",
        "f");
    EXPECT_EQ(told(result), "");
}

TEST(Messages, ShowValuesShortenedAndPrintable) {
    std::string const text = told(parse_config(cluster("<group name='" + std::string(200, 'x') + "'/>"), "f"));
    EXPECT_NE(text.find("\"" + std::string(60, 'x') + "...\" isn't a name"), std::string::npos) << text;
    for (char c : told(parse_config(group("<dummy name='d' state-file='&#27;[31m'/>"), "f"))) EXPECT_NE(c, '\x1b');
}

TEST(Messages, NameTheOtherPlaceByTheGivenFileName) {
    auto const result = parse_config(cluster("<quorum disk='/dev/other'/>"), "/etc/clusterd/cluster.xml");
    EXPECT_EQ(result.problems.front().message, "<quorum>: given twice; the first is at /etc/clusterd/cluster.xml:4");
}

// Every way of damaging a valid file by one byte gives a spec or a problem, and never both nothing.
TEST(Robustness, NoOneByteOfAnExampleCrashesIt) {
    std::string const xml = test::read(SOURCE_DIR "/config/examples/two-groups.xml");
    for (std::size_t i = 0; i < xml.size(); ++i) {
        for (char c : {'<', '>', '"', '&', '\0', '\xc3', '('}) {
            std::string damaged = xml;
            damaged[i] = c;
            auto const result = parse_config(damaged, "f");
            ASSERT_TRUE(result.spec || !result.problems.empty());
        }
        if (i > xml.rfind('>')) continue;  // only the last new line is missing
        auto const cut = parse_config(std::string_view(xml).substr(0, i), "f");
        ASSERT_FALSE(cut.spec);
        ASSERT_FALSE(cut.problems.empty());
    }
}

TEST(Disks, AFilesystemThatDoesntDependOnItsDiskIsWarnedOf) {
    std::string const both = R"(<disk name="d" device="/dev/sdb"/><filesystem name="f" device="/dev/sdb" mount="/srv/f" type="xfs" protection="permit")";
    auto const alone = parse_config(test::group(both + "/>"), "f");
    EXPECT_TRUE(alone.spec);
    EXPECT_NE(test::told(alone).find("it is on the disk \"d\" and doesn't depend on it; say depends=\"d\""), std::string::npos) << test::told(alone);
    EXPECT_EQ(test::told(parse_config(test::group(both + " depends=\"d\"/>"), "f")), "");
}

}  // namespace
}  // namespace clusterd
