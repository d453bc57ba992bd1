// cluster.xsd, the table of types.hpp and the defaults of Spec say the same.
#include "config/show.hpp"
#include "config/types.hpp"
#include "config/values.hpp"
#include "files.hpp"

#include <gtest/gtest.h>
#include <tinyxml2.h>
#include <map>
#include <set>

namespace clusterd {
namespace {

using tinyxml2::XMLElement;

std::string text_of(XMLElement const& e, char const* attribute) {
    char const* const value = e.Attribute(attribute);
    return value != nullptr ? value : "";
}

// An attribute as one line of text: "kind required default choices min max".
using Shape = std::map<std::string, std::string>;

std::string shape(std::string const& kind, bool required, std::string const& default_value, std::string const& choices,
                  std::string const& min, std::string const& max) {
    return kind + (required ? " required" : "") + " default=" + default_value + " choices=" + choices + " min=" + min +
           " max=" + max;
}

Shape of_table(std::vector<Attribute> const& rows, bool agent = false) {
    Shape result;
    for (Attribute const& row : rows) {
        std::string choices;
        for (std::string_view choice : row.choices) choices += std::string(choice) + " ";
        bool const integer = row.kind == AttributeKind::integer;  // the schema can't bound durations
        // All agents share one <health>, so the schema can neither require nor default an agent's attribute.
        std::string line =
            shape(std::string(kind_name(row.kind)), row.required && !agent, std::string(agent ? "" : row.default_value), choices,
                  std::string(integer ? row.min : ""), std::string(integer ? row.max : ""));
        EXPECT_TRUE(result.emplace(row.name, std::move(line)).second) << row.name << " stands twice in a table";
    }
    return result;
}

Shape of_schema(XMLElement const& holder) {
    Shape result;
    for (auto const* a = holder.FirstChildElement("xs:attribute"); a != nullptr; a = a->NextSiblingElement("xs:attribute")) {
        std::string kind = text_of(*a, "type"), choices, min, max;
        if (auto const* simple = a->FirstChildElement("xs:simpleType")) {
            auto const* restriction = simple->FirstChildElement("xs:restriction");
            kind = text_of(*restriction, "base") == "xs:integer" ? "integer" : "choice";
            for (auto const* e = restriction->FirstChildElement(); e != nullptr; e = e->NextSiblingElement()) {
                if (std::string(e->Name()) == "xs:enumeration") choices += text_of(*e, "value") + " ";
                if (std::string(e->Name()) == "xs:minInclusive") min = text_of(*e, "value");
                if (std::string(e->Name()) == "xs:maxInclusive") max = text_of(*e, "value");
            }
        }
        std::string line = shape(kind, text_of(*a, "use") == "required", text_of(*a, "default"), choices, min, max);
        EXPECT_TRUE(result.emplace(text_of(*a, "name"), std::move(line)).second);
    }
    return result;
}

class Schema : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(document_.LoadFile(SOURCE_DIR "/config/cluster.xsd"), tinyxml2::XML_SUCCESS);
        for (auto const* e = document_.RootElement()->FirstChildElement(); e != nullptr; e = e->NextSiblingElement()) {
            named_[e->Name()][text_of(*e, "name")] = e;
        }
    }
    // Where a complex type's attributes stand, and what it extends.
    static XMLElement const& attributes_of(XMLElement const& type, std::string& base) {
        if (auto const* content = type.FirstChildElement("xs:complexContent")) {
            auto const* extension = content->FirstChildElement("xs:extension");
            base = text_of(*extension, "base");
            return *extension;
        }
        return type;
    }
    static std::string documentation(XMLElement const& of) {
        auto const* annotation = of.FirstChildElement("xs:annotation");
        return annotation != nullptr ? annotation->FirstChildElement("xs:documentation")->GetText() : "";
    }
    // name -> type of the elements anywhere below.
    static void elements_in(XMLElement const& of, std::map<std::string, std::string>& found) {
        for (auto const* e = of.FirstChildElement(); e != nullptr; e = e->NextSiblingElement()) {
            if (std::string(e->Name()) == "xs:element") found[text_of(*e, "name")] = text_of(*e, "type");
            elements_in(*e, found);
        }
    }
    std::map<std::string, std::string> elements_of(char const* type) {
        std::map<std::string, std::string> found;
        elements_in(*named_["xs:complexType"].at(type), found);
        return found;
    }

    tinyxml2::XMLDocument document_;
    std::map<std::string, std::map<std::string, XMLElement const*>> named_;
};

TEST_F(Schema, HasTheElementsAndTypesOfTheTableAndNoOthers) {
    std::set<std::string> wanted, found;
    for (ElementInfo const& info : elements()) wanted.emplace(info.name);
    for (TypeInfo const& type : resource_types()) wanted.emplace(type.name);
    for (auto const& [name, ignored] : named_["xs:complexType"]) found.insert(name);
    EXPECT_EQ(found, wanted);
}

TEST_F(Schema, HasTheAttributesOfEveryElement) {
    for (ElementInfo const& info : elements()) {
        std::string base;
        auto const& type = *named_["xs:complexType"].at(std::string(info.name));
        EXPECT_EQ(of_schema(attributes_of(type, base)), of_table(info.attributes)) << info.name;
        EXPECT_EQ(documentation(type), info.description);
    }
}

TEST_F(Schema, HasTheAttributesOfEveryTypeAndTakesItInAGroup) {
    std::map<std::string, std::string> in_group;
    for (TypeInfo const& info : resource_types()) {
        std::string base;
        auto const& type = *named_["xs:complexType"].at(std::string(info.name));
        EXPECT_EQ(of_schema(attributes_of(type, base)), of_table(info.attributes)) << info.name;
        EXPECT_EQ(base, "resource");
        EXPECT_EQ(documentation(type), info.description);
        in_group.emplace(info.name, info.name);
    }
    EXPECT_EQ(elements_of("group"), in_group);
}

TEST_F(Schema, HasTheAttributesOfEveryAgentAndNoOthers) {
    Shape wanted;
    std::vector<std::string_view> names;
    for (TypeInfo const& agent : agents()) {
        names.push_back(agent.name);
        for (auto const& [name, line] : of_table(agent.attributes, true)) {
            auto const [at, added] = wanted.emplace(name, line);
            EXPECT_EQ(at->second, line) << "attribute " << name << " of agent " << agent.name << " is something else in another one";
        }
    }
    ASSERT_EQ(named_["xs:attributeGroup"].size(), 1u);
    EXPECT_EQ(of_schema(*named_["xs:attributeGroup"].at("agent")), wanted);
    auto const& health = *named_["xs:complexType"].at("health");
    EXPECT_EQ(text_of(*health.FirstChildElement("xs:attributeGroup"), "ref"), "agent");
    EXPECT_EQ(element("health").attributes.front().choices, names);
}

TEST_F(Schema, HasASimpleTypeForEveryKind) {
    std::set<std::string> wanted, found;
    for (DefaultRow const& row : defaults()) {
        if (row.kind != "choice" && row.kind != "integer") wanted.insert(row.kind);
    }
    for (auto const& [name, ignored] : named_["xs:simpleType"]) found.insert(name);
    EXPECT_EQ(found, wanted);
}

TEST_F(Schema, NestsElementsAsTheParserDoes) {
    using Elements = std::map<std::string, std::string>;
    Elements const in_cluster{
        {"node", "node"}, {"quorum", "quorum"}, {"timing", "timing"}, {"watchdog", "watchdog"}, {"network", "network"}, {"group", "group"}};
    EXPECT_EQ(elements_of("cluster"), in_cluster);
    EXPECT_EQ(elements_of("node"), (Elements{{"link", "link"}}));
    EXPECT_EQ(elements_of("resource"), (Elements{{"health", "health"}, {"param", "param"}, {"restart", "restart"}}));
}

TEST(Table, DefaultsAreThoseOfTheSpec) {
    auto const result = parse_config(
        test::cluster(
            "<timing/><group name='g'><process name='p' command='x'><health type='process'/><restart/></process></group>"),
        "f");
    ASSERT_TRUE(result.spec) << test::told(result);
    GroupSpec group = result.spec->groups[0];
    ResourceSpec resource = group.resources[0];
    HealthSpec health = resource.health[0];
    EXPECT_EQ(result.spec->timing, Timing{});
    EXPECT_EQ(resource.restart, RestartSpec{});
    HealthSpec plain_health;
    plain_health.type = "process";
    plain_health.attributes = {{"min", "1"}};
    EXPECT_EQ(health, plain_health);
    ResourceSpec plain;
    plain.name = "p";
    plain.type = "process";
    plain.line = 5;
    plain.attributes = resource.attributes;
    plain.health = {health};
    EXPECT_EQ(resource, plain);
    GroupSpec plain_group;
    plain_group.name = "g";
    plain_group.line = 5;
    plain_group.resources = {resource};
    EXPECT_EQ(group, plain_group);
}

TEST(Table, DefaultsAndLimitsAreValidThemselves) {
    auto const check = [](std::vector<Attribute> const& rows, std::string_view of) {
        for (Attribute const& row : rows) {
            bool const duration = row.kind == AttributeKind::duration;
            for (std::string_view value : {row.default_value, row.min, row.max}) {
                if (value.empty()) continue;
                bool const valid = duration                             ? static_cast<bool>(parse_duration(value))
                                   : row.kind == AttributeKind::integer ? static_cast<bool>(parse_integer(value))
                                                                        : true;
                EXPECT_TRUE(valid) << of << " " << row.name;
            }
            if (row.kind == AttributeKind::choice && !row.default_value.empty()) {
                EXPECT_NE(std::find(row.choices.begin(), row.choices.end(), row.default_value), row.choices.end())
                    << of << " " << row.name;
            }
            EXPECT_FALSE(row.description.empty()) << of << " " << row.name;
            EXPECT_FALSE(row.required && !row.default_value.empty()) << of << " " << row.name;
        }
    };
    for (ElementInfo const& info : elements()) check(info.attributes, info.name);
    for (TypeInfo const& info : resource_types()) check(info.attributes, info.name);
    for (TypeInfo const& info : agents()) check(info.attributes, info.name);
}

TEST(Table, NoTypeHidesAnAttributeOfEveryResource) {
    auto const disjoint = [](std::vector<Attribute> const& a, TypeInfo const& b) {
        for (Attribute const& x : a) {
            for (Attribute const& y : b.attributes) EXPECT_NE(x.name, y.name) << b.name;
        }
    };
    for (TypeInfo const& type : resource_types()) disjoint(element("resource").attributes, type);
    for (TypeInfo const& agent : agents()) disjoint(element("health").attributes, agent);
}

TEST(Table, ExamplesOfTypesAreValid) {
    for (TypeInfo const& type : resource_types()) {
        auto const result = parse_config(test::group(std::string(type.example)), "f");
        EXPECT_EQ(test::told(result), "") << type.example;
    }
    for (TypeInfo const& agent : agents()) {
        auto const result =
            parse_config(test::group("<process name='p' command='x'>" + std::string(agent.example) + "</process>"), "f");
        EXPECT_EQ(test::told(result), "") << agent.example;
    }
}

TEST(Show, TellsEveryTypeAgentAndDefault) {
    for (TypeInfo const& type : resource_types()) {
        EXPECT_NE(show_types().find(type.name), std::string::npos);
        auto const text = show_type(type.name);
        ASSERT_TRUE(text);
        for (Attribute const& row : type.attributes) EXPECT_NE(text->find(row.description), std::string::npos);
    }
    for (TypeInfo const& agent : agents()) EXPECT_NE(show_agents().find(agent.description), std::string::npos);
    EXPECT_NE(show_types().find("ip-address    an IPv4 or IPv6 address that clients use, on an interface of the owner (needs root)"),
              std::string::npos);
    EXPECT_NE(show_type("process")->find("Resource type process"), std::string::npos);
    EXPECT_NE(show_type("process")->find("Health agent process"), std::string::npos);
    for (DefaultRow const& row : defaults()) EXPECT_NE(show_defaults().find(row.attribute), std::string::npos);
    EXPECT_NE(show_defaults().find("failover-period      6h"), std::string::npos);
}

TEST(Show, AnUnknownTypeIsToldWithTheNearest) {
    EXPECT_EQ(show_type("proces"), std::nullopt);
    EXPECT_EQ(unknown_type("proces"),
              "there is no type or agent \"proces\"; did you mean \"process\"? known are disk, dummy, filesystem, ip-address, process, script, service, ocf, file-share, network-name, route, print-queue, "
              "http, tcp, exec, ping, arp, dns, redis, postgres, nfs, smb, unit, certificate, pressure, load");
}

TEST(Show, TimingTellsWhatIsLeftForDiskCycles) {
    std::string const text = show_timing(Timing{});
    EXPECT_NE(text.find("in use              50ms    300ms      1s   250ms                400ms              150ms"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("  fast "), std::string::npos);
    EXPECT_NE(text.find("  wan "), std::string::npos);
}

}  // namespace
}  // namespace clusterd
