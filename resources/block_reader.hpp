// Looks at a block device: is it there, which is it, does it answer? In a thread of its own for each look, which is left behind where it hangs: a
// device that doesn't answer keeps whoever reads from it, and no signal helps.
//
// At most one thread a reader, whatever is asked: while one hangs, the next look waits for the same one.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace clusterd {

struct BlockDevice {
    std::uint64_t size = 0;
    std::string first_bytes;  // past the cache: identity_bytes, rounded up to whole sectors
};

class BlockReader {
public:
    explicit BlockReader(std::string path) : path_(std::move(path)) {}

    struct Seen {
        bool in_time = false;  // else it hangs
        Result<BlockDevice> device = Error{};
    };
    Seen look(Instant deadline);  // from one thread at a time
    void cancel();                // from any thread: a look that waits returns at once, as one that hangs; and so do later ones, until
    void resume();

private:
    struct Job {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false, cancelled = false;
        Result<BlockDevice> device = Error{};
    };
    static Result<BlockDevice> read(std::string const& path);

    std::string const path_;
    std::mutex mutex_;
    bool cancelled_ = false;    // mutex_
    std::shared_ptr<Job> job_;  // mutex_; shared with the thread
};

}  // namespace clusterd
