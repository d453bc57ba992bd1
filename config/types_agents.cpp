// The table's rows for health agents (types.hpp). All agents share one <health> in cluster.xsd: an attribute of the same name means the
// same kind of thing in each.
#include "config/types.hpp"

namespace clusterd {

namespace {

using Kind = AttributeKind;

TypeInfo http() {
    return {.name = "http",
            .description = "fetches a URL and looks at status, headers and body",
            .needs_root = false,
            .attributes =
                {
                    {.name = "url", .kind = Kind::url, .description = "what to fetch; no login in it", .required = true},
                    {.name = "status",
                     .kind = Kind::status_range,
                     .description = "the status or range of statuses that is ok",
                     .default_value = "200-399"},
                    {.name = "body", .kind = Kind::text, .description = "text that the answer must contain"},
                    {.name = "header", .kind = Kind::header, .description = "a header that the answer must have"},
                    {.name = "method",
                     .kind = Kind::choice,
                     .description = "how to ask",
                     .default_value = "GET",
                     .choices = {"GET", "HEAD", "OPTIONS", "POST"}},
                    {.name = "tls-verify",
                     .kind = Kind::yes_no,
                     .description = "the certificate must be valid and for that name",
                     .default_value = "yes"},
                    {.name = "ca-file", .kind = Kind::path, .description = "certificates (PEM) to trust instead of the system's"},
                    {.name = "connect",
                     .kind = Kind::address,
                     .description = "connect to this address instead of resolving the URL's name"},
                    {.name = "request-header",
                     .kind = Kind::header,
                     .description = "a header to send; no secrets (see request-header-file)"},
                    {.name = "request-header-file",
                     .kind = Kind::path,
                     .description = "a file of headers to send, one a line, for secrets; on each node, root's, mode 0600",
                     .secret_file = true},
                    {.name = "user", .kind = Kind::text, .description = "log in as (basic authentication); needs password-file"},
                    {.name = "password-file",
                     .kind = Kind::path,
                     .description = "a file whose first line is that user's password; on each node, root's, mode 0600",
                     .secret_file = true},
                },
            .example = R"(<health type="http" url="http://10.0.0.100/healthz" every="1s" timeout="300ms"/>)"};
}

TypeInfo tcp() {
    return {.name = "tcp",
            .description = "connects, and may send something and wait for an answer",
            .needs_root = false,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "where to connect to", .required = true},
                    {.name = "port",
                     .kind = Kind::integer,
                     .description = "and to which port",
                     .required = true,
                     .min = "1",
                     .max = "65535"},
                    {.name = "send", .kind = Kind::escaped_text, .description = "sent once connected"},
                    {.name = "expect", .kind = Kind::escaped_text, .description = "must come back"},
                },
            .example = R"(<health type="tcp" address="10.0.0.100" port="6379" send="PING\r\n" expect="+PONG"/>)"};
}

TypeInfo process_agent() {
    return {.name = "process",
            .description = "counts the processes of the resource (of type process)",
            .needs_root = false,
            .attributes =
                {
                    {.name = "min",
                     .kind = Kind::integer,
                     .description = "fewer have failed",
                     .default_value = "1",
                     .min = "1",
                     .max = "1000000"},
                    {.name = "max", .kind = Kind::integer, .description = "more are degraded", .min = "1", .max = "1000000"},
                },
            .example = R"(<health type="process" min="2" every="5s"/>)"};
}

TypeInfo exec() {
    return {
        .name = "exec",
        .description = "runs a monitoring plugin: exit 0 ok, 1 degraded, 2 failed, anything else unknown",
        .needs_root = false,
        .attributes =
            {
                {.name = "command",
                 .kind = Kind::command,
                 .description = "the plugin and its arguments; its first line of output is shown",
                 .required = true},
                {.name = "environment-file",
                 .kind = Kind::path,
                 .description = "a file of NAME=value lines, for secrets; on each node, root's, mode 0600",
                 .secret_file = true},
            },
        .example = R"(<health type="exec" command="/usr/lib/nagios/plugins/check_load -w 8 -c 16" every="30s" timeout="10s"/>)"};
}

Attribute port(std::string_view of, std::string_view usual) {
    return {.name = "port", .kind = Kind::integer, .description = of, .default_value = usual, .min = "1", .max = "65535"};
}
Attribute percent(std::string_view name, std::string_view description, std::string_view usual, std::string_view max) {
    return {.name = name, .kind = Kind::integer, .description = description, .default_value = usual, .min = "0", .max = max};
}

TypeInfo ping() {
    return {.name = "ping",
            .description = "asks an address for an echo (ICMP), such as the gateway's",
            .needs_root = false,
            .attributes = {{.name = "address", .kind = Kind::address, .description = "who must answer", .required = true}},
            .example = R"(<health type="ping" address="10.0.0.254" every="5s"/>)"};
}

TypeInfo arp() {
    return {.name = "arp",
            .description = "asks, below IP, for the machine that has an address, such as a gateway that answers no pings",
            .needs_root = true,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "whom to ask for", .required = true},
                    {.name = "interface", .kind = Kind::interface, .description = "and on which network interface", .required = true},
                },
            .example = R"(<health type="arp" address="10.0.0.254" interface="eth0" every="5s"/>)"};
}

TypeInfo dns() {
    return {.name = "dns",
            .description = "asks a DNS server for a name",
            .needs_root = false,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "the server to ask", .required = true},
                    port("and its port (UDP)", "53"),
                    {.name = "name", .kind = Kind::text, .description = "the name to ask for", .required = true},
                    {.name = "record", .kind = Kind::choice, .description = "and the record", .default_value = "A", .choices = {"A", "AAAA"}},
                    {.name = "answer", .kind = Kind::address, .description = "must be among the answers; without it any answer will do"},
                },
            .example = R"(<health type="dns" address="10.0.0.100" name="www.example.com" answer="10.0.0.80"/>)"};
}

TypeInfo redis() {
    return {.name = "redis",
            .description = "asks a Redis server whether it serves: PING, and its role if one is wanted",
            .needs_root = false,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "where to connect to", .required = true},
                    port("and to which port", "6379"),
                    {.name = "user", .kind = Kind::text, .description = "log in as; needs password-file"},
                    {.name = "password-file",
                     .kind = Kind::path,
                     .description = "a file whose first line is the password; on each node, root's, mode 0600",
                     .secret_file = true},
                    {.name = "role", .kind = Kind::choice, .description = "what it must be in a replication", .choices = {"master", "replica"}},
                },
            .example = R"(<health type="redis" address="10.0.0.100" role="master"/>)"};
}

TypeInfo postgres() {
    return {.name = "postgres",
            .description = "asks a PostgreSQL server whether it takes clients, and a query if it may log in",
            .needs_root = false,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "where to connect to", .required = true},
                    port("and to which port", "5432"),
                    {.name = "user", .kind = Kind::text, .description = "log in as; without it the server is only asked whether it takes clients"},
                    {.name = "password-file",
                     .kind = Kind::path,
                     .description = "a file whose first line is that user's password; on each node, root's, mode 0600",
                     .secret_file = true},
                    {.name = "database", .kind = Kind::text, .description = "log in to; without it the user's own; needs user"},
                    {.name = "query", .kind = Kind::text, .description = "what to ask, instead of SELECT 1; needs user"},
                },
            .example = R"(<health type="postgres" address="10.0.0.100" user="monitor" password-file="/etc/clusterd/secrets/pg" database="shop" every="2s"/>)"};
}

TypeInfo unit() {
    return {.name = "unit",
            .description = "looks whether a systemd unit is active, such as one that runs on both nodes and the resource needs",
            .needs_root = false,
            .attributes = {{.name = "unit", .kind = Kind::unit, .description = "the unit", .required = true}},
            .example = R"(<health type="unit" unit="smbd.service" every="5s"/>)"};
}

TypeInfo certificate() {
    return {.name = "certificate",
            .description = "looks when a TLS server's certificate ends: degraded before that, failed after",
            .needs_root = false,
            .attributes =
                {
                    {.name = "url", .kind = Kind::url, .description = "the server, as https://NAME[:PORT]", .required = true},
                    {.name = "connect",
                     .kind = Kind::address,
                     .description = "connect to this address instead of resolving the URL's name"},
                    {.name = "days",
                     .kind = Kind::integer,
                     .description = "degraded from so many days before it ends",
                     .default_value = "14",
                     .min = "0",
                     .max = "3650"},
                },
            .example = R"(<health type="certificate" url="https://www.example.com" connect="10.0.0.100" every="1h" timeout="5s"/>)"};
}

TypeInfo disk() {
    return {.name = "disk",
            .description = "writes a small file, reads it back from the disk and compares",
            .needs_root = false,
            .attributes =
                {
                    {.name = "path", .kind = Kind::path, .description = "a folder on the filesystem that is meant", .required = true},
                    percent("min-free", "degraded where less than so many percent of it are free", "0", "100"),
                },
            .example = R"(<health type="disk" path="/srv/web" min-free="5" every="10s" timeout="5s"/>)"};
}

TypeInfo nfs() {
    return {.name = "nfs",
            .description = "asks an NFS server whether it serves a version",
            .needs_root = false,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "where to connect to", .required = true},
                    port("and to which port", "2049"),
                    {.name = "version", .kind = Kind::integer, .description = "of NFS", .default_value = "4", .min = "3", .max = "4"},
                },
            .example = R"(<health type="nfs" address="10.0.0.100" every="5s"/>)"};
}

TypeInfo smb() {
    return {.name = "smb",
            .description = "asks an SMB server for its dialect, and whether it has a share",
            .needs_root = false,
            .attributes =
                {
                    {.name = "address", .kind = Kind::address, .description = "where to connect to", .required = true},
                    port("and to which port", "445"),
                    {.name = "share", .kind = Kind::text, .description = "must be there (asked for with smbclient, without a login where there is no user)"},
                    {.name = "user", .kind = Kind::text, .description = "log in as; needs share and password-file"},
                    {.name = "password-file",
                     .kind = Kind::path,
                     .description = "a file whose first line is the password; on each node, root's, mode 0600",
                     .secret_file = true},
                },
            .example = R"(<health type="smb" address="10.0.0.100" share="docs" every="5s" timeout="3s"/>)"};
}

TypeInfo pressure() {
    return {.name = "pressure",
            .description = "how long this node's processes wait for CPU, memory or disks (the kernel's pressure stall information)",
            .needs_root = false,
            .attributes =
                {
                    {.name = "of", .kind = Kind::choice, .description = "for what they wait", .required = true, .choices = {"cpu", "memory", "io"}},
                    percent("degraded", "degraded where some waited so many percent of the last 10 s", "60", "100000"),
                    percent("failed", "failed where they waited so many; 0: never", "0", "100000"),
                },
            .example = R"(<health type="pressure" of="memory" degraded="30" every="10s"/>)"};
}

TypeInfo load() {
    return {.name = "load",
            .description = "this node's load of the last minute, in percent of its CPUs",
            .needs_root = false,
            .attributes =
                {
                    percent("degraded", "degraded from so many percent on", "400", "100000"),
                    percent("failed", "failed from so many on; 0: never", "0", "100000"),
                },
            .example = R"(<health type="load" degraded="300" every="10s"/>)"};
}

}  // namespace

std::vector<TypeInfo> const& agents() {
    static std::vector<TypeInfo> const table{http(), tcp(),   process_agent(), exec(), ping(), arp(),      dns(),
                                             redis(), postgres(), nfs(), smb(), unit(), certificate(), disk(), pressure(), load()};
    return table;
}

}  // namespace clusterd
