// `apply FILE`, `edit`, and of `plan` what is about a file: another configuration, compared with the one that counts, agreed to, and given to the daemon.
//
// The command names the configuration that the operator's eyes were on: where it was changed meanwhile it is refused.
#include "clusterd/clusterctl/apply.hpp"
#include "clusterd/clusterctl/change_text.hpp"
#include "clusterd/clusterctl/config_file.hpp"
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/give.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/config_hash.hpp"
#include "config/parse.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace clusterd::tool {
namespace {

struct Counts {
    std::string xml;
    Spec spec;
};

Counts what_counts(Options const& options) {
    Daemon daemon(options.socket);
    Counts counts{daemon.get("/v1/config"), {}};
    auto result = parse_config(counts.xml, "the configuration that counts");
    if (!result.spec) throw Stop{exit_failed, "the configuration that counts can't be read by this clusterctl: is it of another version than the daemon?"};
    counts.spec = std::move(*result.spec);
    return counts;
}

// Only where stdin is a terminal: the caller has looked.
bool agreed() {
    std::printf("Apply it? [y/N] ");
    std::fflush(stdout);
    std::string line;
    return std::getline(std::cin, line) && (line == "y" || line == "Y" || line == "yes");
}

int apply_file(Options const& options, std::string const& path, std::string const& shown_as, bool yes) {
    CheckedFile file = checked_file(path);
    Counts const counts = what_counts(options);
    Hash const base = hash_config(counts.xml);
    if (hash_config(file.xml) == base) {
        std::printf("%s\n", options.json ? outcome_json("", "done", "this configuration counts already").c_str() : "this configuration counts already; nothing to do");
        return exit_done;
    }
    if (auto const change = compare(counts.spec, file.spec); !change.fixed.empty())
        throw Stop{exit_refused, fmt::format("refused: it can't be changed while the cluster runs: {}", fmt::join(change.fixed, ", "))};
    if (!options.json) std::printf("What %s changes in cluster %s:\n\n%s", shown_as.c_str(), counts.spec.cluster.c_str(), change_text(counts.spec, file.spec, stdout_paint()).c_str());
    if (!yes) {
        if (isatty(STDIN_FILENO) == 0) throw Stop{exit_usage, "nobody can be asked here; --yes agrees to it, `clusterctl plan apply` only shows it"};
        if (!agreed()) throw Stop{exit_failed, "not applied; nothing was changed"};
    }
    Command command;
    command.verb = Verb::apply;
    command.config = unread_config(std::move(file.xml));
    command.base = base;
    return give(options, std::move(command));
}

// A copy that is taken away again, unless it holds work that was not applied.
class Draft {
public:
    explicit Draft(std::string const& text) {
        char name[] = "/tmp/cluster-XXXXXX.xml";
        int const fd = mkstemps(name, 4);
        if (fd < 0) throw Stop{exit_failed, fmt::format("/tmp: no file for the editor: {}", std::strerror(errno))};
        path_ = name;
        std::size_t done = 0;
        while (done < text.size()) {
            ssize_t const n = write(fd, text.data() + done, text.size() - done);
            if (n <= 0) break;
            done += static_cast<std::size_t>(n);
        }
        close(fd);
        if (done < text.size()) throw Stop{exit_failed, path_ + " can't be written"};
    }
    ~Draft() {
        if (!kept_) unlink(path_.c_str());
    }
    Draft(Draft const&) = delete;
    Draft& operator=(Draft const&) = delete;
    std::string const& path() const { return path_; }
    void keep() { kept_ = true; }

private:
    std::string path_;
    bool kept_ = false;
};

void run_editor(std::string const& path) {
    char const* editor = std::getenv("VISUAL");
    if (!editor || !*editor) editor = std::getenv("EDITOR");
    if (!editor || !*editor) editor = "editor";
    // As git and crontab do: the variable may hold options.
    pid_t const child = fork();
    if (child == 0) {
        std::string const line = std::string(editor) + " \"$1\"";
        execl("/bin/sh", "sh", "-c", line.c_str(), "sh", path.c_str(), static_cast<char*>(nullptr));
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw Stop{exit_failed, fmt::format("the editor ('{}', from VISUAL or EDITOR) failed; nothing was changed", editor)};
}

int edit(Options const& options, bool yes) {
    Draft draft(what_counts(options).xml);
    run_editor(draft.path());
    try {
        return apply_file(options, draft.path(), "the edited configuration", yes);
    } catch (Stop const& stop) {
        draft.keep();
        throw Stop{stop.code, fmt::format("{}\nWhat you wrote is kept: clusterctl apply {}", stop.message, draft.path())};
    }
}

}  // namespace

int plan_apply(Options const& options, std::string const& path) {
    CheckedFile const file = checked_file(path);
    Counts const counts = what_counts(options);
    std::printf("%s\n", options.json ? change_json(counts.spec, file.spec).c_str()
                                     : fmt::format("What {} would change in cluster {}:\n\n{}", path, counts.spec.cluster, change_text(counts.spec, file.spec, stdout_paint())).c_str());
    return compare(counts.spec, file.spec).fixed.empty() ? exit_done : exit_refused;
}

void add_apply(CLI::App& app, Options const& options, Chosen& chosen) {
    auto const path = std::make_shared<std::string>();
    auto const yes = std::make_shared<bool>(false);
    auto* const apply = app.add_subcommand("apply", "Let another configuration count: shows what it changes, asks, and changes only that");
    apply->add_option("FILE", *path, "The XML file")->required();
    apply->add_flag("--yes", *yes, "Don't ask");
    apply->callback([&options, &chosen, path, yes] { chosen = [&options, path, yes] { return apply_file(options, *path, *path, *yes); }; });

    auto* const edit_verb = app.add_subcommand("edit", "Edit the configuration that counts (VISUAL, EDITOR), then as `apply`");
    edit_verb->add_flag("--yes", *yes, "Don't ask");
    edit_verb->callback([&options, &chosen, yes] { chosen = [&options, yes] { return edit(options, *yes); }; });
}

}  // namespace clusterd::tool
