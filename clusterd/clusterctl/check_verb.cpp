// `clusterctl check F`: the daemon's own reading of a configuration, without a daemon and without root.
#include "clusterd/clusterctl/tool.hpp"
#include "config/parse.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>

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

int check(std::string const& path) {
    auto const result = parse_config(contents(path), path);
    std::size_t errors = 0, warnings = 0;
    for (auto const& p : result.problems) {
        ++(p.warning ? warnings : errors);
        std::fprintf(stderr, "%s\n", format(p, path).c_str());
    }
    auto const many = [](std::size_t n, std::string const& one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); };
    std::string const and_warnings = warnings > 0 ? ", " + many(warnings, "warning") : "";
    if (!result.spec) {
        std::fprintf(stderr, "clusterctl: %s is not valid: %s%s\n", path.c_str(), many(errors, "error").c_str(),
                     and_warnings.c_str());
        return exit_failed;
    }
    std::size_t resources = 0;
    for (auto const& g : result.spec->groups) resources += g.resources.size();
    std::printf("%s is valid: cluster %s, %s, %s%s\n", path.c_str(), result.spec->cluster.c_str(),
                many(result.spec->groups.size(), "group").c_str(), many(resources, "resource").c_str(), and_warnings.c_str());
    return exit_done;
}

}  // namespace

void add_check(CLI::App& app, Options const&, Chosen& chosen) {
    auto* const verb = app.add_subcommand("check", "Check a configuration; needs no daemon and no root");
    auto const path = std::make_shared<std::string>();
    verb->add_option("FILE", *path, "The XML file")->required();
    verb->callback([&chosen, path] { chosen = [path] { return check(*path); }; });
}

}  // namespace clusterd::tool
