// A journal: lines appended to a file, for events and failovers. Written on the state store's thread (StateStore::run), read back
// by anyone. History for people: nothing is decided by it, so it is not fsynced.
//
// The file is bounded: at max_bytes it becomes FILE.1 (the one before is dropped), so between one and two times that is kept. A
// torn last line, of a crash, is dropped.
#pragma once

#include "clusterd/core/result.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

class Journal {
public:
    Journal(std::string path, std::uint64_t max_bytes) : path_(std::move(path)), max_bytes_(max_bytes) {}

    // One line, without its newline; control characters become spaces. It is there whole or not at all.
    Result<Done> append(std::string_view line);
    // The newest `count` whole lines, oldest first.
    std::vector<std::string> tail(std::size_t count) const;

private:
    std::string path_;
    std::uint64_t max_bytes_;
    mutable std::mutex mutex_;
};

}  // namespace clusterd
