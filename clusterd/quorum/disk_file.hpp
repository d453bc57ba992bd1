// The quorum disk as a file that is read and written past every cache. The seam of this room: tests bring a disk that fails, tears
// or hangs. Used on the disk's I/O thread, and by `quorum init | show`.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace clusterd {

// What O_DIRECT wants of memory: aligned to a block, whole blocks long. Zeroed.
class BlockBuffer {
public:
    explicit BlockBuffer(std::size_t bytes);
    explicit BlockBuffer(std::string_view content);  // padded with zeros to whole blocks
    char* data() { return data_.get(); }
    std::size_t size() const { return size_; }
    std::string_view view() const { return {data_.get(), size_}; }

private:
    struct Free {
        void operator()(char* p) const { std::free(p); }
    };
    std::size_t size_;
    std::unique_ptr<char, Free> data_;
};

class DiskFile {
public:
    struct Facts {
        std::uint64_t bytes = 0;
        bool block_device = false;
        bool direct = true;       // O_DIRECT
        std::string warning;      // where it isn't
        Duration command_time{};  // how long a command of an earlier life of this machine may still be pending in the device
    };
    virtual ~DiskFile() = default;
    // Whole blocks at whole blocks; all of it or an error. A write is durable when it returns.
    virtual Result<Done> read(std::uint64_t offset, BlockBuffer& into) = 0;
    virtual Result<Done> write(std::uint64_t offset, BlockBuffer const& from) = 0;
    Facts const& facts() const { return facts_; }

protected:
    Facts facts_;
};

enum class DiskAccess : std::uint8_t { read, read_write };
using DiskOpener = std::function<Result<std::unique_ptr<DiskFile>>(std::string const& path, DiskAccess access)>;

// O_DIRECT | O_DSYNC on a block device or regular file. A file on a local filesystem that can't do O_DIRECT is used without, with
// a warning; a device or a file on a shared filesystem is refused then.
Result<std::unique_ptr<DiskFile>> open_disk(std::string const& path, DiskAccess access);

}  // namespace clusterd
