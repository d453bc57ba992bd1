// The table's rows for resource types and health agents (types.hpp).
#include "config/types.hpp"

namespace clusterd {

namespace {

using Kind = AttributeKind;

Attribute const environment_file{.name = "environment-file",
                                 .kind = Kind::path,
                                 .description = "a file of NAME=value lines, for secrets; on each node, root's, mode 0600",
                                 .secret_file = true};
Attribute const environment{
    .name = "environment", .kind = Kind::environment, .description = "NAME=value words; no secrets (see environment-file)"};
Attribute const user{
    .name = "user", .kind = Kind::name, .description = "run as this user of the node, with that user's groups", .needs_root = true};
Attribute const working_directory{
    .name = "working-directory", .kind = Kind::path, .description = "where the commands are run", .default_value = "/"};

TypeInfo dummy() {
    return {
        .name = "dummy",
        .description = "does nothing, with delays and failures on request; for trying things out and for tests",
        .needs_root = false,
        .attributes =
            {
                {.name = "start-delay",
                 .kind = Kind::duration,
                 .description = "coming online takes this long",
                 .default_value = "0s"},
                {.name = "stop-delay",
                 .kind = Kind::duration,
                 .description = "going offline takes this long",
                 .default_value = "0s"},
                {.name = "probe-delay",
                 .kind = Kind::duration,
                 .description = "finding out its state takes this long",
                 .default_value = "0s"},
                {.name = "fail-start",
                 .kind = Kind::times,
                 .description = "coming online fails so many times, then works",
                 .default_value = "0"},
                {.name = "fail-stop",
                 .kind = Kind::times,
                 .description = "going offline fails so many times, then works",
                 .default_value = "0"},
                {.name = "state-file", .kind = Kind::path, .description = "a file to write `online` or `offline` into"},
                {.name = "crash-after", .kind = Kind::duration, .description = "it fails by itself this long after coming online"},
            },
        .example = R"(<dummy name="one" start-delay="200ms"/>)"};
}

TypeInfo ip_address() {
    return {.name = "ip-address",
            .description = "an IPv4 or IPv6 address that clients use, on an interface of the owner",
            .needs_root = true,
            .attributes =
                {
                    {.name = "address",
                     .kind = Kind::address_prefix,
                     .description = "the address with its prefix length",
                     .required = true},
                    {.name = "interface",
                     .kind = Kind::interface,
                     .description = "where it is added; the same name on both nodes",
                     .required = true},
                    {.name = "announce",
                     .kind = Kind::integer,
                     .description = "gratuitous ARP or unsolicited neighbour advertisements sent when it comes online",
                     .default_value = "5",
                     .min = "1",
                     .max = "100"},
                    {.name = "probe-conflict",
                     .kind = Kind::yes_no,
                     .description = "refuse to come online while another machine answers for it",
                     .default_value = "yes"},
                },
            .example = R"(<ip-address name="web-ip" address="10.0.0.100/24" interface="eth0"/>)"};
}

TypeInfo process() {
    return {
        .name = "process",
        .description = "a command that is started and watched; its exit is known at once",
        .needs_root = false,
        .attributes =
            {
                {.name = "command",
                 .kind = Kind::command,
                 .description = "what to run, in the foreground; words and quotes as in a shell, but no shell runs it",
                 .required = true},
                {.name = "stop-command", .kind = Kind::command, .description = "run to stop it, instead of the stop signal"},
                {.name = "stop-signal",
                 .kind = Kind::choice,
                 .description = "sent to stop it",
                 .default_value = "TERM",
                 .choices = {"TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL"}},
                {.name = "stop-timeout",
                 .kind = Kind::duration,
                 .description = "what still runs this long after that is killed",
                 .default_value = "10s",
                 .max = "1d"},
                environment,
                environment_file,
                user,
                working_directory,
                {.name = "ready",
                 .kind = Kind::ready,
                 .description = "online when it runs, when its port takes connections, or when a file exists",
                 .default_value = "started"},
            },
        .example = R"(<process name="web-server" command="/usr/sbin/nginx -g 'daemon off;'" stop-signal="QUIT" ready="tcp:80"/>)"};
}

TypeInfo script() {
    return {.name = "script",
            .description = "whatever three commands start, stop and tell the status of",
            .needs_root = false,
            .attributes =
                {
                    {.name = "start",
                     .kind = Kind::command,
                     .description = "brings it online, then exits 0; may leave processes behind",
                     .required = true},
                    {.name = "stop",
                     .kind = Kind::command,
                     .description = "takes it offline, then exits 0; must succeed where it is offline already",
                     .required = true},
                    {.name = "status",
                     .kind = Kind::command,
                     .description = "exits 0 where it is online, 3 or 7 where offline, else failed",
                     .required = true},
                    environment,
                    environment_file,
                    user,
                    working_directory,
                    {.name = "status-every",
                     .kind = Kind::duration,
                     .description = "how often status is run while online",
                     .default_value = "10s",
                     .min = "100ms",
                     .max = "1d"},
                },
            .example = R"(<script name="job" start="/opt/job/ctl start" stop="/opt/job/ctl stop" status="/opt/job/ctl status"/>)"};
}

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
                environment_file,
            },
        .example = R"(<health type="exec" command="/usr/lib/nagios/plugins/check_load -w 8 -c 16" every="30s" timeout="10s"/>)"};
}

TypeInfo const* find_in(std::vector<TypeInfo> const& table, std::string_view name) {
    for (TypeInfo const& info : table) {
        if (info.name == name) return &info;
    }
    return nullptr;
}

}  // namespace

std::vector<TypeInfo> const& resource_types() {
    static std::vector<TypeInfo> const table{dummy(), ip_address(), process(), script()};
    return table;
}

std::vector<TypeInfo> const& agents() {
    static std::vector<TypeInfo> const table{http(), tcp(), process_agent(), exec()};
    return table;
}

TypeInfo const* find_type(std::string_view name) {
    return find_in(resource_types(), name);
}
TypeInfo const* find_agent(std::string_view name) {
    return find_in(agents(), name);
}

std::vector<std::string_view> const& planned_types() {
    static std::vector<std::string_view> const names{"disk", "filesystem", "service", "file-share"};
    return names;
}

std::vector<std::string_view> const& planned_elements() {
    static std::vector<std::string_view> const names{"emergency"};
    return names;
}

}  // namespace clusterd
