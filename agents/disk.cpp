// See disk.hpp.
#include "agents/disk.hpp"

#include "resources/attributes.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstring>

namespace clusterd {
namespace {

constexpr std::size_t size = 4096;  // of one block: what O_DIRECT asks for everywhere
struct alignas(size) Block {
    std::array<unsigned char, size> bytes{};
};

// What this process wrote now, and nobody before: an old block read back is noticed.
void fill(Block& block) {
    std::uint64_t x = static_cast<std::uint64_t>(boot_now().ns) * 2 + static_cast<std::uint64_t>(getpid()) * 0x9e3779b97f4a7c15u + 1;
    for (unsigned char& b : block.bytes) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        b = static_cast<unsigned char>(x >> 56);
    }
}

// This node or its rights are at fault, not the filesystem.
bool not_run(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EACCES || error == EPERM;
}

class Disk final : public Agent {
public:
    explicit Disk(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        path_ = attributes.text("path");
        min_free_ = attributes.number("min-free", 0);
    }

    CheckOutcome check(Instant deadline) override {
        Instant const begun = boot_now();
        File const file(path_);
        if (file.fd < 0) return error(errno, "no file can be made there");
        Block written, read;
        fill(written);
        if (ssize_t const n = pwrite(file.fd, written.bytes.data(), size, 0); n != static_cast<ssize_t>(size))
            return error(n < 0 ? errno : ENOSPC, "it can't be written");
        if (fdatasync(file.fd) != 0) return error(errno, "it can't be written");
        if (!past_the_cache(file.fd)) posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
        ssize_t n = pread(file.fd, read.bytes.data(), size, 0);
        if (n < 0 && errno == EINVAL) {  // takes the flag, but not the read
            fcntl(file.fd, F_SETFL, 0);
            n = pread(file.fd, read.bytes.data(), size, 0);
        }
        if (n < 0) return error(errno, "it can't be read");
        if (n != static_cast<ssize_t>(size) || read.bytes != written.bytes)
            return {Health::failed, path_ + ": other bytes come back than were written"};
        if (boot_now() > deadline) return {Health::failed, fmt::format("{}: it took {} ms to write and read 4 KiB", path_, ms_since(begun))};
        return judge_space(begun);
    }

private:
    // Without a name where the filesystem can do that, else removed at once: nothing is left, whatever happens.
    struct File {
        int fd;
        explicit File(std::string const& folder) {
            fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
            if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return;
            std::string name = folder + "/.clusterd-check-XXXXXX";
            fd = mkostemp(name.data(), O_CLOEXEC);
            if (fd >= 0) unlink(name.c_str());
        }
        ~File() {
            if (fd >= 0) close(fd);
        }
        File(File const&) = delete;
        File& operator=(File const&) = delete;
    };

    static bool past_the_cache(int fd) { return fcntl(fd, F_SETFL, O_DIRECT) == 0; }
    static long ms_since(Instant begun) { return static_cast<long>((boot_now() - begun).count() / 1'000'000); }

    CheckOutcome error(int e, std::string const& what) const {
        return {not_run(e) ? Health::unknown : Health::failed, fmt::format("{}: {}: {}", path_, what, std::strerror(e))};
    }

    CheckOutcome judge_space(Instant begun) const {
        struct statvfs st {};
        if (statvfs(path_.c_str(), &st) != 0) return error(errno, "how full it is can't be asked");
        if (st.f_blocks == 0) return {Health::ok, fmt::format("{}: written and read in {} ms", path_, ms_since(begun))};
        double const free = 100.0 * static_cast<double>(st.f_bavail) / static_cast<double>(st.f_blocks);
        if (free < min_free_) return {Health::degraded, fmt::format("{}: {:.1f} % are free, less than {} %", path_, free, min_free_)};
        return {Health::ok, fmt::format("{}: written and read in {} ms, {:.0f} % free", path_, ms_since(begun), free)};
    }

    std::string path_;
    int min_free_;
};

}  // namespace

AgentPtr make_disk_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Disk>(health);
}

}  // namespace clusterd
