// `clusterctl quorum init|show|force`: makes a quorum disk, looks at one, and goes on without any when an operator says so.
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/terminal.hpp"
#include "clusterd/quorum/admin.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/key.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <iostream>

namespace clusterd::tool {
namespace {

std::string hex(Uuid const& uuid) {
    std::string out;
    for (auto const byte : uuid) out += fmt::format("{:02x}", byte);
    return out;
}

int init(Options const& options, InitRequest const& request) {
    auto const made = quorum_init(request);
    if (!made) throw Stop{exit_failed, made.error()};
    if (!made->warning.empty()) std::fprintf(stderr, "clusterctl: warning: %s\n", made->warning.c_str());
    if (options.json) {
        std::printf("{\"path\":%s,\"cluster\":%s,\"uuid\":\"%s\",\"bytes\":%llu,\"created\":%s,\"overwritten\":%s}\n",
                    json_text(request.path).c_str(), json_text(request.cluster).c_str(), hex(made->header.uuid).c_str(),
                    static_cast<unsigned long long>(made->bytes), made->created ? "true" : "false",
                    json_text(made->overwritten).c_str());
        return exit_done;
    }
    if (!made->overwritten.empty()) std::printf("overwritten: %s\n", printable(made->overwritten).c_str());
    std::printf("%s is the quorum disk of cluster %s (%s)%s.\n", request.path.c_str(), request.cluster.c_str(),
                hex(made->header.uuid).c_str(), made->created ? ", a new file" : "");
    std::puts("Both nodes find it by themselves within seconds; clusterctl status shows it.");
    return exit_done;
}

std::string slot_json(SlotView const& v) {
    switch (v.state) {
        case SlotView::State::never_written:
            return R"({"state":"never-written"})";
        case SlotView::State::bad:
            return fmt::format(R"({{"state":"bad","error":{}}})", json_text(v.error));
        case SlotView::State::ok:
        case SlotView::State::unchecked:
            break;
    }
    return fmt::format(
        R"({{"state":"{}","incarnation":"{:016x}","beat":{},"role":"{}","alone_term":{},"stopped_term":{},"newest_term":{},"newest_index":{},"written":"{}"}})",
        v.state == SlotView::State::ok ? "ok" : "unchecked", v.slot.incarnation, v.slot.beat, spell(v.slot.state),
        v.slot.alone_term, v.slot.stopped_term, v.slot.newest.term, v.slot.newest.index, rfc3339(v.slot.wall_ms));
}

std::string decision_json(DecisionView const& v) {
    constexpr std::array names{"none", "ok", "unchecked", "bad"};
    return fmt::format(R"({{"state":"{}","term":{},"index":{},"config_found":{},"error":{}}})",
                       names.at(static_cast<std::size_t>(v.state)), v.id.term, v.id.index, v.config_found, json_text(v.error));
}

int show(Options const& options, std::string const& path, std::string const& key_path, bool key_given) {
    std::optional<Key> key;
    if (key_given || std::filesystem::exists(key_path)) {
        auto loaded = load_key(key_path);
        if (loaded) {
            key = *loaded;
        } else if (key_given) {
            throw Stop{exit_failed, loaded.error()};
        } else {
            std::fprintf(stderr, "clusterctl: warning: %s\n", loaded.error().c_str());
        }
    }
    auto const view = quorum_show(path, key ? &*key : nullptr);
    if (!view) throw Stop{exit_failed, view.error()};
    if (!options.json) {
        std::fputs(to_text(*view).c_str(), stdout);
        return exit_done;
    }
    std::printf(R"({"path":%s,"bytes":%llu,"cluster":%s,"uuid":"%s","slots":[%s,%s],"decisions":[%s,%s]})"
                "\n",
                json_text(view->path).c_str(), static_cast<unsigned long long>(view->bytes),
                json_text(view->header.cluster).c_str(), hex(view->header.uuid).c_str(), slot_json(view->slots[0]).c_str(),
                slot_json(view->slots[1]).c_str(), decision_json(view->decisions[0]).c_str(),
                decision_json(view->decisions[1]).c_str());
    return exit_done;
}

// A person reads what could be lost and types the node's name; a script can pipe it. There is no option that skips it.
int force(Options const& options) {
    Daemon daemon(options.socket);
    auto const status = parse_status(daemon.get("/v1/status"));
    if (!status) throw Stop{exit_failed, status.error()};
    std::string const& self = status->nodes[at(status->self)].name;
    std::string const& peer = status->nodes[at(other(status->self))].name;
    std::fputs(daemon.get("/v1/quorum/force").c_str(), stderr);
    std::fprintf(stderr,
                 "\nThis makes %s go on by itself. If %s still runs anything, both will run it, and data can be destroyed.\n"
                 "Only go on when %s is certainly off. Type this node's name (%s) to go on: ",
                 self.c_str(), peer.c_str(), peer.c_str(), self.c_str());
    std::string typed;
    std::getline(std::cin, typed);
    if (typed != self) {
        std::fputs("\n", stderr);
        throw Stop{exit_refused, fmt::format("refused: '{}' was expected; nothing was done", self)};
    }
    std::string const answer = daemon.post("/v1/quorum/force", force_json(typed));
    std::printf("%s\n", options.json ? answer.c_str()
                                     : fmt::format("Forced: {} goes on by itself; clusterctl status shows it.", self).c_str());
    return exit_done;
}

}  // namespace

void add_quorum(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const quorum = app.add_subcommand("quorum", "The quorum disk");
    quorum->require_subcommand(1);

    auto* const make =
        quorum->add_subcommand("init", "Make a device or file the quorum disk of a new cluster; run it on one node, once");
    auto const request = std::make_shared<InitRequest>();
    make->add_option("PATH", request->path, "Device or file")->required();
    make->add_option("--cluster", request->cluster, "The cluster's name, as in cluster.xml")->required()->type_name("NAME");
    make->add_option("--force", request->force, "The same path again: overwrite what it carries")->type_name("PATH");
    make->callback([&options, &chosen, request] { chosen = [&options, request] { return init(options, *request); }; });

    auto* const look = quorum->add_subcommand("show", "What stands on a quorum disk");
    auto const path = std::make_shared<std::string>();
    auto const key = std::make_shared<std::string>("/etc/clusterd/key");
    look->add_option("PATH", *path, "Device or file")->required();
    auto* const key_option =
        look->add_option("--key", *key, "The cluster's key, to check what stands there")->capture_default_str()->type_name("FILE");
    look->callback([&options, &chosen, path, key, key_option] {
        bool const given = key_option->count() > 0;
        chosen = [&options, path, key, given] { return show(options, *path, *key, given); };
    });

    auto* const go_on = quorum->add_subcommand("force", "Let this node go on without peer and disk; asks for a typed confirmation");
    go_on->callback([&options, &chosen] { chosen = [&options] { return force(options); }; });
}

}  // namespace clusterd::tool
