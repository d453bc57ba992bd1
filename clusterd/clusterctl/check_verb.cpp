// `clusterctl check F`: the daemon's own reading of a configuration, without a daemon and without root.
#include "clusterd/clusterctl/config_file.hpp"
#include "clusterd/clusterctl/tool.hpp"
#include "config/ocf_metadata.hpp"
#include "config/parse.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace clusterd::tool {
namespace {

// At most one byte more than is allowed: parse_config then says that it is too large.
std::string contents(std::string const& path) {
    int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat what {};
    if (fd < 0 || fstat(fd, &what) != 0) {
        Stop const stop{exit_failed, fmt::format("{}: can't be read: {}", path, std::strerror(errno))};
        if (fd >= 0) close(fd);
        throw stop;
    }
    if (!S_ISREG(what.st_mode) && !S_ISFIFO(what.st_mode)) {
        close(fd);
        throw Stop{exit_failed, fmt::format("{}: is not a file; a cluster.xml is expected", path)};
    }
    fcntl(fd, F_SETFL, 0);  // O_NONBLOCK was for opening only
    std::string text;
    char buffer[65536];
    ssize_t got = 0;
    while (text.size() <= config_max_bytes && (got = read(fd, buffer, sizeof buffer)) > 0)
        text.append(buffer, static_cast<std::size_t>(got));
    int const number = errno;
    close(fd);
    if (got < 0) throw Stop{exit_failed, fmt::format("{}: can't be read: {}", path, std::strerror(number))};
    return text;
}

// What systemd starts at boot runs on both nodes at once. Only this machine can be looked at; one without the unit says nothing.
void check_units(Spec const& spec, std::vector<Problem>& problems) {
    std::error_code none;
    std::filesystem::path const system = "/etc/systemd/system";
    for (auto const& g : spec.groups)
        for (auto const& r : g.resources) {
            auto const unit = r.attributes.find("unit");
            if (r.type != "service" || unit == r.attributes.end()) continue;
            for (auto const& entry : std::filesystem::directory_iterator(system, none)) {
                auto const kind = entry.path().extension();
                if ((kind != ".wants" && kind != ".requires") || !std::filesystem::is_symlink(entry.path() / unit->second, none)) continue;
                problems.push_back({r.line, true, fmt::format("<service name=\"{}\">: {} is also started at boot, without the cluster; run on both nodes: systemctl disable {}", r.name, unit->second, unit->second)});
                break;
            }
        }
}

// What `AGENT meta-data` prints; empty where it can't be run. Any agent is done with that in a moment.
std::string metadata_of(std::string const& agent) {
    std::string const command = "OCF_ROOT=/usr/lib/ocf timeout 10 '" + agent + "' meta-data 2>/dev/null";  // the name has no quotes: config/ looked
    std::string text;
    FILE* const out = popen(command.c_str(), "re");
    if (!out) return text;
    char buffer[4096];
    for (std::size_t n = 0; text.size() <= max_ocf_metadata && (n = std::fread(buffer, 1, sizeof buffer, out)) > 0;) text.append(buffer, n);
    return pclose(out) == 0 ? text : std::string();
}

// What the agent itself says of its parameters on this machine: empty where all is well, or where it can't say. Only as root, as it would
// run, and where nothing of it lies below a filesystem of its group, which needn't be mounted here.
std::string not_valid_here(std::string const& agent, ResourceSpec const& r, GroupSpec const& group) {
    if (geteuid() != 0) return {};
    std::vector<std::pair<std::string, std::string>> parameters;
    for (auto const& [name, value] : r.attributes) {
        if (name.starts_with("param-file:")) return {};
        if (!name.starts_with("param:")) continue;
        for (auto const& other : group.resources) {
            auto const mount = other.attributes.find("mount");
            if (other.type == "filesystem" && mount != other.attributes.end() && value.starts_with(mount->second)) return {};
        }
        parameters.emplace_back("OCF_RESKEY_" + name.substr(6), value);
    }
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) return {};
    pid_t const child = fork();
    if (child == 0) {
        int const nothing = open("/dev/null", O_RDWR);
        dup2(nothing, 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        for (auto const& [name, value] : parameters) setenv(name.c_str(), value.c_str(), 1);
        setenv("OCF_ROOT", "/usr/lib/ocf", 1);
        setenv("OCF_RESOURCE_INSTANCE", r.name.c_str(), 1);
        setenv("HA_RSCTMP", "/run/resource-agents", 1);
        execlp("timeout", "timeout", "20", agent.c_str(), "validate-all", static_cast<char*>(nullptr));
        _exit(127);
    }
    close(out[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; child > 0 && text.size() < 65536 && (n = read(out[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
    close(out[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return {};
    int const code = WEXITSTATUS(status);
    if (code != 2 && code != 4 && code != 5 && code != 6) return {};  // wrong arguments, permissions, not installed, not configured
    constexpr std::string_view reason = "ocf-exit-reason:";
    std::size_t const at = text.rfind(reason);
    std::string said = at == std::string::npos ? "" : text.substr(at + reason.size(), text.find('\n', at) - at - reason.size());
    return fmt::format("its validate-all says on this machine: {}", said.empty() ? fmt::format("exit code {}", code) : said);
}

// What these agents bring is no process: only their own stop takes it away, and nothing does at the end of a permit. Null: another agent.
char const* what_outlives(std::string_view agent) {
    if (agent == "heartbeat/IPaddr2" || agent == "heartbeat/IPaddr" || agent == "heartbeat/IPv6addr")
        return "an address that only its agent takes away isn't silenced when its node goes dark, and may then answer on both nodes; <ip-address> is silenced";
    if (agent == "heartbeat/Filesystem" || agent == "heartbeat/LVM-activate" || agent == "heartbeat/ZFS")
        return "what only its agent gives back isn't ended when its node goes dark, and both nodes may then write to it; <filesystem> is ended by the guard";
    return nullptr;
}

// Parameters are the agent's own: it says which it has. Where it isn't installed on this machine nothing can be said about them.
void check_ocf(Spec const& spec, std::vector<Problem>& problems) {
    for (auto const& g : spec.groups)
        for (auto const& r : g.resources) {
            if (r.type != "ocf") continue;
            std::string agent = r.attributes.at("agent");
            if (agent.starts_with("ocf:")) agent.erase(0, 4);
            agent.replace(agent.find(':'), 1, "/");
            std::string const path = "/usr/lib/ocf/resource.d/" + agent, what = fmt::format("<ocf name=\"{}\">: ", r.name);
            if (char const* const warning = what_outlives(agent)) problems.push_back({r.line, true, what + warning});
            if (access(path.c_str(), X_OK) != 0) {
                problems.push_back({r.line, true, what + path + " isn't installed on this machine: its parameters are not checked"});
                continue;
            }
            auto const metadata = parse_ocf_metadata(metadata_of(path));
            if (!metadata) {
                problems.push_back({r.line, true, what + metadata.error()});
                continue;
            }
            auto const wrongs = check_against(*metadata, r);
            for (auto const& wrong : wrongs) problems.push_back({r.line, true, what + wrong});
            if (!wrongs.empty()) continue;  // they say more than what follows from them
            if (std::string const wrong = not_valid_here(path, r, g); !wrong.empty()) problems.push_back({r.line, true, what + wrong});
        }
}

std::string many(std::size_t n, std::string const& one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); }

int check(std::string const& path) {
    CheckedFile const file = checked_file(path);
    std::size_t resources = 0;
    for (auto const& g : file.spec.groups) resources += g.resources.size();
    std::printf("%s is valid: cluster %s, %s, %s%s\n", path.c_str(), file.spec.cluster.c_str(), many(file.spec.groups.size(), "group").c_str(),
                many(resources, "resource").c_str(), file.warnings > 0 ? (", " + many(file.warnings, "warning")).c_str() : "");
    return exit_done;
}

}  // namespace

CheckedFile checked_file(std::string const& path) {
    CheckedFile file{contents(path), {}, 0};
    auto result = parse_config(file.xml, path);
    if (result.spec) check_units(*result.spec, result.problems);
    if (result.spec) check_ocf(*result.spec, result.problems);
    std::size_t errors = 0;
    for (auto const& p : result.problems) {
        ++(p.warning ? file.warnings : errors);
        std::fprintf(stderr, "%s\n", format(p, path).c_str());
    }
    if (!result.spec)
        throw Stop{exit_failed, fmt::format("{} is not valid: {}{}", path, many(errors, "error"), file.warnings > 0 ? ", " + many(file.warnings, "warning") : "")};
    file.spec = std::move(*result.spec);
    return file;
}

void add_check(CLI::App& app, Options const&, Chosen& chosen) {
    auto* const verb = app.add_subcommand("check", "Check a configuration; needs no daemon and no root");
    auto const path = std::make_shared<std::string>();
    verb->add_option("FILE", *path, "The XML file")->required();
    verb->callback([&chosen, path] { chosen = [path] { return check(*path); }; });
}

}  // namespace clusterd::tool
