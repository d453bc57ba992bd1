#include "clusterd/store/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace clusterd::store {

namespace {

std::string reason() { return std::strerror(errno); }

Result<Done> write_all(int fd, std::string_view content, std::string const& path) {
    for (std::size_t done = 0; done < content.size();) {
        ssize_t const n = ::pwrite(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return Error{path + " can't be written: " + (n < 0 ? reason() : "it took nothing")};
        done += static_cast<std::size_t>(n);
    }
    return Done{};
}

Result<Done> make_directories(std::string const& path) {
    for (std::size_t at = 1; at != std::string::npos;) {
        at = path.find('/', at);
        std::string const part = path.substr(0, at);
        if (::mkdir(part.c_str(), at == std::string::npos ? 0700 : 0755) != 0 && errno != EEXIST) return Error{"the directory " + part + " can't be made: " + reason()};
        if (at != std::string::npos) ++at;
    }
    return Done{};
}

}  // namespace

Fd& Fd::operator=(Fd&& o) noexcept {
    if (this == &o) return *this;
    if (fd_ >= 0) ::close(fd_);
    fd_ = o.fd_;
    o.fd_ = -1;
    return *this;
}
Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

Result<Directory> Directory::open(std::string const& path) {
    if (auto const made = make_directories(path); !made) return Error{made.error()};
    Directory d;
    d.path_ = path;
    d.fd_ = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!d.fd_) return Error{"the directory " + path + " can't be opened: " + reason()};
    struct stat st {};
    if (::fstat(d.fd_.get(), &st) != 0) return Error{"the directory " + path + ": " + reason()};
    if ((st.st_mode & 022) != 0) return Error{"the directory " + path + " can be written by others; run: chmod 700 " + path};
    return d;
}

Result<Fd> Directory::lock(std::string const& name, std::int64_t patience_ms) const {
    Fd fd(::open(path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return Error{path(name) + " can't be opened: " + reason()};
    constexpr int step_ms = 10;
    for (;; patience_ms -= step_ms) {
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) break;
        if (errno != EWOULDBLOCK && errno != EINTR) return Error{path(name) + " can't be locked: " + reason()};
        if (patience_ms <= 0) {
            char pid[32] = {};
            ssize_t const n = ::pread(fd.get(), pid, sizeof pid - 1, 0);
            std::string const who = n > 1 ? " (process " + std::string(pid, static_cast<std::size_t>(n)) + ")" : "";
            return Error{"another clusterd" + who + " uses " + path_ + "; stop it, or give this one a --state-dir of its own"};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(step_ms));
    }
    std::string const pid = std::to_string(::getpid());
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) return fd;  // only told to people: no matter
    return fd;
}

bool Directory::has(std::string const& name) const {
    struct stat st {};
    return ::fstatat(fd_.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

std::vector<std::string> Directory::names() const {
    std::vector<std::pair<std::int64_t, std::string>> found;
    DIR* const dir = ::opendir(path_.c_str());
    while (dirent const* const entry = dir ? ::readdir(dir) : nullptr) {
        struct stat st {};
        if (::fstatat(fd_.get(), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            found.emplace_back(std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec, entry->d_name);
    }
    if (dir) ::closedir(dir);
    std::sort(found.rbegin(), found.rend());
    std::vector<std::string> names;
    for (auto& [time, name] : found) names.push_back(std::move(name));
    return names;
}

Result<std::string> Directory::read(std::string const& name, std::size_t max) const {
    Fd const fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) return Error{path(name) + " can't be opened: " + reason()};
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return Error{path(name) + " isn't a regular file"};
    if (static_cast<std::uint64_t>(st.st_size) > max) return Error{path(name) + " has " + std::to_string(st.st_size) + " bytes, at most " + std::to_string(max) + " are expected"};
    std::string out(static_cast<std::size_t>(st.st_size), '\0');
    for (std::size_t done = 0; done < out.size();) {
        ssize_t const n = ::pread(fd.get(), out.data() + done, out.size() - done, static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return Error{path(name) + " can't be read: " + reason()};
        if (n == 0) out.resize(done);
        done += static_cast<std::size_t>(n);
    }
    return out;
}

Result<Fd> Directory::open_for_writing(std::string const& name) const {
    Fd fd(::openat(fd_.get(), name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return Error{path(name) + " can't be opened: " + reason()};
    return fd;
}

Result<Done> Directory::replace(std::string const& name, std::string_view content, Sync const& sync) const {
    std::string const tmp = name + ".tmp";
    Fd const fd(::openat(fd_.get(), tmp.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return Error{path(tmp) + " can't be made: " + reason()};
    if (auto const written = overwrite(fd, content, path(tmp), sync); !written) {
        remove(tmp);
        return written;
    }
    if (::renameat(fd_.get(), tmp.c_str(), fd_.get(), name.c_str()) != 0) {
        Error const error{path(tmp) + " can't be renamed: " + reason()};
        remove(tmp);
        return error;
    }
    return sync_self();
}

void Directory::remove(std::string const& name) const { ::unlinkat(fd_.get(), name.c_str(), 0); }

Result<Done> Directory::sync(std::string const& name) const {
    Fd const fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd || ::fsync(fd.get()) != 0) return Error{path(name) + " can't be made durable: " + reason()};
    return Done{};
}

Result<Done> Directory::sync_self() const {
    if (::fsync(fd_.get()) != 0) return Error{"the directory " + path_ + " can't be made durable: " + reason()};
    return Done{};
}

Result<Done> overwrite(Fd const& fd, std::string_view content, std::string const& path, Sync const& sync) {
    if (auto const written = write_all(fd.get(), content, path); !written) return written;
    if (sync(fd.get()) != 0) return Error{path + " can't be made durable: " + reason()};
    return Done{};
}

}  // namespace clusterd::store
