// `clusterctl check-standby`: could each node take over what the other one has, now? Both look again and say what they lack.
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/readiness.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace clusterd::tool {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto patience = std::chrono::seconds(15);

Readinesses known(Daemon& daemon) {
    auto both = parse_readinesses(daemon.get("/v1/readiness"));
    if (!both) throw Stop{exit_failed, both.error() + "; are clusterctl and clusterd of the same version?"};
    return std::move(*both);
}

std::uint64_t round_of(std::optional<Readiness> const& r) { return r ? r->round : 0; }

Status status_of(Daemon& daemon) {
    auto status = parse_status(daemon.get("/v1/status"));
    if (!status) throw Stop{exit_failed, status.error() + "; are clusterctl and clusterd of the same version?"};
    return std::move(*status);
}

bool is_up(Status const& s) {
    NodeState const state = s.nodes[at(other(s.self))].state;
    return state == NodeState::up || state == NodeState::paused;
}

// What each has seen since it was asked; of one that didn't answer, nothing.
Readinesses fresh(Daemon& daemon) {
    Readinesses const before = known(daemon);
    daemon.post("/v1/readiness", "");
    auto const deadline = Clock::now() + patience;
    while (true) {
        Readinesses now = known(daemon);
        bool const own = round_of(now.own) != round_of(before.own), peer = round_of(now.peer) != round_of(before.peer);
        bool const all = own && (peer || !is_up(status_of(daemon)));
        if (all || Clock::now() >= deadline || interrupted) {
            if (!own) now.own.reset();
            if (!peer) now.peer.reset();
            return now;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

// Ready, or all that it lacks.
bool print_node(std::string const& name, std::optional<Readiness> const& r, bool up, Paint const& paint) {
    auto const line = [&](Tone tone, char const* sign, std::string const& text) { std::printf("%s%s\n", paint(tone, sign).c_str(), wrapped(text, paint.width, 2).c_str()); };
    if (!up || !r) {
        line(Tone::bad, "! ", fmt::format("{} {}: it can't take anything over.", name, up ? "doesn't answer" : "is not up"));
        return false;
    }
    if (r->lacks.empty()) {
        line(Tone::good, paint.utf8 ? "\u2713 " : "+ ", r->looked_at.empty() ? fmt::format("{} is ready; it stands by for nothing just now.", name) : fmt::format("{} could take over: {}", name, fmt::join(r->looked_at, ", ")));
        return true;
    }
    line(Tone::bad, "! ", fmt::format("{} could not take over all that it stands by for:", name));
    for (auto const& [resource, lack] : r->lacks) {
        std::printf("  %s\n", wrapped(fmt::format("{}{}", resource.empty() ? "" : resource + ": ", lack.what), paint.width, 4).c_str());
        if (!lack.todo.empty()) std::printf("    %s%s\n", paint.utf8 ? "\u2192 " : "> ", wrapped(lack.todo, paint.width, 6).c_str());
    }
    return false;
}

int check(Options const& options) {
    Daemon daemon(options.socket);
    catch_interrupts();
    Readinesses const both = fresh(daemon);
    Status const status = status_of(daemon);
    NodeStatus const& peer = status.nodes[at(other(status.self))];
    bool const peer_up = is_up(status);
    bool ready = false;
    if (options.json) {
        std::printf("%s\n", readinesses_json(both).c_str());
        ready = peer_up && both.own && both.own->lacks.empty() && both.peer && both.peer->lacks.empty();
    } else {
        Paint const paint = stdout_paint();
        bool const own_ready = print_node(status.nodes[at(status.self)].name, both.own, true, paint);
        ready = print_node(peer.name, both.peer, peer_up, paint) && own_ready;
    }
    return ready ? exit_done : exit_failed;
}

}  // namespace

void add_standby(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const verb = app.add_subcommand("check-standby", "Could each node take over now? Programs, files, units, devices, mount points, interfaces, ports, quorum disk");
    verb->callback([&options, &chosen] { chosen = [&options] { return check(options); }; });
}

}  // namespace clusterd::tool
