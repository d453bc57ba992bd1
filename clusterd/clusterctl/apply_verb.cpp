// `apply FILE`, `edit`, `confirm`, and of `plan` what is about a file: another configuration, compared with the one that counts, agreed to, and given to the daemon.
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
#include <optional>

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

// What `apply` was told besides the configuration.
struct How {
    bool yes = false;
    Duration confirm{};  // the configuration before comes back after that, unless it is confirmed; 0 = it stays
};

CheckedFile kept_revision(Options const& options, std::uint64_t number) {
    Daemon daemon(options.socket);
    CheckedFile file{daemon.get(fmt::format("/v1/config/revisions/{}", number)), {}, 0};
    auto result = parse_config(file.xml, fmt::format("revision {}", number));
    if (!result.spec) throw Stop{exit_failed, fmt::format("revision {} can't be read by this clusterctl any more: print it with 'clusterctl show config --revision {}', mend it and apply the file", number, number)};
    file.spec = std::move(*result.spec);
    return file;
}

int apply_checked(Options const& options, CheckedFile file, std::string const& shown_as, How const& how) {
    Counts const counts = what_counts(options);
    Hash const base = hash_config(counts.xml);
    if (hash_config(file.xml) == base) {
        std::printf("%s\n", options.json ? outcome_json("", "done", "this configuration counts already").c_str() : "this configuration counts already; nothing to do");
        return exit_done;
    }
    if (auto const change = compare(counts.spec, file.spec); !change.fixed.empty())
        throw Stop{exit_refused, fmt::format("refused: it can't be changed while the cluster runs: {}", fmt::join(change.fixed, ", "))};
    if (!options.json) std::printf("What %s changes in cluster %s:\n\n%s", shown_as.c_str(), counts.spec.cluster.c_str(), change_text(counts.spec, file.spec, stdout_paint()).c_str());
    if (!how.yes) {
        if (isatty(STDIN_FILENO) == 0) throw Stop{exit_usage, "nobody can be asked here; --yes agrees to it, `clusterctl plan apply` only shows it"};
        if (!agreed()) throw Stop{exit_failed, "not applied; nothing was changed"};
    }
    Command command;
    command.verb = Verb::apply;
    command.config = unread_config(std::move(file.xml));
    command.base = base;
    command.confirm_ms = to_ms(how.confirm);
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

int edit(Options const& options, How const& how) {
    Draft draft(what_counts(options).xml);
    run_editor(draft.path());
    try {
        return apply_checked(options, checked_file(draft.path()), "the edited configuration", how);
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

namespace {

Duration confirm_time(std::string const& text) {
    if (text.empty()) return {};
    auto const parsed = parse_timeout(text);
    if (!parsed || *parsed < std::chrono::seconds(1) || *parsed > std::chrono::hours(24)) throw Stop{exit_usage, fmt::format("--confirm {}: a duration from 1s to 24h is expected", text)};
    return *parsed;
}

}  // namespace

void add_apply(CLI::App& app, Options const& options, Chosen& chosen) {
    struct Asked {
        std::string path, confirm;
        std::optional<std::uint64_t> revision;
        bool yes = false;
        How how() const { return {yes, confirm_time(confirm)}; }
    };
    auto const asked = std::make_shared<Asked>();
    auto const common = [asked](CLI::App* verb) {
        verb->add_flag("--yes", asked->yes, "Don't ask");
        verb->add_option("--confirm", asked->confirm, "What counted before comes back after so long, unless `clusterctl confirm` is said: for changes that may lock you out")->type_name("DURATION");
    };
    auto* const apply = app.add_subcommand("apply", "Let another configuration count: shows what it changes, asks, and changes only that");
    auto* const file = apply->add_option("FILE", asked->path, "The XML file");
    apply->add_option("--revision", asked->revision, "Instead of a file: one that counted before (show config --history)")->type_name("N")->excludes(file);
    common(apply);
    apply->callback([&options, &chosen, asked] {
        chosen = [&options, asked] {
            if (asked->path.empty() && !asked->revision) throw Stop{exit_usage, "a FILE or --revision N is expected"};
            std::string const shown_as = asked->revision ? fmt::format("revision {}", *asked->revision) : asked->path;
            How const how = asked->how();
            return apply_checked(options, asked->revision ? kept_revision(options, *asked->revision) : checked_file(asked->path), shown_as, how);
        };
    });

    auto* const edit_verb = app.add_subcommand("edit", "Edit the configuration that counts (VISUAL, EDITOR), then as `apply`");
    common(edit_verb);
    edit_verb->callback([&options, &chosen, asked] { chosen = [&options, asked] { return edit(options, asked->how()); }; });

    auto* const confirm = app.add_subcommand("confirm", "What was applied with --confirm is to stay");
    confirm->callback([&options, &chosen] {
        chosen = [&options] {
            Command command;
            command.verb = Verb::confirm;
            return give(options, command);
        };
    });
}

}  // namespace clusterd::tool
