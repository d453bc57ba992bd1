#include "clusterd/quorum/admin.hpp"

#include "clusterd/quorum/signatures.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sodium.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

namespace clusterd {

namespace {

std::string reason() { return std::strerror(errno); }

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd const&) = delete;
    Fd& operator=(Fd const&) = delete;
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

bool names_the_same(std::string const& a, std::string const& b) {
    if (a == b) return true;
    char ra[PATH_MAX], rb[PATH_MAX];
    return ::realpath(a.c_str(), ra) && ::realpath(b.c_str(), rb) && std::string_view(ra) == rb;
}

// Where a device of this number is mounted, as this mount namespace sees it.
std::string mounted_at(dev_t device) {
    std::ifstream mounts("/proc/self/mountinfo");
    std::string const number = std::to_string(major(device)) + ":" + std::to_string(minor(device));
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream fields(line);
        std::string id, parent, dev, root, point;
        if (fields >> id >> parent >> dev >> root >> point && dev == number) return point;
    }
    return {};
}

// The kernel grants O_EXCL on a device only where no filesystem, swap, RAID or device mapper has it, in any namespace.
Result<Done> refuse_if_in_use(std::string const& path, struct stat const& st, int fd) {
    if (std::string const point = mounted_at(st.st_rdev); !point.empty()) return Error{path + " is mounted at " + point + ": unmount it, or name another device"};
    if (fd < 0 && errno == EBUSY) return Error{path + " is in use (mounted, swap, RAID, LVM, or part of it is): name another device"};
    if (fd < 0) return Error{path + " can't be opened: " + reason()};
    return Done{};
}

Result<Done> sync_directory_of(std::string const& path) {
    auto const slash = path.rfind('/');
    std::string const dir = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    Fd const fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::fsync(fd.get()) != 0) return Error{"the directory " + dir + " can't be made durable: " + reason()};
    return Done{};
}

Result<Done> create_file(std::string const& path) {
    Fd const fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd.get() < 0) return Error{path + " can't be made: " + reason()};
    return sync_directory_of(path);
}

Result<Done> grow(std::string const& path) {
    Fd const fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (fd.get() < 0) return Error{path + " can't be opened: " + reason()};
    if (int const err = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(min_disk_bytes)); err != 0)
        return Error{path + " can't be grown to " + std::to_string(min_disk_bytes) + " bytes: " + std::strerror(err)};
    return ::fsync(fd.get()) == 0 ? Result<Done>(Done{}) : Error{path + " can't be made durable: " + reason()};
}

// What the device carries, in words; empty: nothing.
Result<std::string> carried(DiskFile& disk) {
    if (disk.facts().bytes >= disk_block) {
        BlockBuffer block(disk_block);
        if (auto const got = disk.read(0, block); !got) return Error{got.error()};
        if (looks_like_disk_header(block.view())) {
            auto const header = decode_disk_header(block.view());
            return header ? "the quorum disk of the cluster '" + header->cluster + "' (" + uuid_text(header->uuid) + ")" : "a quorum disk whose header can't be read";
        }
    }
    auto const contents = look_at(disk);
    if (!contents) return Error{contents.error()};
    std::string text;
    for (auto const& s : contents->signatures) text += (text.empty() ? "" : ", ") + s.name;
    if (text.empty() && contents->data_at) text = "data of an unknown kind (at byte " + std::to_string(*contents->data_at) + ")";
    return text;
}

Result<Done> zero(DiskFile& disk, std::uint64_t from, std::uint64_t to) {
    constexpr std::uint64_t step = 1u << 20;
    for (std::uint64_t at = from; at < to; at += step) {
        BlockBuffer const zeros(static_cast<std::size_t>(std::min(step, to - at)));
        if (auto const done = disk.write(at, zeros); !done) return done;
    }
    return Done{};
}

// Everything of the layout is zeroed first, and what is known by its magic number at the end; the header is written last, so a
// disk that was half made is an uninitialised one.
Result<Done> lay_out(DiskFile& disk, DiskHeader const& header, bool wipe_tail) {
    std::uint64_t const blocks = disk.facts().bytes / disk_block * disk_block;
    std::uint64_t const end = std::min(blocks, std::max<std::uint64_t>(header.geometry.total(), 4u << 20));
    if (auto const done = zero(disk, 0, end); !done) return done;
    constexpr std::uint64_t tail = 192u << 10;
    if (wipe_tail && blocks > end)
        if (auto const done = zero(disk, std::max(end, blocks - tail), blocks); !done) return done;
    return disk.write(0, BlockBuffer(encode_disk_header(header)));
}

DiskHeader new_header(InitRequest const& request, std::uint64_t bytes) {
    DiskHeader header;
    header.cluster = request.cluster;
    if (request.uuid) header.uuid = *request.uuid;
    else randombytes_buf(header.uuid.data(), header.uuid.size());
    while (header.disk == 0) randombytes_buf(&header.disk, sizeof header.disk);
    header.geometry = geometry_for(bytes);
    header.created_wall_ms = std::int64_t{::time(nullptr)} * 1000;
    return header;
}

Result<Done> check_request(InitRequest const& request) {
    if (sodium_init() < 0) return Error{"libsodium can't be initialised"};
    if (request.path.empty()) return Error{"no path: name a block device or a file"};
    if (request.cluster.empty() || request.cluster.size() > max_cluster_name)
        return Error{"a cluster's name has 1 to " + std::to_string(max_cluster_name) + " characters"};
    if (!request.force.empty() && !names_the_same(request.path, request.force))
        return Error{"--force names " + request.force + ", not " + request.path + ": name the same path twice, so that no wrong device is overwritten"};
    return Done{};
}

}  // namespace

Result<InitReport> quorum_init(InitRequest const& request) {
    if (auto const good = check_request(request); !good) return Error{good.error()};
    std::string const& path = request.path;
    InitReport report;
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) {
        if (errno != ENOENT) return Error{path + ": " + reason()};
        if (path.rfind("/dev/", 0) == 0 && path.rfind("/dev/shm/", 0) != 0) return Error{path + " doesn't exist: name an existing device, or a file outside /dev"};
        if (auto const made = create_file(path); !made) return Error{made.error()};
        report.created = true;
        if (::stat(path.c_str(), &st) != 0) return Error{path + ": " + reason()};
    }
    bool const device = S_ISBLK(st.st_mode);
    if (!device && !S_ISREG(st.st_mode)) return Error{path + " is neither a block device nor a regular file"};
    Fd const held(device ? ::open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC) : -1);  // until all is written
    if (device)
        if (auto const free = refuse_if_in_use(path, st, held.get()); !free) return Error{free.error()};

    auto fail = [&](std::string why) -> Result<InitReport> {
        if (report.created) ::unlink(path.c_str());
        return Error{std::move(why)};
    };
    {
        auto disk = open_disk(path, DiskAccess::read);
        if (!disk) return fail(disk.error());
        auto const there = carried(**disk);
        if (!there) return fail(there.error());
        if (!there->empty() && request.force.empty())
            return fail(path + " carries " + *there + ": nothing was written. If it may be overwritten, run: clusterctl quorum init " + path + " --cluster " + request.cluster +
                        " --force " + path);
        report.overwritten = *there;
        report.grown = !report.created && !device && (*disk)->facts().bytes < min_disk_bytes;
        if (device && (*disk)->facts().bytes < min_disk_bytes)
            return fail(path + " has " + std::to_string((*disk)->facts().bytes) + " bytes, a quorum disk needs " + std::to_string(min_disk_bytes));
    }
    if (report.created || report.grown)
        if (auto const grown = grow(path); !grown) return fail(grown.error());
    auto disk = open_disk(path, DiskAccess::read_write);
    if (!disk) return fail(disk.error());
    report.bytes = (*disk)->facts().bytes;
    report.warning = (*disk)->facts().warning;
    report.header = new_header(request, report.bytes);
    if (auto const done = lay_out(**disk, report.header, !report.overwritten.empty()); !done) return fail(done.error());
    return report;
}

}  // namespace clusterd
