// Mounts, watches and unmounts a filesystem. See filesystem.hpp.
#include "resources/filesystem.hpp"

#include "clusterd/guard/client/client.hpp"
#include "clusterd/guard/mounts.hpp"
#include "resources/attributes.hpp"
#include "resources/mount_watch.hpp"
#include "resources/one_shot.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

namespace clusterd {
namespace {

using guard::DeviceNumber;

constexpr Duration holders_have = std::chrono::seconds(2);  // from SIGTERM to SIGKILL
constexpr auto look_again = std::chrono::milliseconds(20);
constexpr Duration ends_wait = std::chrono::milliseconds(100);  // for holders' ends; one may also let go without ending
constexpr std::size_t most_named = 6;

std::string program_of(int pid) {
    std::ifstream file(fmt::format("/proc/{}/comm", pid));
    std::string name;
    std::getline(file, name);
    return name;
}

// Until all of them have ended, or `until`.
void wait_for_ends(std::vector<int> const& pids, Instant until) {
    for (int pid : pids) {
        int const fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
        if (fd < 0) continue;  // it has ended
        pollfd ended{fd, POLLIN, 0};
        poll(&ended, 1, ms_left(until));
        close(fd);
    }
}

class Filesystem final : public Driver {
public:
    Filesystem(ResourceSpec const& resource, DriverContext context)
        : resource_(resource), context_(std::move(context)), attributes_(resource_.attributes) {
        path_ = attributes_.text("device");
        point_ = attributes_.text("mount");
        while (point_.size() > 1 && point_.ends_with('/')) point_.pop_back();
        read_only_ = has_option("ro");
    }

    DriverOutcome probe(Instant) override {
        auto const device = find_device();
        if (!device) {
            watch_.reset();
            return is_missing_ ? DriverOutcome{ResourceState::offline, {}, true} : unknown(device.error());
        }
        auto const seen = look(*device);
        if (!seen) return unknown(seen.error());
        if (*seen == Seen::nowhere) {
            watch_.reset();
            auto const given_up = is_free();
            if (!given_up) return unknown(given_up.error());
            if (!*given_up) return failed(in_use());
            [[maybe_unused]] auto const disowned = context_.guard.disown_mount(resource_.name);
            return {ResourceState::offline, {}, true};
        }
        if (auto const known = own(*device, false); !known) return unknown(known.error());
        if (*seen == Seen::elsewhere) return failed("it is mounted elsewhere: " + where(*device));
        watch(*device);
        return {ResourceState::online, {}, true};
    }

    DriverOutcome start(Instant deadline) override {
        Instant const until = before_deadline(deadline);
        auto const device = find_device();
        if (!device) return failed(device.error());
        auto const seen = look(*device);
        if (!seen) return failed(seen.error());
        if (*seen == Seen::elsewhere) return failed("it is mounted elsewhere: " + where(*device) + "; unmount it there");
        if (auto const known = own(*device, true); !known) return failed(known.error());
        if (*seen == Seen::here) return online(*device);
        if (auto const other = other_on_point(); !other.empty()) return failed(other);
        auto const given_up = is_free(true);
        if (!given_up) return failed(given_up.error());
        if (!*given_up) return failed(in_use());
        if (auto const broken = check(until); broken.state != ResourceState::offline) return broken;
        std::vector<std::string> argv = {"mount", "-t", attributes_.text("type")};
        if (std::string const options = attributes_.text("options"); !options.empty()) argv.insert(argv.end(), {"-o", options});
        argv.insert(argv.end(), {"--", path_, point_});
        auto const result = run("start", argv, until);
        if (!result.succeeded()) return failed(said("mount", result));
        auto const after = look(*device);
        if (!after) return unknown(after.error());
        if (*after != Seen::here) return failed("mount(8) succeeded, and it isn't mounted at " + point_);
        return online(*device);
    }

    DriverOutcome stop(Instant deadline) override { return end(deadline, holders_have); }
    DriverOutcome kill(Instant deadline) override { return end(deadline, Duration{0}); }

private:
    enum class Seen { nowhere, here, elsewhere };

    std::string say(std::string const& what) const {
        return fmt::format("filesystem {} ({} at {}): {}", resource_.name, path_, point_, what);
    }
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, say(what), true}; }
    DriverOutcome unknown(std::string const& what) const { return {ResourceState::unknown, say(what), true}; }

    bool has_option(std::string const& name) const {
        std::string const all = "," + attributes_.text("options") + ",";
        return all.find("," + name + ",") != std::string::npos;
    }

    Result<DeviceNumber> find_device() {
        struct stat st {};
        is_missing_ = false;
        if (stat(path_.c_str(), &st) != 0) {
            is_missing_ = errno == ENOENT;
            return Error{fmt::format("{}: {}", path_, std::strerror(errno))};
        }
        if (!S_ISBLK(st.st_mode)) return Error{path_ + " is no block device"};
        return DeviceNumber{major(st.st_rdev), minor(st.st_rdev)};
    }

    Result<Seen> look(DeviceNumber device) const {
        bool here = false, elsewhere = false;
        if (!guard::for_each_mount(device, [&](char const* at, bool) { (point_ == at ? here : elsewhere) = true; }))
            return Error{"mountinfo can't be read"};
        return here ? Seen::here : elsewhere ? Seen::elsewhere : Seen::nowhere;
    }
    static std::string where(DeviceNumber device) {
        std::string all;
        guard::for_each_mount(device, [&](char const* at, bool) { all += (all.empty() ? "" : ", ") + std::string(at); });
        return all;
    }

    // A mount point is where nothing else is mounted, or this would hide it.
    std::string other_on_point() const {
        struct stat here {
        }, above{};
        if (stat(point_.c_str(), &here) != 0) return fmt::format("{}: {}; make the directory", point_, std::strerror(errno));
        if (!S_ISDIR(here.st_mode)) return point_ + " is no directory";
        if (stat((point_ + "/..").c_str(), &above) == 0 && here.st_dev != above.st_dev)
            return fmt::format("something else is mounted at {}; see `findmnt {}`", point_, point_);
        return {};
    }

    // The kernel lets nobody have it exclusively while it is mounted anywhere, in whatever namespace, lazily or not, or otherwise
    // used.
    // `forget`: what this node's cache still holds of it, from before the other node wrote to it. It holds it as long as anybody (a
    // monitoring tool, multipathd) has the device open; e2fsck would find a superblock that doesn't fit the journal.
    Result<bool> is_free(bool forget = false) const {
        int const fd = open(path_.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC);
        if (fd >= 0) {
            bool const forgotten = !forget || ioctl(fd, BLKFLSBUF, 0) == 0;
            Error const error{fmt::format("{}: this node's cache of it can't be dropped: {}", path_, std::strerror(errno))};
            close(fd);
            if (!forgotten) return error;
            return true;
        }
        if (errno == EBUSY) return false;
        return Error{fmt::format("{}: {}", path_, std::strerror(errno))};
    }
    std::string in_use() const {
        return fmt::format(
            "its device is in use on this node, though it isn't mounted where it can be seen: unmounted lazily, mounted in "
            "another namespace, or part of a RAID, LVM or swap; see `lsblk {}`",
            path_);
    }

    Result<Done> own(DeviceNumber device, bool to_start) const {
        return context_.guard.own_mount(resource_.name, point_, device.major, device.minor, to_start);
    }

    OneShotResult run(char const* kind, std::vector<std::string> const& argv, Instant until) const {
        return OneShot(context_.guard, context_.events).run(resource_.name, kind, argv, {}, until);
    }
    static std::string said(char const* what, OneShotResult const& result) {
        switch (result.end) {
            case OneShotResult::End::not_run:
                return fmt::format("{} can't be run: {}", what, result.error);
            case OneShotResult::End::too_late:
            case OneShotResult::End::cancelled:
                return fmt::format("{} was not done in time; does its device answer? {}", what, result.output);
            case OneShotResult::End::exited:
                break;
        }
        return fmt::format("{} {}: {}", what, exit_in_words(result.wait_status), result.output);
    }

    // offline: it may be mounted.
    DriverOutcome check(Instant until) const {
        std::string const policy = attributes_.text("fsck", "auto");
        if (policy == "never" || attributes_.text("type") != "ext4") return {ResourceState::offline, {}, true};
        std::vector<std::string> argv = {"e2fsck", "-p"};
        if (policy == "always") argv.emplace_back("-f");
        argv.push_back(path_);
        auto const result = run("start", argv, until);
        if (result.end == OneShotResult::End::exited && WIFEXITED(result.wait_status) && WEXITSTATUS(result.wait_status) < 4)
            return {ResourceState::offline, {}, true};
        bool const damaged =
            result.end == OneShotResult::End::exited && WIFEXITED(result.wait_status) && WEXITSTATUS(result.wait_status) == 4;
        return {ResourceState::failed,
                say(said("e2fsck", result) + (damaged ? "; it needs an administrator: run `e2fsck " + path_ + "`" : "")), !damaged};
    }

    DriverOutcome online(DeviceNumber device) {
        watch(device);
        return {ResourceState::online, {}, true};
    }
    void watch(DeviceNumber device) {
        watch_.reset();
        watch_ = std::make_unique<MountWatch>(device, point_, read_only_,
                                              [this](std::string const& what) { context_.changed(failed(what)); });
    }

    struct Holders {
        std::vector<int> pids;
        std::string names;
    };
    Holders holders(DeviceNumber device) const {
        Holders found;
        guard::for_each_holder(device, point_.c_str(), [&found](int pid) { found.pids.push_back(pid); });
        for (std::size_t i = 0; i < found.pids.size() && i < most_named; ++i)
            found.names += fmt::format("{}{} ({})", i ? ", " : "", program_of(found.pids[i]), found.pids[i]);
        if (found.pids.size() > most_named) found.names += fmt::format(" and {} more", found.pids.size() - most_named);
        return found;
    }

    DriverOutcome end(Instant deadline, Duration patience) {
        watch_.reset();
        auto const device = find_device();
        // A device that is gone may still be mounted; its number isn't known any more, so what the guard remembers of it stays.
        if (!device)
            return is_missing_ && !mounted_here() ? DriverOutcome{ResourceState::offline, {}, true} : unknown(device.error());
        Instant const until = deadline == forever ? boot_now() + std::chrono::minutes(1) : before_deadline(deadline);
        Instant const kill_from = boot_now() + patience;
        std::string why;    // of the last umount(8) that ended
        std::string ended;  // who held it and was told to end
        for (bool asked = false;;) {
            auto const seen = look(*device);
            if (!seen) return unknown(seen.error());
            if (*seen == Seen::nowhere) return gone(until, ended);
            auto const points = where(*device);
            auto const result = run("stop", {"umount", "--", points.substr(0, points.find(','))}, until);
            if (result.succeeded()) continue;
            bool const in_time = result.end == OneShotResult::End::exited;
            if (!in_time && !why.empty()) return failed(why);
            auto const held = holders(*device);
            why = said("umount", result) + (held.names.empty() ? "" : "; it is held by " + held.names);
            bool const by_force = boot_now() >= kill_from;
            if (!asked || by_force)
                for (int pid : held.pids) ::kill(pid, by_force ? SIGKILL : SIGTERM);
            asked = true;
            if (ended.empty()) ended = held.names;
            if (boot_now() >= until || !in_time) return failed(why);
            if (held.pids.empty())
                std::this_thread::sleep_for(look_again);
            else
                wait_for_ends(held.pids, std::min(boot_now() + ends_wait, until));
        }
    }

    bool mounted_here() const {
        std::ifstream file("/proc/self/mountinfo");
        for (std::string line; std::getline(file, line);)
            if (line.find(" " + point_ + " ") != std::string::npos) return true;
        return false;
    }

    // Unmounted to all that can be seen. The kernel says whether it really is.
    DriverOutcome gone(Instant until, std::string const& ended) {
        for (;;) {
            auto const given_up = is_free();
            if (!given_up) return unknown(given_up.error());
            if (*given_up) break;
            if (boot_now() >= until) return failed(in_use());
            std::this_thread::sleep_for(look_again);
        }
        [[maybe_unused]] auto const disowned = context_.guard.disown_mount(resource_.name);
        return {ResourceState::offline, ended.empty() ? std::string() : say("it was held by " + ended + ": ended, so that it could be unmounted"), true};
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    std::string path_, point_;
    bool read_only_ = false;
    bool is_missing_ = false;  // of find_device(): there is no such device
    std::unique_ptr<MountWatch> watch_;
};

}  // namespace

DriverPtr make_filesystem_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Filesystem>(resource, std::move(context));
}

}  // namespace clusterd
