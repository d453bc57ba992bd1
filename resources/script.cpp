// Start, stop and status commands. See script.hpp.
#include "resources/script.hpp"

#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/one_shot.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <sys/wait.h>
#include <algorithm>
#include <chrono>
#include <memory>

namespace clusterd {
namespace {

constexpr Duration status_at_least = std::chrono::seconds(10);  // that a status run in between may take

class Script final : public Driver {
public:
    Script(ResourceSpec resource, DriverContext context)
        : resource_(std::move(resource)),
          context_(std::move(context)),
          attributes_(resource_.attributes),
          every_(attributes_.duration("status-every", std::chrono::seconds(10))),
          watch_(context_.guard, context_.events, context_.changed) {}

    DriverOutcome probe(Instant deadline) override {
        watch_.end();
        OneShot shot(context_.guard, context_.events);
        DriverOutcome const outcome = status(shot, before_deadline(deadline));
        if (outcome.state == ResourceState::online) watch();
        if (outcome.state == ResourceState::offline) drop_empty_cgroup(context_.guard, resource_.name);
        return outcome;
    }

    DriverOutcome start(Instant deadline) override {
        watch_.end();
        OneShotResult const result = run("start", before_deadline(deadline));
        if (result.succeeded()) {
            watch();
            return {ResourceState::online, {}, true};
        }
        bool const lasting = result.end == OneShotResult::End::not_run && (lasting_start_error(result.error) || settings_failed_);
        return {ResourceState::failed, what_happened("start", result), !lasting};
    }

    DriverOutcome stop(Instant deadline) override {
        watch_.end();
        OneShotResult const result = run("stop", before_deadline(deadline));
        if (!result.succeeded()) {
            ResourceState const state = result.end == OneShotResult::End::exited ? ResourceState::failed : ResourceState::unknown;
            return {state, what_happened("stop", result), true};
        }
        return end_all();
    }

    // What runs in its cgroup is killed; whether that was all of it, only its own status can say.
    DriverOutcome kill(Instant deadline) override {
        watch_.end();
        DriverOutcome const gone = end_all();
        if (gone.state != ResourceState::offline) return gone;
        OneShot shot(context_.guard, context_.events);
        DriverOutcome now = status(shot, before_deadline(deadline));
        if (now.state == ResourceState::online)
            return {ResourceState::failed, say("its processes were killed, but its status command still says it is online"), true};
        if (now.state == ResourceState::failed) now.state = ResourceState::unknown;
        return now;
    }

private:
    std::string say(std::string const& what) const { return fmt::format("script {}: {}", resource_.name, what); }

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
        return end_processes(context_.guard, resource_.name, [this](std::string const& what) { return say(what); });
    }

    void watch() {
        watch_.begin({{every_, [this](OneShot& shot) {
                           DriverOutcome const outcome = status(shot, boot_now() + std::max(every_, status_at_least));
                           if (outcome.state != ResourceState::offline) return outcome;
                           return DriverOutcome{ResourceState::failed, say("its status command says it is offline"), true};
                       }}});
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    Duration const every_;
    bool settings_failed_ = false;  // the last command could not be run because of what the configuration says
    StatusWatch watch_;
};

}  // namespace

DriverPtr make_script_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Script>(resource, std::move(context));
}

}  // namespace clusterd
