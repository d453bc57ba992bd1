// See block_reader.hpp.
#include "resources/block_reader.hpp"

#include "resources/clock.hpp"
#include "resources/disk_identity.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace clusterd {
namespace {

constexpr std::size_t alignment = 4096;  // of memory and length: enough for every device's sectors
constexpr std::size_t wanted = (identity_bytes + alignment - 1) / alignment * alignment;

struct File {
    int fd;
    ~File() {
        if (fd >= 0) close(fd);
    }
};

}  // namespace

Result<BlockDevice> BlockReader::read(std::string const& path) {
    struct stat st {};
    BlockDevice found;
    if (stat(path.c_str(), &st) != 0) return Error{fmt::format("{}: {}", path, std::strerror(errno))};
    if (!S_ISBLK(st.st_mode)) return Error{path + " is no block device"};
    File const file{open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)};
    if (file.fd < 0) return Error{fmt::format("{}: {}", path, std::strerror(errno))};
    if (ioctl(file.fd, BLKGETSIZE64, &found.size) != 0) return Error{fmt::format("{}: its size can't be asked: {}", path, std::strerror(errno))};
    struct Freed {
        void operator()(void* p) const { std::free(p); }
    };
    std::unique_ptr<void, Freed> const buffer(std::aligned_alloc(alignment, wanted));
    if (!buffer) return Error{path + ": no memory to read it"};
    ssize_t const n = pread(file.fd, buffer.get(), wanted, 0);
    if (n < 0) return Error{fmt::format("{}: it can't be read: {}", path, std::strerror(errno))};
    if (n == 0) return Error{path + ": it is empty"};
    found.first_bytes.assign(static_cast<char const*>(buffer.get()), static_cast<std::size_t>(n));
    return found;
}

BlockReader::Seen BlockReader::look(Instant deadline) {
    std::shared_ptr<Job> job;
    {
        std::lock_guard lock(mutex_);
        if (cancelled_) return {};
        bool late = false;  // what came after its look had given up is of then, not of now
        if (job_) {
            std::lock_guard inner(job_->mutex);
            late = job_->done;
        }
        if (!job_ || late) {
            job_ = std::make_shared<Job>();
            std::thread([job = job_, path = path_] {
                pthread_setname_np(pthread_self(), "disk");
                auto device = read(path);
                std::lock_guard inner(job->mutex);
                job->device = std::move(device);
                job->done = true;
                job->changed.notify_all();
            }).detach();
        }
        job = job_;
    }
    std::unique_lock lock(job->mutex);
    auto const over = [&] { return job->done || job->cancelled; };
    if (deadline == forever)
        job->changed.wait(lock, over);
    else
        job->changed.wait_for(lock, std::chrono::milliseconds(ms_left(deadline)), over);
    if (!job->done) return {};
    Seen seen{true, std::move(job->device)};
    lock.unlock();
    std::lock_guard outer(mutex_);
    job_.reset();
    return seen;
}

void BlockReader::cancel() {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (!job_) return;
    std::lock_guard inner(job_->mutex);
    job_->cancelled = true;
    job_->changed.notify_all();
}

void BlockReader::resume() {
    std::lock_guard lock(mutex_);
    cancelled_ = false;
    if (!job_) return;
    std::lock_guard inner(job_->mutex);
    job_->cancelled = false;
}

}  // namespace clusterd
