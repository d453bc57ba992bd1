#include "clusterd/quorum/disk_file.hpp"

#include "clusterd/wire/disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace clusterd {

namespace {

std::string reason() { return std::strerror(errno); }

class RealDisk : public DiskFile {
public:
    RealDisk(std::string path, int fd, Facts facts) : path_(std::move(path)), fd_(fd) { facts_ = std::move(facts); }
    ~RealDisk() override { ::close(fd_); }

    Result<Done> read(std::uint64_t offset, BlockBuffer& into) override {
        for (std::size_t done = 0; done < into.size();) {
            ssize_t const n = ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return Error{path_ + " can't be read at " + std::to_string(offset) + ": " + reason()};
            if (n == 0) return Error{path_ + " ends at " + std::to_string(offset + done) + ": it was made shorter"};
            done += static_cast<std::size_t>(n);
        }
        return Done{};
    }
    Result<Done> write(std::uint64_t offset, BlockBuffer const& from) override {
        for (std::size_t done = 0; done < from.size();) {
            ssize_t const n = ::pwrite(fd_, from.view().data() + done, from.size() - done, static_cast<off_t>(offset + done));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return Error{path_ + " can't be written at " + std::to_string(offset) + ": " + reason()};
            if (n == 0) return Error{path_ + " can't be written at " + std::to_string(offset) + ": it took nothing"};
            done += static_cast<std::size_t>(n);
        }
        return Done{};
    }

private:
    std::string path_;
    int fd_;
};

// Filesystems that other machines may see: there the page cache would hide the other node's slot.
bool shared_filesystem(int fd) {
    struct statfs s {};
    if (::fstatfs(fd, &s) != 0) return true;
    constexpr long shared[] = {0x6969 /*nfs*/, static_cast<long>(0xff534d42) /*cifs*/, static_cast<long>(0xfe534d42) /*smb2*/, 0x65735546 /*fuse*/,
                               0x01021997 /*9p*/, 0x00c36400 /*ceph*/, 0x01161970 /*gfs2*/, 0x7461636f /*ocfs2*/, 0x0bd00bd0 /*lustre*/};
    auto const type = static_cast<long>(static_cast<std::uint32_t>(s.f_type));
    return std::find(std::begin(shared), std::end(shared), type) != std::end(shared);
}

// A SCSI disk says in sysfs how long a command may take; of a stacked device the slowest below it counts.
Duration command_time_of(std::string const& sysfs, int depth = 0) {
    Duration longest{};
    for (char const* const name : {"/device/timeout", "/../device/timeout"}) {
        std::ifstream in(sysfs + name);
        int seconds = 0;
        if (in >> seconds && seconds > 0) longest = std::max<Duration>(longest, std::chrono::seconds(std::min(seconds, 600)));
    }
    DIR* const slaves = depth < 4 ? ::opendir((sysfs + "/slaves").c_str()) : nullptr;
    if (!slaves) return longest;
    while (dirent const* const entry = ::readdir(slaves))
        if (entry->d_name[0] != '.') longest = std::max(longest, command_time_of(sysfs + "/slaves/" + entry->d_name, depth + 1));
    ::closedir(slaves);
    return longest;
}

Result<DiskFile::Facts> facts_of(int fd, std::string const& path) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) return Error{path + ": " + reason()};
    DiskFile::Facts facts;
    if (S_ISREG(st.st_mode)) {
        facts.bytes = static_cast<std::uint64_t>(st.st_size);
    } else if (S_ISBLK(st.st_mode)) {
        facts.block_device = true;
        if (::ioctl(fd, BLKGETSIZE64, &facts.bytes) != 0) return Error{path + ": its size can't be found out: " + reason()};
        facts.command_time = command_time_of("/sys/dev/block/" + std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev)));
    } else {
        return Error{path + " is neither a block device nor a regular file"};
    }
    return facts;
}

// Some filesystems take the flag and refuse the I/O: so one block is read.
bool direct_works(int fd) {
    BlockBuffer probe(disk_block);
    return ::pread(fd, probe.data(), probe.size(), 0) >= 0 || errno != EINVAL;
}

}  // namespace

BlockBuffer::BlockBuffer(std::size_t bytes)
    : size_((bytes + disk_block - 1) / disk_block * disk_block), data_(static_cast<char*>(std::aligned_alloc(disk_block, std::max(size_, disk_block)))) {
    if (!data_) throw std::bad_alloc();
    std::memset(data_.get(), 0, size_);
}
BlockBuffer::BlockBuffer(std::string_view content) : BlockBuffer(content.size()) { std::copy(content.begin(), content.end(), data_.get()); }

Result<std::unique_ptr<DiskFile>> open_disk(std::string const& path, DiskAccess access) {
    int const flags = (access == DiskAccess::read ? O_RDONLY : O_RDWR | O_DSYNC) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = ::open(path.c_str(), flags | O_DIRECT);
    bool direct = fd >= 0;
    if (fd < 0 && errno == EINVAL) fd = ::open(path.c_str(), flags);
    if (fd < 0) return Error{path + " can't be opened: " + reason()};
    auto facts = facts_of(fd, path);
    if (!facts) {
        ::close(fd);
        return Error{facts.error()};
    }
    if (direct && !direct_works(fd)) {
        direct = false;
        int const plain = ::open(path.c_str(), flags);
        int const err = errno;
        ::close(fd);
        fd = plain;
        if (fd < 0) return Error{path + " can't be opened: " + std::strerror(err)};
    }
    facts->direct = direct;
    if (!direct) {
        if (facts->block_device || shared_filesystem(fd)) {
            ::close(fd);
            return Error{path + " can't do O_DIRECT, so the other node's writes might not be seen: use another device"};
        }
        facts->warning = path + " is on a filesystem without O_DIRECT: fit for tests on one machine, not as a shared disk";
    }
    return std::unique_ptr<DiskFile>(new RealDisk(path, fd, std::move(*facts)));
}

}  // namespace clusterd
