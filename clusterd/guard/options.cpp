// The command line of clusterd; see options.hpp.
#include "clusterd/guard/options.hpp"

#include "clusterd/guard/log.hpp"

#include <sys/stat.h>
#include <cerrno>
#include <cstdlib>
#include <initializer_list>

namespace clusterd::guard {

namespace {

constexpr char help_text[] =
    "clusterd: one node of a two-node failover cluster (in the foreground)\n"
    "\n"
    "usage: clusterd --node NAME [options]\n"
    "  --node NAME          which <node> of the configuration this machine is\n"
    "  --config FILE        seeds the first start             (/etc/clusterd/cluster.xml)\n"
    "  --state-dir DIR      what must survive a reboot        (/var/lib/clusterd)\n"
    "  --run-dir DIR        socket, lock, what is owned now   (/run/clusterd)\n"
    "  --key FILE           the cluster's key, mode 0600      (/etc/clusterd/key)\n"
    "  --log-format FORMAT  journal, text or json             (journal under systemd, else text)\n"
    "  --help, --version\n"
    "\n"
    "signals: TERM leaves the cluster (groups move away, then exit 0; a second one stops at once, exit 1);\n"
    "         HUP re-executes clusterd in place, nothing of a resource stops\n"
    "exit:    0 left cleanly, 1 start refused or stopped by force, 2 usage\n";

bool set_format(char const* value) {
    if (std::strcmp(value, "journal") == 0)
        set_log_format(LogFormat::journal);
    else if (std::strcmp(value, "text") == 0)
        set_log_format(LogFormat::text);
    else if (std::strcmp(value, "json") == 0)
        set_log_format(LogFormat::json);
    else
        return false;
    return true;
}

Parsed wrong(char const* what, char const* argument) {
    std::fprintf(stderr, "clusterd: %s '%s'; see clusterd --help\n", what, argument);
    return Parsed::usage;
}

// Relative paths are made absolute: the worker and a re-executed guard must mean the same file.
bool set_path(Path& path, char const* value) {
    path = Path{};
    if (value[0] != '/') {
        char here[400];
        if (!getcwd(here, sizeof here)) return false;
        path.add("%s/", here);
    }
    path.add("%s", value);
    return !path.cut && value[0] != 0;
}

}  // namespace

bool safe_name(char const* name) {
    bool other_than_dot = false;
    std::size_t n = 0;
    for (; name[n]; ++n) {
        char const c = name[n];
        bool const word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!word && c != '.') return false;
        other_than_dot = other_than_dot || word;
    }
    return other_than_dot && n <= 127;
}

Parsed parse_options(int argc, char** argv, Options& options) {
    set_log_format(getenv("JOURNAL_STREAM") ? LogFormat::journal : LogFormat::text);
    for (int i = 1; i < argc; ++i) {
        char const* argument = argv[i];
        if (std::strcmp(argument, "--help") == 0 || std::strcmp(argument, "-h") == 0) {
            std::fputs(help_text, stdout);
            return Parsed::shown;
        }
        if (std::strcmp(argument, "--version") == 0) {
            std::puts("clusterd " CLUSTERD_VERSION);
            return Parsed::shown;
        }
        char const* equals = std::strchr(argument, '=');
        Text<32> name;
        name.add("%.*s", static_cast<int>(equals ? equals - argument : static_cast<long>(std::strlen(argument))), argument);
        bool known = false;
        for (char const* option : {"--node", "--config", "--state-dir", "--run-dir", "--key", "--log-format"})
            known = known || name == option;
        if (!known) return wrong("unknown argument", argument);
        char const* value = equals ? equals + 1 : (i + 1 < argc ? argv[++i] : nullptr);
        if (!value) return wrong("no value for", name.s);
        bool ok = true;
        if (name == "--node") {
            ok = safe_name(value);
            options.node.set(value);
        } else if (name == "--config")
            ok = set_path(options.config, value);
        else if (name == "--state-dir")
            ok = set_path(options.state_dir, value);
        else if (name == "--run-dir")
            ok = set_path(options.run_dir, value);
        else if (name == "--key")
            ok = set_path(options.key, value);
        else
            ok = set_format(value);
        if (!ok) {
            std::fprintf(stderr, "clusterd: %s '%s' can't be used; see clusterd --help\n", name.s, value);
            return Parsed::usage;
        }
    }
    if (options.node.empty()) {
        std::fputs("clusterd: --node NAME is missing: which <node> of the configuration is this machine? See clusterd --help\n",
                   stderr);
        return Parsed::usage;
    }
    return Parsed::run;
}

bool key_file_is_safe(char const* path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        log(Level::error, "key file %s: %s; make one with `clusterctl key new %s` and copy it to the other node. Not started", path,
            strerror(errno), path);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        log(Level::error, "key file %s is not a regular file; not started", path);
        return false;
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        log(Level::error, "key file %s has mode %04o: others than its owner can use it; run `chmod 0600 %s`. Not started", path,
            static_cast<unsigned>(st.st_mode & 07777), path);
        return false;
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        log(Level::error, "key file %s belongs to uid %u, expected 0 or %u; not started", path, st.st_uid, geteuid());
        return false;
    }
    return true;
}

}  // namespace clusterd::guard
