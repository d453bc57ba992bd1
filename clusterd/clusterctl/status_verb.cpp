// `clusterctl status`: once, as JSON, or watched.
#include "clusterd/clusterctl/daemon.hpp"
#include "clusterd/clusterctl/status_text.hpp"
#include "clusterd/wire/status.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <poll.h>
#include <termios.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>

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
    // True: q was pressed.
    static bool quit_within(int ms) {
        pollfd in{STDIN_FILENO, POLLIN, 0};
        if (poll(&in, 1, ms) <= 0) return false;
        char key = 0;
        return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q';
    }

private:
    termios before_{};
};

std::string now_or_why(Daemon& daemon, Options const& options, Paint const& paint) {
    try {
        return shown(daemon, options, paint, paint.height - 2);
    } catch (Stop const& stop) {
        if (stop.code == exit_interrupted) throw;
        return wrapped(stop.message, paint.width, 2) + "\n";
    }
}

int watch_on_terminal(Daemon& daemon, Options const& options) {
    Screen screen;
    while (!interrupted) {
        Paint const paint = stdout_paint();  // each time: the window may have changed
        std::string text;
        try {
            text = now_or_why(daemon, options, paint);
        } catch (Stop const&) {
            break;
        }
        screen.draw(paint(Tone::faint, fmt::format("{}   q quits", local_date_time(wall_now_ms()).substr(0, 19))) + "\n" + text,
                    paint.height);
        if (Screen::quit_within(1000)) break;
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
    verb->add_flag("--watch", *watch, "Show it again every second, until q or Ctrl-C");
    verb->callback([&options, &chosen, watch] { chosen = [&options, watch] { return status(options, *watch); }; });
}

}  // namespace clusterd::tool
