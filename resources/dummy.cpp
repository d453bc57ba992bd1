// A resource that is nothing but its state, with delays and failures on request. See dummy.hpp.
#include "resources/dummy.hpp"

#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/state_file.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace clusterd {
namespace {

std::string state_path(ResourceSpec const& resource, Attributes const& attributes) {
    std::string const given = attributes.text("state-file");
    if (!given.empty()) return given;
    return StateFile::usual_path("dummy", resource.name);
}

class Dummy final : public Driver {
public:
    Dummy(ResourceSpec resource, DriverContext context)
        : resource_(std::move(resource)),
          context_(std::move(context)),
          attributes_(resource_.attributes),
          file_(state_path(resource_, attributes_)) {}

    ~Dummy() override { end_watch(); }

    DriverOutcome probe(Instant deadline) override {
        if (!wait(attributes_.duration("probe-delay", {}), deadline)) return too_slow("probe-delay");
        std::string const state = read_state();
        if (state == "online") {
            watch();
            return {ResourceState::online, {}, true};
        }
        if (state == "failed") return {ResourceState::failed, crash_message(), true};
        return {ResourceState::offline, {}, true};
    }

    DriverOutcome start(Instant deadline) override {
        if (read_state() == "online") {
            watch();
            return {ResourceState::online, {}, true};
        }
        end_watch();  // of a run that crashed
        if (!wait(attributes_.duration("start-delay", {}), deadline)) return too_slow("start-delay");
        if (fails(failed_starts_, "fail-start")) return {ResourceState::failed, say("didn't start, as fail-start asks for"), true};
        if (std::string const error = write_state("online"); !error.empty()) return {ResourceState::failed, error, true};
        watch();
        return {ResourceState::online, {}, true};
    }

    DriverOutcome stop(Instant deadline) override {
        end_watch();
        if (read_state() == "offline") return {ResourceState::offline, {}, true};
        if (!wait(attributes_.duration("stop-delay", {}), deadline)) return too_slow("stop-delay");
        if (fails(failed_stops_, "fail-stop")) return {ResourceState::failed, say("didn't stop, as fail-stop asks for"), true};
        return end();
    }

    // By force: neither stop-delay nor fail-stop holds it up.
    DriverOutcome kill(Instant) override {
        end_watch();
        return end();
    }

private:
    std::string say(std::string const& what) const { return fmt::format("dummy {} {}", resource_.name, what); }
    std::string crash_message() const { return say("crashed, as crash-after asks for"); }
    DriverOutcome too_slow(char const* attribute) const {
        return {ResourceState::unknown, say(fmt::format("ran out of time in its {}; allow it more, or make it shorter", attribute)),
                true};
    }

    // Counted in this host only: another one begins anew.
    bool fails(int& so_far, char const* attribute) const {
        auto const times = parse_times(attributes_.text(attribute, "0"));
        if (!times || so_far >= *times) return false;
        ++so_far;
        return true;
    }

    // False where the deadline comes first (then it has waited until the deadline).
    static bool wait(Duration delay, Instant deadline) {
        Instant const now = boot_now();
        bool const fits = deadline == forever || now + delay <= deadline;
        Duration const d = fits ? delay : deadline - now;
        if (d.count() > 0) std::this_thread::sleep_for(d);
        return fits;
    }

    DriverOutcome end() {
        if (std::string const error = write_state("offline"); !error.empty()) return {ResourceState::failed, error, true};
        return {ResourceState::offline, {}, true};
    }

    std::string read_state() const {
        if (!file_.path().empty()) return file_.read();
        std::lock_guard lock(mutex_);
        return memory_;
    }

    // Empty = written.
    std::string write_state(std::string const& state) {
        if (file_.path().empty()) {
            std::lock_guard lock(mutex_);
            memory_ = state;
            return {};
        }
        bool const gone = state == "offline" && attributes_.text("state-file").empty();
        std::string const error = gone ? file_.remove() : file_.write(state);
        return error.empty() ? error : say(error);
    }

    // crash-after: a thread that waits, only where asked for.
    void watch() {
        Duration const after = attributes_.duration("crash-after", {});
        if (after.count() <= 0 || watcher_.joinable()) return;
        stopping_ = false;
        watcher_ = std::thread([this, after] {
            std::unique_lock lock(mutex_);
            if (changed_.wait_for(lock, after, [this] { return stopping_; })) return;
            lock.unlock();
            write_state("failed");
            context_.changed({ResourceState::failed, crash_message(), true});
        });
    }
    void end_watch() {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (watcher_.joinable()) watcher_.join();
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    StateFile const file_;
    std::string memory_ = "offline";
    int failed_starts_ = 0, failed_stops_ = 0;
    mutable std::mutex mutex_;  // memory_, stopping_: crash-after's thread is the other one
    std::condition_variable changed_;
    bool stopping_ = false;
    std::thread watcher_;
};

}  // namespace

DriverPtr make_dummy_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Dummy>(resource, std::move(context));
}

}  // namespace clusterd
