// `clusterctl status`: once, as JSON, or watched.
#include "clusterd/clusterctl/history.hpp"
#include "clusterd/clusterctl/status_text.hpp"
#include "clusterd/clusterctl/watch.hpp"
#include "clusterd/clusterctl/why_text.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

namespace clusterd::tool {
namespace {

std::string shown(Daemon& daemon, Options const& options, Paint const& paint, int rows = 0) {
    std::string const json = daemon.get("/v1/status");
    if (options.json) return json + "\n";
    auto const status = parse_status(json);
    if (!status) throw Stop{exit_failed, status.error() + "; are clusterctl and clusterd of the same version?"};
    return status_text(*status, paint, wall_now_ms(), rows);
}

// The terminal's other screen, keys unbuffered, cursor hidden; put back however it ends.
class Screen {
public:
    Screen() {
        tcgetattr(STDIN_FILENO, &before_);
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        std::fputs("\x1b[?1049h\x1b[?25l", stdout);
    }
    ~Screen() {
        std::fputs("\x1b[?25h\x1b[?1049l", stdout);
        std::fflush(stdout);
        tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    Screen(Screen const&) = delete;
    Screen& operator=(Screen const&) = delete;

    // Overwrites in place: clearing first would flicker.
    void draw(std::string const& text, int height) {
        std::string out = "\x1b[H";
        auto const lines = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
        bool const cut = lines > height - 1;
        int line = 0;
        for (std::size_t at = 0; at < text.size() && line < height - (cut ? 2 : 1); ++line) {
            std::size_t const end = std::min(text.find('\n', at), text.size());
            out += text.substr(at, end - at) + "\x1b[K\n";
            at = end + 1;
        }
        if (cut) out += fmt::format("... {} more lines; a higher window shows them\x1b[K\n", lines - line);
        out += "\x1b[J";
        std::fwrite(out.data(), 1, out.size(), stdout);
        std::fflush(stdout);
    }
    struct Pressed {
        bool any = false, ended = false;  // ended: nobody types any more
        Watch::Key key = Watch::Key::character;
        char character = 0;
    };
    // The next key, or none within so long. `also`: something else that is waited for; -1: nothing.
    static Pressed key_within(int ms, int also) {
        pollfd in[] = {{STDIN_FILENO, POLLIN, 0}, {also, POLLIN, 0}};
        if (poll(in, also < 0 ? 1 : 2, ms) <= 0 || in[0].revents == 0) return {};
        char keys[8] = {};
        ssize_t const n = read(STDIN_FILENO, keys, sizeof keys);
        if (n <= 0) return {true, true};
        if (keys[0] != '\x1b') return {true, false, Watch::Key::character, keys[0]};
        if (n >= 3 && keys[1] == '[' && (keys[2] == 'A' || keys[2] == 'B')) return {true, false, keys[2] == 'A' ? Watch::Key::up : Watch::Key::down};
        return {true, false, Watch::Key::escape};
    }

private:
    termios before_{};
};

// This very clusterctl, run for a command that a key gave; what it says is shown below the status.
class Ordered {
public:
    ~Ordered() { end(SIGTERM); }
    Ordered() = default;
    Ordered(Ordered const&) = delete;
    Ordered& operator=(Ordered const&) = delete;

    void begin(Options const& options, std::vector<std::string> arguments) {
        end(SIGTERM);
        said_ = "...";
        arguments.insert(arguments.begin(), {"clusterctl", "--socket", options.socket});
        if (!options.reason.empty()) arguments.insert(arguments.end(), {"--reason", options.reason});
        int out[2];
        if (pipe2(out, O_CLOEXEC) != 0) return;
        pid_ = fork();
        if (pid_ == 0) {
            int const nothing = open("/dev/null", O_RDONLY);
            dup2(nothing, 0);
            dup2(out[1], 1);
            dup2(out[1], 2);
            std::vector<char*> argv;
            for (auto& a : arguments) argv.push_back(a.data());
            argv.push_back(nullptr);
            execv("/proc/self/exe", argv.data());
            _exit(127);
        }
        close(out[1]);
        out_ = out[0];
    }
    int fd() const { return out_; }
    // What it has said since, its last line; once it has ended, that stays.
    std::string const& said() {
        pollfd in{out_, POLLIN, 0};
        char buffer[4096];
        while (out_ >= 0 && poll(&in, 1, 0) > 0) {
            ssize_t const n = read(out_, buffer, sizeof buffer);
            if (n <= 0) {
                end(0);
                break;
            }
            text_.append(buffer, static_cast<std::size_t>(n));
            std::size_t const last = text_.find_last_not_of('\n');
            if (last == std::string::npos) continue;
            std::size_t const begin = text_.rfind('\n', last);
            said_ = text_.substr(begin == std::string::npos ? 0 : begin + 1, last - (begin == std::string::npos ? std::string::npos : begin));
            if (text_.size() > 65536) text_.erase(0, text_.size() - 4096);
        }
        return said_;
    }

private:
    void end(int signal) {
        if (out_ < 0) return;
        if (signal != 0) kill(pid_, signal);
        close(std::exchange(out_, -1));
        waitpid(pid_, nullptr, 0);
        text_.clear();
    }
    pid_t pid_ = -1;
    int out_ = -1;
    std::string text_, said_;
};

// Until a key is pressed.
void show_why(Screen& screen, Daemon& daemon, std::string const& name) {
    Paint const paint = stdout_paint();
    std::string text;
    try {
        auto status = parse_status(daemon.get("/v1/status"));
        auto failovers = parse_failovers(daemon.get("/v1/failovers"));
        if (!status || !failovers) throw Stop{exit_failed, !status ? status.error() : failovers.error()};
        auto const found = find_why({std::move(*status), fetch_events(daemon, "", most_events, 0), std::move(*failovers)}, name, wall_now_ms());
        text = found ? why_text(*found, paint, wall_now_ms()) : name + " isn't there any more\n";
    } catch (Stop const& stop) {
        text = wrapped(stop.message, paint.width, 2) + "\n";
    }
    screen.draw(paint(Tone::faint, "any key: back to the status") + "\n" + text, paint.height);
    while (!interrupted && !Screen::key_within(1000, -1).any) {
    }
}

int watch_on_terminal(Daemon& daemon, Options const& options) {
    Screen screen;
    Watch watch;
    Ordered ordered;
    while (!interrupted) {
        Paint const paint = stdout_paint();  // each time: the window may have changed
        std::string text;
        try {
            auto const status = parse_status(daemon.get("/v1/status"));
            if (!status) throw Stop{exit_failed, status.error()};
            watch.show(*status);
            text = with_line_marked(status_text(*status, paint, wall_now_ms(), paint.height - 4), watch.chosen());
        } catch (Stop const& stop) {
            if (stop.code == exit_interrupted) break;
            text = wrapped(stop.message, paint.width, 2) + "\n";
        }
        std::string const head = paint(Tone::faint, local_date_time(wall_now_ms()).substr(11, 8)) + "  " + paint(Tone::strong, clipped(watch.bar(), paint.width - 11, paint.utf8));
        screen.draw(head + "\n" + paint(Tone::warn, clipped(ordered.said(), paint.width - 1, paint.utf8)) + "\n" + text, paint.height);
        Screen::Pressed const pressed = Screen::key_within(1000, ordered.fd());
        if (!pressed.any) continue;
        if (pressed.ended) break;
        Watch::Order const order = watch.on_key(pressed.key, pressed.character);
        if (order.what == Watch::Order::What::quit) break;
        if (order.what == Watch::Order::What::run) ordered.begin(options, order.arguments);
        if (order.what == Watch::Order::What::why) show_why(screen, daemon, order.arguments.front());
    }
    return exit_done;
}

int watch_in_pipe(Daemon& daemon, Options const& options) {
    Paint const paint = stdout_paint();
    while (!interrupted) {
        std::string const text = shown(daemon, options, paint) + (options.json ? "" : "\n");
        if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return exit_failed;
        poll(nullptr, 0, 1000);
    }
    return exit_done;
}

int status(Options const& options, bool watch) {
    Daemon daemon(options.socket);
    if (!watch) {
        std::fputs(shown(daemon, options, stdout_paint()).c_str(), stdout);
        return exit_done;
    }
    catch_interrupts();
    bool const terminal = isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1 && !options.json;
    return terminal ? watch_on_terminal(daemon, options) : watch_in_pipe(daemon, options);
}

}  // namespace

void add_status(CLI::App& app, Options const& options, Chosen& chosen) {
    auto* const verb = app.add_subcommand("status", "What runs where, and what is not well");
    auto const watch = std::make_shared<bool>(false);
    verb->add_flag("--watch", *watch, "Show it again every second, with keys to move, online, offline, pause, reset and why; until q or Ctrl-C");
    verb->callback([&options, &chosen, watch] { chosen = [&options, watch] { return status(options, *watch); }; });
}

}  // namespace clusterd::tool
