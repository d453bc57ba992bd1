// See disk.hpp.
#include "resources/disk.hpp"

#include "config/values.hpp"
#include "resources/attributes.hpp"
#include "resources/block_reader.hpp"
#include "resources/clock.hpp"
#include "resources/disk_identity.hpp"
#include "resources/state_file.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace clusterd {
namespace {

class Disk final : public Driver {
public:
    Disk(ResourceSpec const& resource, DriverContext context)
        : resource_(resource),
          context_(std::move(context)),
          attributes_(resource_.attributes),
          path_(attributes_.text("device")),
          limit_(attributes_.duration("check-timeout", std::chrono::seconds(10))),
          file_(StateFile::usual_path("disk", resource.name)),
          reader_(path_) {
        if (auto const uuid = parse_uuid(attributes_.text("uuid"))) uuid_ = *uuid;
        if (auto const size = parse_integer(attributes_.text("size"))) size_ = static_cast<std::uint64_t>(*size);
    }
    ~Disk() override { end_watch(); }

    // Where it isn't online here the disk isn't asked: one that hangs on a standby is nobody's trouble.
    DriverOutcome probe(Instant deadline) override {
        if (file_.read() != "online") {
            end_watch();
            return {ResourceState::offline, {}, true};
        }
        if (watching_) return {ResourceState::online, {}, true};
        end_watch();  // that told a failure
        if (auto const seen = look(before_deadline(deadline)); !seen.wrong.empty()) return failed(seen.wrong);
        watch();
        return {ResourceState::online, {}, true};
    }

    DriverOutcome start(Instant deadline) override {
        if (watching_ && file_.read() == "online") return {ResourceState::online, {}, true};
        end_watch();
        if (auto const seen = look(before_deadline(deadline)); !seen.wrong.empty()) return failed(seen.wrong);
        if (std::string const error = file_.write("online"); !error.empty()) return {ResourceState::failed, say(error), true};
        watch();
        return {ResourceState::online, {}, true};
    }

    // Also while a read of it hangs: that changes nothing any more.
    DriverOutcome stop(Instant) override {
        end_watch();
        if (std::string const error = file_.remove(); !error.empty()) return {ResourceState::failed, say(error), true};
        return {ResourceState::offline, {}, true};
    }

private:
    std::string say(std::string const& what) const { return fmt::format("disk {}: {}", resource_.name, what); }
    // Another try on this node would find the same.
    DriverOutcome failed(std::string const& what) const { return {ResourceState::failed, say(what), false}; }

    struct Seen {
        std::string wrong;  // empty: nothing
        bool hangs = false;
    };
    Seen look(Instant deadline) {
        Instant const until = std::min(deadline, boot_now() + limit_);
        auto const patience = std::chrono::ceil<std::chrono::milliseconds>(until - boot_now());
        auto const seen = reader_.look(until);
        if (!seen.in_time)
            return {fmt::format("{} doesn't answer: a read of it has not come back in {}; look at its cable or network path, and into `dmesg`", path_, format_duration(patience)), true};
        return {seen.device ? what_is_wrong(*seen.device) : seen.device.error()};
    }
    std::string what_is_wrong(BlockDevice const& device) const {
        if (size_ != 0 && device.size != size_) return fmt::format("{} has {} bytes, not {}: it is another disk", path_, device.size, size_);
        if (uuid_.empty()) return {};
        DiskIdentity const is = identify_disk(device.first_bytes);
        if (is.kind.empty()) return fmt::format("there is neither an ext2/3/4 nor an xfs filesystem nor a GPT on {}: it isn't the disk with the UUID {}", path_, uuid_);
        if (is.uuid != uuid_) return fmt::format("the UUID of the {} on {} is {}, not {}: it is another disk", is.kind == "GPT" ? is.kind : is.kind + " filesystem", path_, is.uuid, uuid_);
        return {};
    }

    void watch() {
        stopping_ = false;
        watching_ = true;
        watcher_ = std::thread([this] { look_again_and_again(); });
    }
    void end_watch() {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        reader_.cancel();
        if (watcher_.joinable()) watcher_.join();
        watching_ = false;
        reader_.resume();
    }
    void look_again_and_again() {
        Duration const every = attributes_.duration("check-every", std::chrono::seconds(5));
        for (;;) {
            {
                std::unique_lock lock(mutex_);
                if (wake_.wait_for(lock, every, [this] { return stopping_; })) return;
            }
            Seen seen = look(boot_now() + limit_);
            if (!seen.wrong.empty() && !seen.hangs) seen = look(boot_now() + limit_);  // one error may be of a path that multipath is just leaving
            if (seen.wrong.empty()) continue;
            {
                std::lock_guard lock(mutex_);
                if (stopping_) return;
            }
            watching_ = false;
            context_.changed(failed(seen.wrong));
            return;
        }
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    std::string const path_;
    Duration const limit_;
    StateFile const file_;
    std::string uuid_;
    std::uint64_t size_ = 0;
    BlockReader reader_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::atomic<bool> watching_{false};
    std::thread watcher_;
};

}  // namespace

DriverPtr make_disk_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Disk>(resource, std::move(context));
}

}  // namespace clusterd
