// The state store's directory: opening, reading and writing its files durably. Used by store.cpp; no threads, no policy.
#pragma once

#include "clusterd/core/result.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd::store {

// A descriptor, closed with its owner.
class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(Fd&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
    Fd& operator=(Fd&& o) noexcept;
    ~Fd();
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_;
};

using Sync = std::function<int(int fd)>;

class Directory {
public:
    // Makes the directory, 0700, and missing ones above it. Refused where others can write it.
    static Result<Directory> open(std::string const& path);
    std::string path(std::string const& name) const { return path_ + "/" + name; }

    Result<Fd> lock(std::string const& name, std::int64_t patience_ms) const;
    bool has(std::string const& name) const;
    std::vector<std::string> names() const;  // of regular files, newest change first
    Result<std::string> read(std::string const& name, std::size_t max) const;
    Result<Fd> open_for_writing(std::string const& name) const;  // an existing file
    // Whole, by tmp + fsync + rename + fsync of the directory.
    Result<Done> replace(std::string const& name, std::string_view content, Sync const& sync) const;
    void remove(std::string const& name) const;
    Result<Done> sync(std::string const& name) const;  // fsync
    Result<Done> sync_self() const;

private:
    std::string path_;
    Fd fd_;
};

// In place, from the beginning; durable when it returns.
Result<Done> overwrite(Fd const& fd, std::string_view content, std::string const& path, Sync const& sync);

}  // namespace clusterd::store
