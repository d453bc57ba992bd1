// A disk that both nodes see and that fails for each of them apart: a FUSE filesystem with a file per node, all views of one image.
//
//   lab-faultdisk MOUNTPOINT IMAGE NODE...      in the foreground, until it is unmounted or SIGTERM
//
// Files: MOUNTPOINT/NODE for each, and MOUNTPOINT/control; a line written to it, "NODE MODE [MS]", counts at once:
//   ok | eio (all fails) | weio (writes fail) | reio (reads fail) | slow MS (each takes so much longer)
//   hang (nothing returns until another mode is set; what hung is then done as that mode says, so `eio` drops it)
//   wlost (writes are said to be done and aren't) | torn (writes do the first half and fail)
// Reading control tells each node's mode and how many operations were done, failed and hang.
#define FUSE_USE_VERSION 35

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fuse.h>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace {

enum class Mode { ok, eio, weio, reio, slow, hang, wlost, torn };
std::map<std::string, Mode> const modes{{"ok", Mode::ok},     {"eio", Mode::eio},   {"weio", Mode::weio},   {"reio", Mode::reio},
                                        {"slow", Mode::slow}, {"hang", Mode::hang}, {"wlost", Mode::wlost}, {"torn", Mode::torn}};

struct View {
    Mode mode = Mode::ok;
    int slow_ms = 0;
    unsigned long done = 0, failed = 0, hanging = 0;
};

std::mutex mutex;
std::condition_variable changed;
std::map<std::string, View> views;
int image = -1;
off_t image_size = 0;

View* view_of(char const* path) {
    auto const at = views.find(path + 1);
    return at == views.end() ? nullptr : &at->second;
}
bool is_control(char const* path) { return std::strcmp(path, "/control") == 0; }

// Waits as the mode says; then says whether this operation fails.
Mode admit(View& view) {
    std::unique_lock lock(mutex);
    if (view.mode == Mode::slow) {
        auto const end = std::chrono::steady_clock::now() + std::chrono::milliseconds(view.slow_ms);
        changed.wait_until(lock, end, [&] { return view.mode != Mode::slow; });
    }
    ++view.hanging;
    changed.wait(lock, [&] { return view.mode != Mode::hang; });
    --view.hanging;
    return view.mode;
}

int count(View& view, int result) {
    std::lock_guard const lock(mutex);
    ++(result < 0 ? view.failed : view.done);
    return result;
}

std::string report() {
    std::lock_guard const lock(mutex);
    std::ostringstream out;
    for (auto const& [name, view] : views)
        for (auto const& [word, mode] : modes)
            if (mode == view.mode)
                out << name << ' ' << word << " done=" << view.done << " failed=" << view.failed << " hanging=" << view.hanging << '\n';
    return out.str();
}

int command(std::string const& text) {
    std::istringstream in(text);
    std::string name, word;
    int milliseconds = 0;
    in >> name >> word;
    auto const mode = modes.find(word);
    auto const view = views.find(name);
    if (mode == modes.end() || view == views.end()) return -EINVAL;
    if (mode->second == Mode::slow && (!(in >> milliseconds) || milliseconds < 0)) return -EINVAL;
    std::lock_guard const lock(mutex);
    view->second.mode = mode->second;
    view->second.slow_ms = milliseconds;
    changed.notify_all();
    return 0;
}

int do_getattr(char const* path, struct stat* out, fuse_file_info*) {
    std::memset(out, 0, sizeof *out);
    if (std::strcmp(path, "/") == 0) {
        out->st_mode = S_IFDIR | 0755;
        out->st_nlink = 2;
    } else if (is_control(path)) {
        out->st_mode = S_IFREG | 0600;
        out->st_nlink = 1;
    } else if (view_of(path)) {
        out->st_mode = S_IFREG | 0600;
        out->st_nlink = 1;
        out->st_size = image_size;
        out->st_blksize = 4096;
    } else {
        return -ENOENT;
    }
    return 0;
}

int do_readdir(char const*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
    fill(buffer, "control", nullptr, 0, fuse_fill_dir_flags{});
    for (auto const& [name, view] : views) fill(buffer, name.c_str(), nullptr, 0, fuse_fill_dir_flags{});
    return 0;
}

int do_open(char const* path, fuse_file_info* info) {
    info->direct_io = 1;  // nothing is cached, and O_DIRECT works
    return is_control(path) || view_of(path) ? 0 : -ENOENT;
}

int do_read(char const* path, char* buffer, size_t size, off_t offset, fuse_file_info*) {
    if (is_control(path)) {
        std::string const text = report();
        if (offset > 0) return 0;  // in one piece, or the next piece would be of another report
        return static_cast<int>(text.copy(buffer, size));
    }
    View* view = view_of(path);
    if (!view) return -ENOENT;
    Mode const mode = admit(*view);
    if (mode == Mode::eio || mode == Mode::reio) return count(*view, -EIO);
    ssize_t const got = pread(image, buffer, size, offset);
    return count(*view, got < 0 ? -errno : static_cast<int>(got));
}

int do_write(char const* path, char const* data, size_t size, off_t offset, fuse_file_info*) {
    if (is_control(path)) {
        int const result = command(std::string(data, size));
        return result < 0 ? result : static_cast<int>(size);
    }
    View* view = view_of(path);
    if (!view) return -ENOENT;
    Mode const mode = admit(*view);
    if (mode == Mode::eio || mode == Mode::weio) return count(*view, -EIO);
    if (mode == Mode::wlost) return count(*view, static_cast<int>(size));
    if (offset + static_cast<off_t>(size) > image_size) return count(*view, -ENOSPC);
    std::size_t const wanted = mode == Mode::torn ? size / 2 : size;
    ssize_t const wrote = pwrite(image, data, wanted, offset);
    if (mode == Mode::torn) return count(*view, -EIO);
    return count(*view, wrote < 0 ? -errno : static_cast<int>(wrote));
}

int do_fsync(char const* path, int, fuse_file_info*) {
    View* view = view_of(path);
    if (!view) return 0;
    Mode const mode = admit(*view);
    return mode == Mode::eio || mode == Mode::weio ? -EIO : 0;
}

int do_truncate(char const* path, off_t size, fuse_file_info*) { return is_control(path) || size == image_size ? 0 : -EPERM; }

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: lab-faultdisk MOUNTPOINT IMAGE NODE...\n");
        return 2;
    }
    image = open(argv[2], O_RDWR | O_CLOEXEC);
    struct stat status;
    if (image < 0 || fstat(image, &status) != 0) {
        std::fprintf(stderr, "lab-faultdisk: %s: %s\n", argv[2], std::strerror(errno));
        return 1;
    }
    image_size = status.st_size;
    for (int i = 3; i < argc; ++i) views[argv[i]];
    fuse_operations operations{};
    operations.getattr = do_getattr;
    operations.readdir = do_readdir;
    operations.open = do_open;
    operations.read = do_read;
    operations.write = do_write;
    operations.fsync = do_fsync;
    operations.truncate = do_truncate;
    std::string program = "lab-faultdisk", foreground = "-f", option = "-o", allow = "allow_other,max_threads=32", mountpoint = argv[1];
    char* arguments[] = {program.data(), foreground.data(), option.data(), allow.data(), mountpoint.data(), nullptr};
    return fuse_main(5, arguments, &operations, nullptr);
}
