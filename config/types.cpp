// The table's rows for elements, and what the kinds of attributes are called (types.hpp).
#include "config/types.hpp"

#include <cassert>

namespace clusterd {

namespace {

using Kind = AttributeKind;

struct KindRow {
    std::string_view name, allowed;
};

KindRow kind_row(Kind kind) {
    switch (kind) {
        case Kind::name:
            return {"name", "a name: letters, digits, '.', '_' and '-', at most 63"};
        case Kind::names:
            return {"names", "names of nodes, separated by blanks"};
        case Kind::text:
            return {"text", "text"};
        case Kind::escaped_text:
            return {"escaped-text", R"(text; \r \n \t \0 \\ \xHH are understood)"};
        case Kind::command:
            return {"command", "a command line; quotes as in a shell, no shell"};
        case Kind::environment:
            return {"environment", "NAME=value words, separated by blanks; quotes as in a shell"};
        case Kind::duration:
            return {"duration", "a duration"};
        case Kind::integer:
            return {"integer", "a whole number"};
        case Kind::yes_no:
            return {"yes-no", "yes or no"};
        case Kind::choice:
            return {"choice", "one of"};
        case Kind::path:
            return {"path", "an absolute path"};
        case Kind::address:
            return {"address", "an IPv4 or IPv6 address"};
        case Kind::addresses:
            return {"addresses", "one or several IPv4 or IPv6 addresses, separated by blanks"};
        case Kind::address_prefix:
            return {"address-prefix", "an address with its prefix length, such as 10.0.0.100/24 or fd00::100/64"};
        case Kind::network:
            return {"network-prefix", "a network, such as 10.1.0.0/16, fd00:1::/64, 0.0.0.0/0 or ::/0"};
        case Kind::gateway:
            return {"gateway", "an IPv4 or IPv6 address, also a link-local one"};
        case Kind::interface:
            return {"interface", "a network interface's name, at most 15 characters"};
        case Kind::unit:
            return {"unit", "a systemd service's name, such as nginx.service"};
        case Kind::ocf_agent:
            return {"ocf-agent", "an OCF agent's provider and type, such as heartbeat:pgsql"};
        case Kind::url:
            return {"url", "a URL that starts with http:// or https://, without a login"};
        case Kind::status_range:
            return {"status-range", "an HTTP status or a range, such as 200 or 200-399"};
        case Kind::header:
            return {"header", "a header, Name: value"};
        case Kind::times:
            return {"times", "a number of times, or always"};
        case Kind::ready:
            return {"ready", "started, tcp:PORT or file:/PATH"};
        case Kind::depends:
            return {"depends", "names of resources of the group, with and, or, parentheses"};
        case Kind::dns_name:
            return {"dns-name", "a fully qualified name, such as www.example.com"};
        case Kind::uuid:
            return {"uuid", "a UUID, such as blkid prints"};
        case Kind::failback:
            return {"failback", "never, immediate or a window of the day such as 22:00-04:00"};
    }
    return {"", ""};
}

std::vector<ElementInfo> make_elements() {
    return {
        {"cluster",
         "the file itself",
         "the pair and everything it runs",
         {{.name = "name", .kind = Kind::name, .description = "the cluster's name", .required = true},
          {.name = "version",
           .kind = Kind::integer,
           .description = "counted up by whoever changes the file",
           .default_value = "1",
           .min = "1"}}},
        {"node",
         "<cluster>",
         "a machine of the pair; exactly two",
         {{.name = "name", .kind = Kind::name, .description = "the node's name, given to clusterd as --node", .required = true}}},
        {"link",
         "<node>",
         "a network path for heartbeats; the first of one node talks to the first of the other, and so on",
         {{.name = "address", .kind = Kind::address, .description = "this node's own address on it", .required = true},
          {.name = "port",
           .kind = Kind::integer,
           .description = "UDP and TCP port",
           .default_value = "7780",
           .min = "1",
           .max = "65535"}}},
        {"quorum",
         "<cluster>",
         "the third vote; at most one",
         {{.name = "disk",
           .kind = Kind::path,
           .description = "the small shared disk: a block device, the same path on both nodes",
           .required = true}}},
        {"timing",
         "<cluster>",
         "how fast a failure is seen and acted on; at most one",
         {{.name = "profile",
           .kind = Kind::choice,
           .description = "where the values that aren't given come from",
           .default_value = "default",
           .choices = {"default", "fast", "wan"}},
          {.name = "heartbeat",
           .kind = Kind::duration,
           .description = "H: interval of heartbeats, and of disk cycles while seeking",
           .min = "1ms",
           .max = "1min"},
          {.name = "suspect",
           .kind = Kind::duration,
           .description = "no grant of the peer's for this long: it is suspected",
           .min = "2ms",
           .max = "10min"},
          {.name = "permit", .kind = Kind::duration, .description = "P: how long a permit lasts", .min = "10ms", .max = "1h"},
          {.name = "kill",
           .kind = Kind::duration,
           .description = "K: the emergency stop starts this long before the permit ends",
           .min = "1ms",
           .max = "10min"}}},
        {"watchdog",
         "<cluster>",
         "the machine's watchdog device, which resets it when clusterd can't stop what it must; at most one",
         {{.name = "device", .kind = Kind::path, .description = "the same path on both nodes; nothing else may use it", .required = true},
          {.name = "timeout",
           .kind = Kind::duration,
           .description = "reset so long after it was last fed, in whole seconds; a permit and a second where not given",
           .min = "1s",
           .max = "10min"}}},
        {"network",
         "<cluster>",
         "a network that clients come from, watched on both nodes",
         {{.name = "name", .kind = Kind::name, .description = "for messages", .required = true},
          {.name = "interface", .kind = Kind::interface, .description = "the same name on both nodes", .required = true},
          {.name = "ping",
           .kind = Kind::addresses,
           .description = "well while one of these answers; without it only the carrier counts"}}},
        {"group",
         "<cluster>",
         "resources that live and move together",
         {{.name = "name", .kind = Kind::name, .description = "the group's name", .required = true},
          {.name = "preferred", .kind = Kind::name, .description = "the node it is started on first and comes home to"},
          {.name = "failback",
           .kind = Kind::failback,
           .description = "when it moves home by itself after a failover (the node's local time)",
           .default_value = "never"},
          {.name = "failover-limit",
           .kind = Kind::integer,
           .description = "failovers by failure within failover-period; 0: never",
           .default_value = "2",
           .min = "0",
           .max = "1000"},
          {.name = "failover-period",
           .kind = Kind::duration,
           .description = "the sliding window of failover-limit",
           .default_value = "6h",
           .min = "1s"},
          {.name = "start",
           .kind = Kind::choice,
           .description = "at the cluster's start",
           .default_value = "auto",
           .choices = {"auto", "manual", "as-was"}},
          {.name = "priority",
           .kind = Kind::integer,
           .description = "of groups that start on a node at the same time, those with a higher one come online first",
           .default_value = "0",
           .min = "-1000",
           .max = "1000"},
          {.name = "apart", .kind = Kind::name, .description = "a group that it isn't to share a node with while there are two"},
          {.name = "after", .kind = Kind::name, .description = "a group that is to be online before this one starts, on whichever node"}}},
        {"resource",
         "<group>",
         "what every resource has, whatever its type",
         {{.name = "name", .kind = Kind::name, .description = "unique over nodes, groups and resources", .required = true},
          {.name = "depends",
           .kind = Kind::depends,
           .description = "what must be online before it; blanks mean and, which binds tighter than or"},
          {.name = "possible", .kind = Kind::names, .description = "the nodes it may run on; without it both"},
          {.name = "affects-group",
           .kind = Kind::yes_no,
           .description = "its failure makes the group fail over",
           .default_value = "yes"},
          {.name = "retry-after",
           .kind = Kind::duration,
           .description = "when what stays failed is tried again; doubles, at most an hour",
           .default_value = "1min",
           .min = "100ms",
           .max = "1d"},
          {.name = "online-timeout",
           .kind = Kind::duration,
           .description = "coming online takes longer: failed",
           .default_value = "3min",
           .min = "10ms",
           .max = "1d"},
          {.name = "offline-timeout",
           .kind = Kind::duration,
           .description = "going offline takes longer: killed",
           .default_value = "3min",
           .min = "10ms",
           .max = "1d"},
          {.name = "isolate",
           .kind = Kind::yes_no,
           .description = "a process of its own for its driver and checks",
           .default_value = "no"}}},
        {"param",
         "<ocf>",
         "a parameter of the agent, as its meta-data names it; several are allowed",
         {{.name = "name", .kind = Kind::text, .description = "the parameter's name", .required = true},
          {.name = "value", .kind = Kind::text, .description = "its value; no secrets (see value-file)"},
          {.name = "value-file",
           .kind = Kind::path,
           .description = "a file whose first line is its value, for secrets; on each node, root's, mode 0600",
           .secret_file = true}}},
        {"health",
         "any resource",
         "a check of the resource while it is online; several are allowed",
         {{.name = "type",
           .kind = Kind::choice,
           .description = "which agent checks",
           .required = true,
           .choices = {"http", "tcp", "process", "exec", "ping", "arp", "dns", "redis", "postgres", "nfs", "smb", "unit", "certificate", "disk",
                       "pressure", "load"}},
          {.name = "every", .kind = Kind::duration, .description = "how often", .default_value = "1s", .min = "10ms", .max = "1d"},
          {.name = "timeout",
           .kind = Kind::duration,
           .description = "a check that takes longer has failed",
           .default_value = "1s",
           .min = "1ms",
           .max = "1h"},
          {.name = "failures",
           .kind = Kind::integer,
           .description = "so many failed in a row make the resource fail",
           .default_value = "2",
           .min = "1",
           .max = "1000"},
          {.name = "unknown-failures",
           .kind = Kind::integer,
           .description = "so many unknown in a row do, too; 0: never",
           .default_value = "0",
           .min = "0",
           .max = "1000"}}},
        {"restart",
         "any resource",
         "what a failure does first; at most one",
         {{.name = "limit",
           .kind = Kind::integer,
           .description = "restarts on the same node within period, then the group fails over",
           .default_value = "3",
           .min = "0",
           .max = "1000"},
          {.name = "period",
           .kind = Kind::duration,
           .description = "the sliding window of limit",
           .default_value = "15min",
           .min = "1s"},
          {.name = "delay",
           .kind = Kind::duration,
           .description = "wait this long before a restart",
           .default_value = "0s",
           .max = "1h"}}},
    };
}

}  // namespace

std::string_view kind_name(Kind kind) {
    return kind_row(kind).name;
}
std::string_view kind_allowed(Kind kind) {
    return kind_row(kind).allowed;
}

std::string allowed_text(Attribute const& attribute) {
    std::string text(kind_allowed(attribute.kind));
    if (attribute.kind == Kind::choice) {
        char const* between = " ";
        for (std::string_view choice : attribute.choices) {
            text += between + std::string(choice);
            between = ", ";
        }
    }
    if (!attribute.min.empty() && !attribute.max.empty()) {
        text += " from " + std::string(attribute.min) + " to " + std::string(attribute.max);
    } else if (!attribute.min.empty()) {
        text += ", at least " + std::string(attribute.min);
    } else if (!attribute.max.empty()) {
        text += ", at most " + std::string(attribute.max);
    }
    return text;
}

std::vector<ElementInfo> const& elements() {
    static std::vector<ElementInfo> const table = make_elements();
    return table;
}

ElementInfo const& element(std::string_view name) {
    for (ElementInfo const& info : elements()) {
        if (info.name == name) return info;
    }
    assert(false && "an element that isn't in the table");
    return elements().front();
}

std::vector<Timing> const& timing_profiles() {
    using std::chrono::milliseconds;
    static std::vector<Timing> const table = [] {
        Timing fast{.profile = "fast",
                    .heartbeat = milliseconds(20),
                    .suspect = milliseconds(100),
                    .permit = milliseconds(300),
                    .kill = milliseconds(80)};
        Timing wan{.profile = "wan",
                   .heartbeat = milliseconds(1000),
                   .suspect = milliseconds(5000),
                   .permit = milliseconds(15000),
                   .kill = milliseconds(3000)};
        return std::vector<Timing>{Timing{}, fast, wan};
    }();
    return table;
}

}  // namespace clusterd
