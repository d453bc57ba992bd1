#include "clusterd/store/journal.hpp"

#include "clusterd/store/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace clusterd {

namespace {

std::string read_whole(std::string const& path, std::uint64_t max) {
    store::Fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
    auto const size = std::min<std::uint64_t>(static_cast<std::uint64_t>(st.st_size), max);
    std::string out(size, '\0');
    std::size_t have = 0;
    while (have < out.size()) {
        ssize_t const n = ::pread(fd.get(), out.data() + have, out.size() - have, static_cast<off_t>(static_cast<std::uint64_t>(st.st_size) - size + have));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        have += static_cast<std::size_t>(n);
    }
    out.resize(have);
    return out;
}

// The last whole lines of `text`, newest first, until `lines` has `count`.
void collect(std::string_view text, std::size_t count, std::vector<std::string>& lines) {
    std::size_t const end = text.rfind('\n');
    if (end == std::string_view::npos) return;
    text = text.substr(0, end);
    while (lines.size() < count) {
        std::size_t const start = text.rfind('\n');
        std::string_view const line = text.substr(start == std::string_view::npos ? 0 : start + 1);
        if (!line.empty()) lines.emplace_back(line);
        if (start == std::string_view::npos) return;
        text = text.substr(0, start);
    }
}

// A crash may have left half a line: it goes, or the next line would be glued to it.
bool drop_torn_line(int fd, std::uint64_t size) {
    char block[4096];
    while (size > 0) {
        std::uint64_t const from = size > sizeof block ? size - sizeof block : 0;
        ssize_t const n = ::pread(fd, block, static_cast<std::size_t>(size - from), static_cast<off_t>(from));
        if (n <= 0) return false;
        for (ssize_t i = n; i > 0; --i)
            if (block[i - 1] == '\n') return ::ftruncate(fd, static_cast<off_t>(from) + i) == 0;
        size = from;
    }
    return ::ftruncate(fd, 0) == 0;
}

}  // namespace

Result<Done> Journal::append(std::string_view line) {
    std::string text(line);
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    text += '\n';
    std::lock_guard const guard(mutex_);
    for (bool rotated = false;; rotated = true) {
        store::Fd const fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
        struct stat st {};
        if (!fd || ::fstat(fd.get(), &st) != 0) return Error{"the journal " + path_ + " can't be opened: " + std::strerror(errno)};
        auto const size = static_cast<std::uint64_t>(st.st_size);
        char last = '\n';
        if (size > 0 && (::pread(fd.get(), &last, 1, st.st_size - 1) != 1 || last != '\n') && !drop_torn_line(fd.get(), size))
            return Error{"the journal " + path_ + " ends in half a line that can't be dropped: " + std::strerror(errno)};
        if (size > 0 && size + text.size() > max_bytes_ && !rotated) {
            if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return Error{"the journal " + path_ + " can't be renamed: " + std::strerror(errno)};
            continue;
        }
        ssize_t const n = ::write(fd.get(), text.data(), text.size());
        if (n == static_cast<ssize_t>(text.size())) return Done{};
        std::string const why = n < 0 ? std::strerror(errno) : "no room for the whole line";
        if (n > 0 && ::fstat(fd.get(), &st) == 0) drop_torn_line(fd.get(), static_cast<std::uint64_t>(st.st_size));
        return Error{"the journal " + path_ + " can't be written: " + why};
    }
}

std::vector<std::string> Journal::tail(std::size_t count) const {
    std::lock_guard const guard(mutex_);
    std::vector<std::string> lines;
    collect(read_whole(path_, max_bytes_ + 65536), count, lines);
    if (lines.size() < count) collect(read_whole(path_ + ".1", max_bytes_ + 65536), count, lines);
    std::reverse(lines.begin(), lines.end());
    return lines;
}

}  // namespace clusterd
