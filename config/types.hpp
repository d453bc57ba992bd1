// The one table of what a configuration may say: elements, resource types, health agents, their attributes and defaults.
//
// parse.cpp checks files against it, show.cpp prints it (clusterctl show types|type|agents|defaults), and a unit test holds
// cluster.xsd against it. A new type is one more block in types_resources.cpp, its element in cluster.xsd, and its driver.
#pragma once

#include "clusterd/core/spec.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// What an attribute's text must be. cluster.xsd has a simple type of the name kind_name() gives (choice: an enumeration).
enum class AttributeKind : std::uint8_t {
    name,          // of something defined here, or of what it refers to
    names,         // of nodes, separated by blanks
    text,          // anything but empty
    escaped_text,  // text with \r \n \t \0 \\ \xHH
    command,       // words.hpp
    environment,   // NAME=value words
    duration,      // number and unit
    integer,       // within min..max
    yes_no,
    choice,          // one of `choices`
    path,            // absolute
    address,         // IPv4 or IPv6 literal
    addresses,       // several, separated by blanks
    address_prefix,  // 10.0.0.100/24
    network,         // 10.1.0.0/16, 0.0.0.0/0
    gateway,         // an address, also a link-local one
    interface,       // a network interface's name
    unit,            // a systemd service's name
    ocf_agent,       // PROVIDER:TYPE
    url,             // http or https, without login
    status_range,    // 200 or 200-399
    header,          // "Name: value"
    times,           // a number of times, or always
    ready,           // started | tcp:PORT | file:/PATH
    depends,         // names, and, or, parentheses
    uuid,            // as blkid prints it
    dns_name,        // www.example.com
    failback,        // never | immediate | HH:MM-HH:MM
};
std::string_view kind_name(AttributeKind kind);     // "yes-no": also the simple type's name in cluster.xsd
std::string_view kind_allowed(AttributeKind kind);  // for people: what may stand there

struct Attribute {
    std::string_view name;
    AttributeKind kind = AttributeKind::text;
    std::string_view description;  // one line
    bool required = false;
    std::string_view default_value = {};  // empty = none
    std::vector<std::string_view> choices = {};
    std::string_view min = {}, max = {};  // integer, duration: inclusive; empty = the kind's own
    bool needs_root = false;              // the daemon must run as root where it is given
    std::vector<std::string_view> planned = {};  // choices that the design names and this version doesn't have
    bool secret_file = false;             // a path to a file that holds secrets: the form to use instead of writing them here
};
// "a duration from 1ms to 1h", "one of: yes, no": made from the row.
std::string allowed_text(Attribute const& attribute);

// A resource type or a health agent.
struct TypeInfo {
    std::string_view name;
    std::string_view description;
    bool needs_root = false;
    std::vector<Attribute> attributes;  // its own, beside those of every resource (or every <health>)
    std::string_view example = {};
};
std::vector<TypeInfo> const& resource_types();
std::vector<TypeInfo> const& agents();
TypeInfo const* find_type(std::string_view name);  // null = unknown
TypeInfo const* find_agent(std::string_view name);

// Types and cluster-wide elements that the design names and this version doesn't have.
std::vector<std::string_view> const& planned_types();
std::vector<std::string_view> const& planned_elements();

// An element that isn't a type. "resource" stands for what every resource has; it is not an element's name in a file.
struct ElementInfo {
    std::string_view name;
    std::string_view parents;  // for people
    std::string_view description;
    std::vector<Attribute> attributes;
};
std::vector<ElementInfo> const& elements();
ElementInfo const& element(std::string_view name);  // must exist

// The values of <timing profile="...">, of protocol.md.
std::vector<Timing> const& timing_profiles();

}  // namespace clusterd
