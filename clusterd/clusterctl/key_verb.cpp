// `clusterctl key new`: the secret that both nodes share.
#include "clusterd/clusterctl/tool.hpp"
#include "clusterd/wire/key.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace clusterd::tool {

void add_key(CLI::App& app, Options const&, Chosen& chosen) {
    auto* const key = app.add_subcommand("key", "The key that both nodes share");
    key->require_subcommand(1);
    auto* const fresh = key->add_subcommand("new", "Write a new random key; never overwrites one");
    auto const path = std::make_shared<std::string>("/etc/clusterd/key");
    fresh->add_option("FILE", *path, "Where to")->capture_default_str();
    fresh->callback([&chosen, path] {
        chosen = [path] {
            auto const written = write_key(*path);
            if (!written) throw Stop{exit_failed, written.error()};
            std::printf("%s is written, readable for its owner only. Copy it to the other node over a safe channel (scp -p).\n",
                        path->c_str());
            return static_cast<int>(exit_done);
        };
    });
}

}  // namespace clusterd::tool
