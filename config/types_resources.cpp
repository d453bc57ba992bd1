// The table's rows for resource types (types.hpp); those for health agents are in types_agents.cpp.
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

TypeInfo disk() {
    return {.name = "disk",
            .description = "a disk that both nodes reach: it is there, the right one, and answers",
            .needs_root = true,
            .attributes =
                {
                    {.name = "device",
                     .kind = Kind::path,
                     .description = "the block device; a name that is the same on both nodes and of this disk alone, as in /dev/disk/by-id",
                     .required = true},
                    {.name = "uuid", .kind = Kind::uuid, .description = "of the ext2/3/4 or xfs filesystem or of the GPT on it: a disk with another one is refused"},
                    {.name = "size",
                     .kind = Kind::integer,
                     .description = "its bytes, as blockdev --getsize64 prints: a disk of another size is refused",
                     .min = "512",
                     .max = "9223372036854775807"},
                    {.name = "check-every",
                     .kind = Kind::duration,
                     .description = "how often a block of it is read while online",
                     .default_value = "5s",
                     .min = "100ms",
                     .max = "1d"},
                    {.name = "check-timeout",
                     .kind = Kind::duration,
                     .description = "a read that takes longer: failed",
                     .default_value = "10s",
                     .min = "10ms",
                     .max = "1h"},
                    {.name = "protection",
                     .kind = Kind::choice,
                     .description = "what keeps a node that goes dark from writing to it: this version has the permit only",
                     .default_value = "permit",
                     .choices = {"permit"},
                     .planned = {"reservation", "fence", "watchdog"}},
                },
            .example = R"(<disk name="web-disk" device="/dev/disk/by-id/wwn-1"/>)"};
}

TypeInfo filesystem() {
    return {.name = "filesystem",
            .description = "a filesystem on a disk that both nodes reach, mounted on the owner only",
            .needs_root = true,
            .attributes =
                {
                    {.name = "device",
                     .kind = Kind::path,
                     .description = "the block device; a name that is the same on both nodes",
                     .required = true},
                    {.name = "mount", .kind = Kind::path, .description = "the directory to mount it at; on both nodes", .required = true},
                    {.name = "type",
                     .kind = Kind::choice,
                     .description = "what it is; both can be shut down from one moment to the next",
                     .required = true,
                     .choices = {"ext4", "xfs"}},
                    {.name = "options", .kind = Kind::text, .description = "for mount -o, such as noatime"},
                    {.name = "fsck",
                     .kind = Kind::choice,
                     .description = "ext4: e2fsck -p before each mount, which does nothing where all is well; always: with -f",
                     .default_value = "auto",
                     .choices = {"auto", "always", "never"}},
                    {.name = "protection",
                     .kind = Kind::choice,
                     .description = "what ends its writes on a node that goes dark: this version has the permit only",
                     .choices = {"permit"},
                     .planned = {"reservation", "fence", "watchdog"}},
                },
            .example = R"(<filesystem name="data" device="/dev/disk/by-id/wwn-1" mount="/srv/data" type="ext4" protection="permit"/>)"};
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

TypeInfo service() {
    return {.name = "service",
            .description = "a systemd unit; its failure is known at once",
            .needs_root = true,
            .attributes =
                {
                    {.name = "unit", .kind = Kind::unit, .description = "the unit; not to be enabled at boot on either node", .required = true},
                },
            .example = R"(<service name="web-server" unit="nginx.service"/>)"};
}

TypeInfo ocf() {
    return {.name = "ocf",
            .description = "an OCF agent of the package resource-agents, or of one's own",
            .needs_root = true,
            .attributes =
                {
                    {.name = "agent", .kind = Kind::ocf_agent, .description = "which; its parameters are <param> elements", .required = true},
                    {.name = "monitor-every",
                     .kind = Kind::duration,
                     .description = "how often its monitor is run while online; without it as often as its meta-data suggests, else 10s",
                     .min = "100ms",
                     .max = "1d"},
                    {.name = "monitor-timeout",
                     .kind = Kind::duration,
                     .description = "one that takes longer says nothing: unknown; without it as its meta-data suggests, else 20s",
                     .min = "100ms",
                     .max = "1h"},
                    {.name = "check-level",
                     .kind = Kind::integer,
                     .description = "a deeper monitor is run, too (OCF_CHECK_LEVEL), as its meta-data offers it",
                     .min = "1",
                     .max = "100"},
                    {.name = "check-every", .kind = Kind::duration, .description = "how often that is", .default_value = "1min", .min = "1s", .max = "1d"},
                },
            .example = R"(<ocf name="db" agent="heartbeat:pgsql"> <param name="pgdata" value="/srv/db"/> </ocf>)"};
}

TypeInfo file_share() {
    return {.name = "file-share",
            .description = "a directory that a running Samba or NFS server offers on the owner only",
            .needs_root = true,
            .attributes =
                {
                    {.name = "protocol",
                     .kind = Kind::choice,
                     .description = "smb: a share of Samba; nfs: an export",
                     .required = true,
                     .choices = {"smb", "nfs"}},
                    {.name = "path", .kind = Kind::path, .description = "the directory", .required = true},
                    {.name = "share", .kind = Kind::text, .description = "what clients call it; without it the resource's name (nfs: as a path, /NAME)"},
                    {.name = "read-only", .kind = Kind::yes_no, .description = "clients can't write", .default_value = "no"},
                    {.name = "comment", .kind = Kind::text, .description = "smb: shown where shares are listed"},
                    {.name = "browseable", .kind = Kind::yes_no, .description = "smb: listed where shares are listed", .default_value = "yes"},
                    {.name = "guest", .kind = Kind::yes_no, .description = "smb: without a password, too", .default_value = "no"},
                    {.name = "valid-users", .kind = Kind::text, .description = "smb: only these users and @groups; without it all who can log in"},
                    {.name = "server",
                     .kind = Kind::choice,
                     .description = "nfs: nfs-ganesha, or the kernel's own",
                     .default_value = "ganesha",
                     .choices = {"ganesha", "kernel"}},
                    {.name = "clients",
                     .kind = Kind::text,
                     .description = "nfs: who may mount it: addresses, networks, names, separated by blanks",
                     .default_value = "*"},
                    {.name = "squash",
                     .kind = Kind::choice,
                     .description = "nfs: which users of clients become nobody",
                     .default_value = "root",
                     .choices = {"root", "all", "none"}},
                    {.name = "export-id",
                     .kind = Kind::integer,
                     .description = "nfs: part of clients' file handles, the same on both nodes; without it made of the resource's name",
                     .min = "1",
                     .max = "65535"},
                    {.name = "grace",
                     .kind = Kind::yes_no,
                     .description = "nfs-ganesha: clients reclaim their locks first, by what it has recorded on the share's filesystem",
                     .default_value = "no"},
                    {.name = "options",
                     .kind = Kind::text,
                     .description = "more of Samba's or nfs-ganesha's parameters, NAME = VALUE, separated by ;  kernel: options of exports(5)"},
                },
            .example = R"(<filesystem name="data" device="/dev/disk/by-id/wwn-1" mount="/srv/data" type="ext4" protection="permit"/>
<file-share name="docs" protocol="smb" path="/srv/data/docs" valid-users="@office" depends="data files-ip"/>
<ip-address name="files-ip" address="10.0.0.100/24" interface="eth0"/>)"};
}

TypeInfo network_name() {
    return {.name = "network-name",
            .description = "a name in DNS that points at the group's addresses while it is online",
            .needs_root = false,
            .attributes =
                {
                    {.name = "dns-name", .kind = Kind::dns_name, .description = "the name", .required = true},
                    {.name = "zone", .kind = Kind::dns_name, .description = "the zone it is in; without it the server is asked"},
                    {.name = "server", .kind = Kind::address, .description = "the DNS server that takes updates: the zone's primary", .required = true},
                    {.name = "port", .kind = Kind::integer, .description = "and its port", .default_value = "53", .min = "1", .max = "65535"},
                    {.name = "address",
                     .kind = Kind::addresses,
                     .description = "what the name points at; without it the ip-address resources it depends on"},
                    {.name = "ttl",
                     .kind = Kind::duration,
                     .description = "how long others may keep the answer, in whole seconds",
                     .default_value = "1min",
                     .min = "1s",
                     .max = "1d"},
                    {.name = "key-file",
                     .kind = Kind::path,
                     .description = "the TSIG key that updates are signed with, as tsig-keygen writes it; on each node, root's, mode 0600",
                     .required = true,
                     .secret_file = true},
                    {.name = "remove",
                     .kind = Kind::yes_no,
                     .description = "taken offline, the name is removed, if it still is as this node wrote it",
                     .default_value = "yes"},
                    {.name = "check-every",
                     .kind = Kind::duration,
                     .description = "how often the server is asked for it while online",
                     .default_value = "1min",
                     .min = "1s",
                     .max = "1d"},
                },
            .example = R"(<ip-address name="web-ip" address="10.0.0.100/24" interface="eth0"/>
<network-name name="web-name" dns-name="www.example.com" server="10.0.0.53" key-file="/etc/clusterd/dns.key" depends="web-ip"/>)"};
}

TypeInfo print_queue() {
    return {.name = "print-queue",
            .description = "a queue of CUPS that takes and prints jobs on the owner only",
            .needs_root = true,
            .attributes =
                {
                    {.name = "queue", .kind = Kind::text, .description = "what clients call it; without it the resource's name"},
                    {.name = "device",
                     .kind = Kind::text,
                     .description = "the printer's URI, as lpinfo -v lists them: ipp://10.0.0.20/ipp/print, socket://10.0.0.20:9100; reached from both nodes",
                     .required = true},
                    {.name = "model",
                     .kind = Kind::text,
                     .description = "everywhere: the printer is asked (IPP Everywhere); raw: jobs go to it as they are; or a name of lpinfo -m",
                     .default_value = "everywhere"},
                    {.name = "ppd", .kind = Kind::path, .description = "instead of a model: a PPD file, on both nodes"},
                    {.name = "info", .kind = Kind::text, .description = "shown where printers are listed; without it the queue's name"},
                    {.name = "location", .kind = Kind::text, .description = "where the printer stands, shown likewise"},
                    {.name = "shared", .kind = Kind::yes_no, .description = "other machines may print to it", .default_value = "yes"},
                    {.name = "wait",
                     .kind = Kind::duration,
                     .description = "taken offline, jobs that are there have so long to be printed; then they stay in the queue on this node",
                     .default_value = "20s",
                     .max = "1h"},
                    {.name = "check-every", .kind = Kind::duration, .description = "how often CUPS is asked for it while online", .default_value = "5s", .min = "1s", .max = "1d"},
                    {.name = "cups-socket", .kind = Kind::path, .description = "where this node's cupsd listens", .default_value = "/run/cups/cups.sock"},
                },
            .example = R"(<ip-address name="print-ip" address="10.0.0.100/24" interface="eth0"/>
<print-queue name="laser" device="ipp://10.0.0.20/ipp/print" depends="print-ip"/>)"};
}

TypeInfo route() {
    return {.name = "route",
            .description = "a route that stands on the owner only",
            .needs_root = true,
            .attributes =
                {
                    {.name = "destination", .kind = Kind::network, .description = "the network it leads to; 0.0.0.0/0 and ::/0 are the default routes", .required = true},
                    {.name = "gateway", .kind = Kind::gateway, .description = "by way of which neighbour; without it the network is on the interface itself"},
                    {.name = "interface", .kind = Kind::interface, .description = "on which network interface; without it the kernel finds it by the gateway"},
                    {.name = "source", .kind = Kind::address, .description = "which of this node's addresses packets get that have none yet"},
                    {.name = "metric",
                     .kind = Kind::integer,
                     .description = "of two routes to one network the one with the lower metric is used; without it 0 (IPv6: 1024)",
                     .min = "0",
                     .max = "4294967295"},
                    {.name = "table", .kind = Kind::integer, .description = "the routing table; 254 is main", .default_value = "254", .min = "1", .max = "4294967295"},
                },
            .example = R"(<ip-address name="web-ip" address="10.0.0.100/24" interface="eth0"/>
<route name="to-branch" destination="10.1.0.0/16" gateway="10.0.0.254" interface="eth0" source="10.0.0.100" depends="web-ip"/>)"};
}

TypeInfo const* find_in(std::vector<TypeInfo> const& table, std::string_view name) {
    for (TypeInfo const& info : table) {
        if (info.name == name) return &info;
    }
    return nullptr;
}

}  // namespace

std::vector<TypeInfo> const& resource_types() {
    static std::vector<TypeInfo> const table{disk(), dummy(), filesystem(), ip_address(), process(), script(), service(), ocf(), file_share(),
                                             network_name(), route(), print_queue()};
    return table;
}

TypeInfo const* find_type(std::string_view name) {
    return find_in(resource_types(), name);
}
TypeInfo const* find_agent(std::string_view name) {
    return find_in(agents(), name);
}

std::vector<std::string_view> const& planned_types() {
    static std::vector<std::string_view> const names{};  // none at present
    return names;
}

std::vector<std::string_view> const& planned_elements() {
    static std::vector<std::string_view> const names{"emergency"};
    return names;
}

}  // namespace clusterd
