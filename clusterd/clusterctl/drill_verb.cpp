// `clusterctl drill GROUP [--hard]`: a failover for real, with what a client saw of it, and back. Soft: a move. Hard, on the owner: this node's
// worker is frozen until its permit has ended, so that the guard stops everything here and the other node takes over, as when a node hangs.
#include "clusterd/clusterctl/client_gap.hpp"
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/give.hpp"
#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/status.hpp"
#include "config/parse.hpp"
#include "config/values.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <thread>

namespace clusterd::tool {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds until_online{120'000}, until_answer{30'000}, look_pace{50};

struct Leg {
    std::string from, to;
    std::int64_t client_ms = -1;  // -1: no client could be one
    FailoverRecord record;
};

Status status_of(Daemon& daemon) {
    auto status = parse_status(daemon.get("/v1/status"));
    if (!status) throw Stop{exit_failed, status.error()};
    return std::move(*status);
}

GroupStatus const& group_of(Status const& s, std::string const& name) {
    auto const it = std::find_if(s.groups.begin(), s.groups.end(), [&](auto const& g) { return g.name == name; });
    if (it == s.groups.end()) throw Stop{exit_refused, fmt::format("there is no group '{}'; see clusterctl status", name)};
    return *it;
}

// Where a client of the group would ask: what its checks ask, by http or tcp.
std::optional<std::pair<std::string, std::uint16_t>> where_clients_ask(Daemon& daemon, std::string const& group) {
    auto const parsed = parse_config(daemon.get("/v1/config"), "the configuration that counts");
    if (!parsed.spec) return std::nullopt;
    auto const of = [](HealthSpec const& h, char const* name) { return h.attributes.contains(name) ? h.attributes.at(name) : std::string(); };
    for (auto const& g : parsed.spec->groups) {
        if (g.name != group) continue;
        std::set<std::string> own;
        for (auto const& r : g.resources)
            if (r.type == "ip-address") own.insert(r.attributes.at("address").substr(0, r.attributes.at("address").find('/')));
        for (auto const& r : g.resources)
            for (auto const& h : r.health) {
                std::string address = of(h, "address");
                int port = std::atoi(of(h, "port").c_str());
                if (h.type == "http") {
                    auto const url = parse_url(of(h, "url"));
                    if (!url) continue;
                    address = url->host;
                    port = url->port;
                }
                if (own.contains(address) && port > 0) return std::pair{address, static_cast<std::uint16_t>(port)};
            }
    }
    return std::nullopt;
}

// The process at the other end of the daemon's socket.
pid_t worker_of(std::string const& socket_path) {
    int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket_path.copy(at.sun_path, sizeof at.sun_path - 1);
    ucred peer{};
    socklen_t size = sizeof peer;
    bool const ok = fd >= 0 && connect(fd, reinterpret_cast<sockaddr const*>(&at), sizeof at) == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    if (fd >= 0) close(fd);
    if (!ok || peer.pid <= 1) throw Stop{exit_failed, fmt::format("whose socket {} is can't be found out: {}", socket_path, std::strerror(errno))};
    return peer.pid;
}

// Frozen while this lives; let go of however it ends.
class Frozen {
public:
    explicit Frozen(pid_t pid) : pid_(pid) {
        if (kill(pid, SIGSTOP) != 0) throw Stop{exit_failed, fmt::format("the worker (pid {}) can't be stopped: {}; are you root?", pid, std::strerror(errno))};
    }
    ~Frozen() { kill(pid_, SIGCONT); }
    Frozen(Frozen const&) = delete;
    Frozen& operator=(Frozen const&) = delete;

private:
    pid_t pid_;
};

void wait_online(Daemon& daemon, std::string const& group, std::string const& node) {
    auto const deadline = Clock::now() + until_online;
    std::string seen;
    while (Clock::now() < deadline && !interrupted) {
        try {
            Status const s = status_of(daemon);
            GroupStatus const& g = group_of(s, group);
            if (g.state == GroupState::online && g.owner && s.nodes[at(*g.owner)].name == node) return;
            seen = fmt::format("{} on {}", spell(g.state), g.owner ? s.nodes[at(*g.owner)].name : "no node");
        } catch (Stop const& stop) {
            if (stop.code == exit_interrupted) throw;  // the worker is about to be thawed or started again
            seen = stop.message;
        }
        std::this_thread::sleep_for(look_pace);
    }
    throw Stop{exit_failed, fmt::format("group {} did not come online on {}: {}; see clusterctl why {}", group, node, seen, group)};
}

FailoverRecord record_of(Daemon& daemon, std::string const& group, std::string const& to, std::int64_t since_ms) {
    auto const deadline = Clock::now() + std::chrono::seconds(5);
    while (true) {
        auto const all = parse_failovers(daemon.get("/v1/failovers"));
        if (all)
            for (auto it = all->rbegin(); it != all->rend(); ++it)
                if (it->group == group && it->to == to && it->start_wall_ms >= since_ms - 5000) return *it;
        if (Clock::now() >= deadline) return {};
        std::this_thread::sleep_for(look_pace);
    }
}

// `permit`: hard; how long this node's right lasts at most once nobody renews it. Zero: a move.
Leg go(Options const& options, Daemon& daemon, std::string const& group, std::string const& from, std::string const& to, Duration permit, ClientGap* client) {
    Leg leg{from, to, -1, {}};
    std::int64_t const began_ms = wall_now_ms();
    if (client) client->longest();  // what was before doesn't count
    if (permit != Duration{0}) {
        Frozen const frozen(worker_of(options.socket));
        auto const begun = Clock::now();
        // Longer than the permit lasts; then until somebody answers again.
        std::this_thread::sleep_for(permit + std::chrono::milliseconds(200));
        while (client && !client->answered_since(Clock::now() - std::chrono::milliseconds(100)) && Clock::now() - begun < until_answer && !interrupted) std::this_thread::sleep_for(look_pace);
    } else {
        Command command;
        command.verb = Verb::move;
        command.target = group;
        command.to = to;
        Options quiet = options;
        quiet.json = false;
        quiet.silent = options.json;
        quiet.reason = options.reason.empty() ? "drill" : options.reason;
        if (int const code = give(quiet, command); code != exit_done) throw Stop{code, "the drill ends here"};
    }
    wait_online(daemon, group, to);
    auto const when = Clock::now();
    while (client && !client->answered_since(when) && Clock::now() - when < until_answer && !interrupted) std::this_thread::sleep_for(look_pace);
    if (client) leg.client_ms = client->longest().count();
    leg.record = record_of(daemon, group, to, began_ms);
    return leg;
}

std::string leg_text(Leg const& leg, Paint const& paint) {
    std::int64_t total = 0;
    std::string phases;
    for (auto const& p : leg.record.phases) {
        total += std::max<std::int64_t>(p.ms, 0);
        phases += fmt::format("{}{} {} ms", phases.empty() ? "" : ", ", p.name, p.ms);
    }
    std::string out = fmt::format("{} -> {}: ", leg.from, leg.to);
    out += leg.client_ms < 0 ? "no check of its says where a client would ask" : fmt::format("a client had no answer for {}", for_people(leg.client_ms));
    std::string text = paint(Tone::strong, out) + "\n";
    if (!leg.record.id.empty()) text += "  " + wrapped(fmt::format("by its time line {} ({}): {}", for_people(total), leg.record.id, phases), paint.width, 2) + "\n";
    return text;
}

std::string leg_json(Leg const& leg) {
    return fmt::format("{{\"from\":{},\"to\":{},\"client_ms\":{},\"failover\":{}}}", json_text(leg.from), json_text(leg.to), leg.client_ms < 0 ? "null" : std::to_string(leg.client_ms),
                       leg.record.id.empty() ? "null" : failover_json(leg.record));
}

int drill(Options const& options, std::string const& name, bool hard, bool yes) {
    Daemon daemon(options.socket);
    Status const s = status_of(daemon);
    GroupStatus const& group = group_of(s, name);
    if (group.state != GroupState::online || !group.owner) throw Stop{exit_refused, fmt::format("group {} is {}: a drill needs it online", name, spell(group.state))};
    if (group.maintenance_until != 0) throw Stop{exit_refused, fmt::format("group {} is in maintenance: clusterctl maintenance off {}", name, name)};
    std::string const from = s.nodes[at(*group.owner)].name, to = s.nodes[at(other(*group.owner))].name;
    if (s.nodes[at(other(*group.owner))].state != NodeState::up) throw Stop{exit_refused, fmt::format("{} is {}: it can't take the group over", to, spell(s.nodes[at(other(*group.owner))].state))};
    if (hard && *group.owner != s.self) throw Stop{exit_refused, fmt::format("--hard freezes clusterd on the owner: run it on {}", from)};
    std::string others;  // what else a hard one takes along
    for (auto const& g : s.groups)
        if (hard && g.name != name && g.owner == group.owner) others += (others.empty() ? "" : ", ") + g.name;
    auto const where = where_clients_ask(daemon, name);
    if (!yes) {
        if (isatty(STDIN_FILENO) == 0) throw Stop{exit_usage, "nobody can be asked here; --yes agrees to it"};
        std::printf("Group %s goes from %s to %s and back, for real%s%s. Go on? [y/N] ", name.c_str(), from.c_str(), to.c_str(), hard ? ", the first time because clusterd on this node is frozen" : "",
                    others.empty() ? "" : ("; also " + others + " goes, and stays there").c_str());
        std::fflush(stdout);
        std::string line;
        if (!std::getline(std::cin, line) || (line != "y" && line != "Y" && line != "yes")) throw Stop{exit_failed, "no drill; nothing was done"};
    }
    auto const timing = parse_timing(daemon.get("/v1/timing"));
    if (!timing) throw Stop{exit_failed, timing.error()};
    catch_interrupts();
    std::optional<ClientGap> client;
    if (where) {
        client.emplace(where->first, where->second);
        auto const since = Clock::now();
        while (!client->answered_since(since) && Clock::now() - since < std::chrono::seconds(5)) std::this_thread::sleep_for(look_pace);
        if (!client->answered_since(since)) throw Stop{exit_refused, fmt::format("nobody answers at {} port {} now: that comes first", where->first, where->second)};
    }
    std::vector<Leg> legs;
    legs.push_back(go(options, daemon, name, from, to, hard ? timing->timing.permit : Duration{0}, client ? &*client : nullptr));
    Paint paint = stdout_paint();
    if (!paint.terminal) paint.width = 1000;
    if (!options.json) std::fputs(leg_text(legs.back(), paint).c_str(), stdout);
    std::fflush(stdout);
    if (interrupted) throw Stop{exit_interrupted, fmt::format("the drill ends here: {} stays on {}", name, to)};
    // A node that was frozen has to be whole again before it takes anything.
    for (auto const begun = Clock::now(); hard && Clock::now() - begun < until_online; std::this_thread::sleep_for(look_pace)) {
        Status const now = status_of(daemon);
        if (std::all_of(now.nodes.begin(), now.nodes.end(), [](auto const& n) { return n.state == NodeState::up; }) && now.permit == PermitSource::joined) break;
    }
    legs.push_back(go(options, daemon, name, to, from, Duration{0}, client ? &*client : nullptr));
    if (options.json) std::printf("{\"group\":%s,\"hard\":%s,\"legs\":[%s,%s]}\n", json_text(name).c_str(), hard ? "true" : "false", leg_json(legs[0]).c_str(), leg_json(legs[1]).c_str());
    else std::fputs(leg_text(legs.back(), paint).c_str(), stdout);
    return exit_done;
}

}  // namespace

void add_drill(CLI::App& app, Options const& options, Chosen& chosen) {
    struct Asked {
        std::string group;
        bool hard = false, yes = false;
    };
    auto const asked = std::make_shared<Asked>();
    auto* const verb = app.add_subcommand("drill", "A failover for real, with what a client sees of it, and back");
    verb->add_option("GROUP", asked->group, "The group")->required();
    verb->add_flag("--hard", asked->hard, "On its owner: clusterd is frozen here until the permit has ended, as when a node hangs (all its groups go; only this one comes back)");
    verb->add_flag("--yes", asked->yes, "Don't ask");
    verb->callback([&options, &chosen, asked] { chosen = [&options, asked] { return drill(options, asked->group, asked->hard, asked->yes); }; });
}

}  // namespace clusterd::tool
