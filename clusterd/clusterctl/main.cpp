// clusterctl: reads the command line, runs the one verb that was asked for and answers with the contract's exit code.
#include "clusterd/clusterctl/tool.hpp"
#include "config/values.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace clusterd::tool {

Result<Duration> parse_timeout(std::string const& text) {
    std::int64_t seconds = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (failed == std::errc{} && end == text.data() + text.size()) {
        if (seconds < 0 || seconds > 86'400 * 365) return Error{"is out of range: seconds from 0 to a year are expected"};
        return Duration{std::chrono::seconds(seconds)};
    }
    return parse_duration(text);
}

namespace {

void add_globals(CLI::App& app, Options& options) {
    if (char const* const socket = std::getenv("CLUSTERD_SOCKET"); socket != nullptr && *socket != 0) options.socket = socket;
    app.add_option("--socket", options.socket, "The daemon's socket (or $CLUSTERD_SOCKET)")
        ->capture_default_str()
        ->type_name("PATH");
    app.add_flag("--json", options.json, "JSON on stdout, for programs");
    app.add_option("--timeout", options.timeout_text, "Wait at most so long for the outcome: 30s, 500ms, 5min")
        ->capture_default_str()
        ->type_name("DURATION");
    app.add_flag("--no-wait", options.no_wait, "Give the command and don't wait for its outcome");
    app.add_option("--reason", options.reason, "Why the command is given: kept with it in the events")->type_name("TEXT");
    app.set_version_flag("--version", "clusterctl " CLUSTERD_VERSION);
}

int run(int argc, char** argv) {
    CLI::App app{"Operates a clusterd pair: shows what runs where, moves it, and says why it is not well.", "clusterctl"};
    app.fallthrough();  // inherited by every verb: global options may stand behind it, too
    app.require_subcommand(1);
    app.footer("Exit codes: 0 done, 1 failed, 2 usage, 3 no daemon, 4 timed out, 5 refused.");
    Options options;
    Chosen chosen;
    add_globals(app, options);
    add_status(app, options, chosen);
    add_commands(app, options, chosen);
    add_history(app, options, chosen);
    add_why(app, options, chosen);
    add_apply(app, options, chosen);
    add_plan(app, options, chosen);
    add_check(app, options, chosen);
    add_standby(app, options, chosen);
    add_drill(app, options, chosen);
    add_quorum(app, options, chosen);
    add_key(app, options, chosen);
    add_agent(app, options, chosen);
    add_show(app, options, chosen);
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? exit_done : exit_usage;
    }
    auto const timeout = parse_timeout(options.timeout_text);
    if (!timeout) {
        std::fprintf(stderr, "clusterctl: --timeout '%s' %s\n", options.timeout_text.c_str(), timeout.error().c_str());
        return exit_usage;
    }
    options.timeout = *timeout;
    return chosen();
}

}  // namespace
}  // namespace clusterd::tool

int main(int argc, char** argv) {
    try {
        int const code = clusterd::tool::run(argc, argv);
        return std::fflush(stdout) == 0 ? code : clusterd::tool::exit_failed;
    } catch (clusterd::tool::Stop const& stop) {
        std::fflush(stdout);
        std::fprintf(stderr, "clusterctl: %s\n", stop.message.c_str());
        return stop.code;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "clusterctl: %s\n", e.what());
        return clusterd::tool::exit_failed;
    }
}
