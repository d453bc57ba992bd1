// Reads the files that hold a driver's or agent's secrets (`...-file` attributes): only those that others can't read or change.
//
// Called each time they are needed, so that a changed secret counts at once. Errors never repeat what stands in the file.
#pragma once

#include "clusterd/core/result.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace clusterd {

inline constexpr std::size_t max_secret_file = 64u << 10;

inline Result<std::string> read_secret_file(std::string const& path) {
    int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return Error{path + " can't be opened: " + std::strerror(errno)};
    struct Closer {
        int fd;
        ~Closer() { close(fd); }
    } const closer{fd};
    struct stat st {};
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return Error{path + " isn't a file"};
    if (st.st_uid != 0 && st.st_uid != geteuid()) return Error{path + " belongs to another user; run: chown root " + path};
    if (st.st_mode & 077) return Error{path + " can be read or changed by others; run: chmod 600 " + path};
    if (static_cast<std::size_t>(st.st_size) > max_secret_file) return Error{path + " is longer than 64 KiB"};
    std::string text(static_cast<std::size_t>(st.st_size), '\0');
    ssize_t const n = pread(fd, text.data(), text.size(), 0);
    if (n < 0) return Error{path + " can't be read: " + std::strerror(errno)};
    text.resize(static_cast<std::size_t>(n));
    return text;
}

// Its lines, without empty ones and those that start with #.
inline Result<std::vector<std::string>> read_secret_lines(std::string const& path) {
    auto text = read_secret_file(path);
    if (!text) return Error{text.error()};
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text->size();) {
        std::size_t const end = std::min(text->find('\n', at), text->size());
        std::string line = text->substr(at, end - at);
        at = end + 1;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.find('\0') != std::string::npos) return Error{path + " holds a zero byte; it must be text"};
        if (!line.empty() && line.front() != '#') lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace clusterd
