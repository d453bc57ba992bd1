// Start, stop and status commands. See script.hpp.
#include "resources/script.hpp"

#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/one_shot.hpp"

#include <fmt/format.h>

#include <sys/wait.h>
#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

namespace clusterd {
namespace {

constexpr Duration to_clean_up = std::chrono::milliseconds(300);  // before the deadline: past it, the host is killed
constexpr Duration status_at_least = std::chrono::seconds(10);    // that a status run in between may take
constexpr int unknown_before_told = 3;                            // status runs that could not be done, in a row

class Script final : public Driver {
public:
    Script(ResourceSpec resource, DriverContext context)
        : resource_(std::move(resource)),
          context_(std::move(context)),
          attributes_(resource_.attributes),
          every_(attributes_.duration("status-every", std::chrono::seconds(10))) {}

    ~Script() override { end_watch(); }

    DriverOutcome probe(Instant deadline) override {
        end_watch();
        OneShot shot(context_.guard, context_.events);
        DriverOutcome const outcome = status(shot, earlier(deadline));
        if (outcome.state == ResourceState::online) watch();
        return outcome;
    }

    DriverOutcome start(Instant deadline) override {
        end_watch();
        OneShotResult const result = run("start", earlier(deadline));
        if (result.succeeded()) {
            watch();
            return {ResourceState::online, {}, true};
        }
        bool const lasting = result.end == OneShotResult::End::not_run && (lasting_start_error(result.error) || settings_failed_);
        return {ResourceState::failed, what_happened("start", result), !lasting};
    }

    DriverOutcome stop(Instant deadline) override {
        end_watch();
        OneShotResult const result = run("stop", earlier(deadline));
        if (!result.succeeded()) {
            ResourceState const state = result.end == OneShotResult::End::exited ? ResourceState::failed : ResourceState::unknown;
            return {state, what_happened("stop", result), true};
        }
        return end_all();
    }

    // What runs in its cgroup is killed; whether that was all of it, only its own status can say.
    DriverOutcome kill(Instant deadline) override {
        end_watch();
        DriverOutcome const gone = end_all();
        if (gone.state != ResourceState::offline) return gone;
        OneShot shot(context_.guard, context_.events);
        DriverOutcome now = status(shot, earlier(deadline));
        if (now.state == ResourceState::online)
            return {ResourceState::failed, say("its processes were killed, but its status command still says it is online"), true};
        if (now.state == ResourceState::failed) now.state = ResourceState::unknown;
        return now;
    }

private:
    std::string say(std::string const& what) const { return fmt::format("script {}: {}", resource_.name, what); }
    static Instant earlier(Instant deadline) { return deadline == forever ? forever : deadline - to_clean_up; }

    OneShotResult run_with(OneShot& shot, char const* which, Instant deadline) {
        OneShotResult result;
        settings_failed_ = true;
        auto const argv = split_words(attributes_.text(which));
        if (!argv || argv->empty()) {
            result.error = argv ? "the command is empty" : argv.error();
            return result;
        }
        auto const settings = command_settings(resource_.name, resource_.attributes);
        if (!settings) {
            result.error = settings.error();
            return result;
        }
        settings_failed_ = false;
        return shot.run(resource_.name, which, *argv, *settings, deadline);
    }
    OneShotResult run(char const* which, Instant deadline) {
        OneShot shot(context_.guard, context_.events);
        return run_with(shot, which, deadline);
    }

    std::string what_happened(char const* which, OneShotResult const& result) const {
        std::string text;
        switch (result.end) {
            case OneShotResult::End::exited:
                text = fmt::format("its {} command {}", which, exit_in_words(result.wait_status));
                break;
            case OneShotResult::End::too_late:
                text = fmt::format("its {} command took too long and was killed; allow it a longer {}-timeout", which,
                                   std::string_view(which) == "stop" ? "offline" : "online");
                break;
            case OneShotResult::End::cancelled:
                text = fmt::format("its {} command was broken off", which);
                break;
            case OneShotResult::End::not_run:
                return say(fmt::format("its {} command can't be run: {}", which, result.error));
        }
        return say(result.output.empty() ? text : text + ": " + result.output);
    }

    DriverOutcome status(OneShot& shot, Instant deadline) {
        OneShotResult const result = run_with(shot, "status", deadline);
        if (result.end != OneShotResult::End::exited) return {ResourceState::unknown, what_happened("status", result), true};
        int const code = WIFEXITED(result.wait_status) ? WEXITSTATUS(result.wait_status) : -1;
        if (code == 0) return {ResourceState::online, {}, true};
        if (code == 3 || code == 7) return {ResourceState::offline, {}, true};
        return {ResourceState::failed, what_happened("status", result), true};
    }

    DriverOutcome end_all() {
        auto const left = context_.guard.kill_all(resource_.name);
        if (!left) return {ResourceState::unknown, say(left.error()), true};
        if (*left == 0) return {ResourceState::offline, {}, true};
        return {ResourceState::failed,
                say(fmt::format("{} of its processes can't be ended, even by SIGKILL (they wait for a device?)", *left)), true};
    }

    // A thread, only while it is online: runs status every status-every until it says something else.
    void watch() {
        stopping_ = false;
        shot_ = std::make_unique<OneShot>(context_.guard, context_.events);
        watcher_ = std::thread([this] { look_again_and_again(); });
    }
    void end_watch() {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        if (shot_) shot_->cancel();
        if (watcher_.joinable()) watcher_.join();
        shot_.reset();
    }
    bool pause() {  // false: it is over
        std::unique_lock lock(mutex_);
        return !wake_.wait_for(lock, every_, [this] { return stopping_; });
    }
    void look_again_and_again() {
        int unknown = 0;
        while (pause()) {
            DriverOutcome outcome = status(*shot_, boot_now() + std::max(every_, status_at_least));
            {
                std::lock_guard lock(mutex_);
                if (stopping_) return;
            }
            if (outcome.state == ResourceState::online) {
                unknown = 0;
                continue;
            }
            if (outcome.state == ResourceState::unknown && ++unknown < unknown_before_told) continue;
            if (outcome.state == ResourceState::offline)
                outcome = {ResourceState::failed, say("its status command says it is offline"), true};
            context_.changed(outcome);
            return;
        }
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    Duration const every_;
    bool settings_failed_ = false;  // the last command could not be run because of what the configuration says
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::unique_ptr<OneShot> shot_;
    std::thread watcher_;
};

}  // namespace

DriverPtr make_script_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Script>(resource, std::move(context));
}

}  // namespace clusterd
