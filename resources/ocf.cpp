// See ocf.hpp.
#include "resources/ocf.hpp"

#include "config/ocf_metadata.hpp"
#include "resources/attributes.hpp"
#include "resources/one_shot.hpp"
#include "resources/secret_file.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>

namespace clusterd {
namespace {

// The standard's exit codes (resource-agent-api.md, "Exit status codes").
enum Code { success = 0, err_generic, err_args, err_unimplemented, err_perm, err_installed, err_configured, not_running, running_promoted, failed_promoted };

char const* code_in_words(int code) {
    switch (code) {
        case err_generic: return "a generic error";
        case err_args: return "wrong parameters (2)";
        case err_unimplemented: return "that it can't do that (3)";
        case err_perm: return "that it lacks permissions (4)";
        case err_installed: return "that something isn't installed on this node (5)";
        case err_configured: return "that it is configured wrongly (6)";
        case not_running: return "that it isn't running (7)";
        case failed_promoted: return "that it failed as promoted (9)";
        default: return "an exit code that the standard doesn't know";
    }
}
bool lasting(int code) { return code >= err_args && code <= err_configured; }

std::string ocf_root() {
    char const* const root = std::getenv("CLUSTERD_OCF_ROOT");  // tests bring agents of their own
    return root ? root : "/usr/lib/ocf";
}

class Ocf final : public Driver {
public:
    Ocf(ResourceSpec resource, DriverContext context)
        : resource_(std::move(resource)), context_(std::move(context)), attributes_(resource_.attributes), watch_(context_.guard, context_.events, context_.changed) {
        std::string agent = attributes_.text("agent");
        if (agent.starts_with("ocf:")) agent.erase(0, 4);
        std::size_t const colon = std::min(agent.find(':'), agent.size());
        provider_ = agent.substr(0, colon);
        type_ = agent.substr(std::min(colon + 1, agent.size()));
        path_ = ocf_root() + "/resource.d/" + provider_ + "/" + type_;
    }

    DriverOutcome probe(Instant deadline) override {
        watch_.end();
        if (access(path_.c_str(), X_OK) != 0) return {ResourceState::offline, {}, true};  // what isn't installed doesn't run
        OneShot shot(context_.guard, context_.events);
        DriverOutcome const outcome = monitor(shot, 0, before_deadline(deadline), true);
        if (outcome.state == ResourceState::online) watch(shot, deadline);
        if (outcome.state == ResourceState::offline) drop_empty_cgroup(context_.guard, resource_.name);
        return outcome;
    }

    DriverOutcome start(Instant deadline) override {
        watch_.end();
        if (access(path_.c_str(), F_OK) != 0) return {ResourceState::failed, say(fmt::format("{} isn't installed on this node (package resource-agents?)", path_)), false};
        if (access(path_.c_str(), X_OK) != 0) return {ResourceState::failed, say(fmt::format("{0} is there but may not be executed on this node: chmod +x {0}", path_)), false};
        OneShot shot(context_.guard, context_.events);
        OneShotResult const result = run(shot, "start", 0, before_deadline(deadline));
        if (!result.succeeded()) return {ResourceState::failed, what_happened("start", result), !lasting(code_of(result)) && !settings_failed_};
        watch(shot, deadline);
        return {ResourceState::online, {}, true};
    }

    DriverOutcome stop(Instant deadline) override {
        watch_.end();
        if (access(path_.c_str(), X_OK) != 0) return end_all();
        OneShot shot(context_.guard, context_.events);
        OneShotResult const result = run(shot, "stop", 0, before_deadline(deadline));
        if (result.succeeded()) return end_all();
        return {result.end == OneShotResult::End::exited ? ResourceState::failed : ResourceState::unknown, what_happened("stop", result), true};
    }

    // What runs in its cgroup is killed; then its own stop takes away what is no process, and its monitor says whether that was all.
    DriverOutcome kill(Instant deadline) override {
        watch_.end();
        DriverOutcome const gone = end_all();
        if (gone.state != ResourceState::offline || access(path_.c_str(), X_OK) != 0) return gone;
        OneShot shot(context_.guard, context_.events);
        if (run(shot, "stop", 0, before_deadline(deadline)).succeeded()) return end_all();
        DriverOutcome now = monitor(shot, 0, before_deadline(deadline), true);
        if (now.state == ResourceState::online) return {ResourceState::failed, say("its processes were killed, but its monitor still says that it runs"), true};
        if (now.state == ResourceState::failed) now.state = ResourceState::unknown;
        return now;
    }

private:
    std::string say(std::string const& what) const { return fmt::format("ocf {} ({}:{}): {}", resource_.name, provider_, type_, what); }
    static int code_of(OneShotResult const& r) { return r.end == OneShotResult::End::exited && WIFEXITED(r.wait_status) ? WEXITSTATUS(r.wait_status) : -1; }

    // The environment of an action; an error where a secret can't be read.
    Result<CommandSettings> settings(int level, Instant deadline) const {
        CommandSettings s;
        s.env = {"OCF_ROOT=" + ocf_root(),
                 "OCF_RA_VERSION_MAJOR=1",
                 "OCF_RA_VERSION_MINOR=1",
                 "OCF_RESOURCE_INSTANCE=" + resource_.name,
                 "OCF_RESOURCE_PROVIDER=" + provider_,
                 "OCF_RESOURCE_TYPE=" + type_,
                 "HA_RSCTMP=/run/resource-agents",
                 "HA_LOGFACILITY=none"};  // what it says is shown; it needn't stand in syslog as well
        if (level > 0) s.env.push_back(fmt::format("OCF_CHECK_LEVEL={}", level));
        if (deadline != forever) s.env.push_back(fmt::format("OCF_RESKEY_CRM_meta_timeout={}", ms_left(deadline)));
        for (auto const& [name, value] : resource_.attributes) {
            if (name.starts_with("param:")) s.env.push_back("OCF_RESKEY_" + name.substr(6) + "=" + value);
            if (!name.starts_with("param-file:")) continue;
            auto const secret = read_secret_file(value);
            if (!secret) return Error{secret.error()};
            s.env.push_back("OCF_RESKEY_" + name.substr(11) + "=" + secret->substr(0, secret->find_first_of("\r\n")));
        }
        return s;
    }

    OneShotResult run(OneShot& shot, char const* action, int level, Instant deadline) {
        auto const with = settings(level, deadline);
        settings_failed_ = !with;
        if (!with) {
            OneShotResult result;
            result.error = with.error();
            return result;
        }
        // A role that may run without a permit is status, for the guard; it is monitor that the agent is told.
        std::string const kind = std::string_view(action) == "monitor" ? "status" : action;
        return shot.run(resource_.name, kind, {path_, action}, *with, deadline);
    }

    std::string what_happened(char const* action, OneShotResult const& result) const {
        std::string text;
        int const code = code_of(result);
        switch (result.end) {
            case OneShotResult::End::exited:
                text = code >= 0 ? fmt::format("its {} says {}", action, code > failed_promoted ? fmt::format("exit code {}", code) : code_in_words(code))
                                 : fmt::format("its {} {}", action, exit_in_words(result.wait_status));
                break;
            case OneShotResult::End::too_late: text = fmt::format("its {} took too long and was killed", action); break;
            case OneShotResult::End::cancelled: text = fmt::format("its {} was broken off", action); break;
            case OneShotResult::End::not_run: return say(fmt::format("its {} can't be run: {}", action, result.error));
        }
        return say(result.output.empty() ? text : text + ": " + result.output);
    }

    DriverOutcome monitor(OneShot& shot, int level, Instant deadline, bool asked) {
        OneShotResult const result = run(shot, "monitor", level, deadline);
        if (result.end != OneShotResult::End::exited) return {ResourceState::unknown, what_happened("monitor", result), true};
        int const code = code_of(result);
        if (code == success || code == running_promoted) return {ResourceState::online, {}, true};
        if (asked && (code == not_running || code == err_installed)) return {ResourceState::offline, {}, true};
        return {ResourceState::failed, what_happened("monitor", result), !lasting(code)};
    }

    DriverOutcome end_all() {
        return end_processes(context_.guard, resource_.name, [this](std::string const& what) { return say(what); });
    }

    // What the agent suggests for its monitor. One that can't say suggests nothing.
    OcfMetadata const& suggested(OneShot& shot, Instant deadline) {
        if (!metadata_) {
            shot.keep(max_ocf_metadata);
            OneShotResult const result = run(shot, "meta-data", 0, before_deadline(deadline));
            shot.keep(4096);
            std::size_t const begin = result.output.find("<?xml");  // what it logs comes before
            auto const parsed = parse_ocf_metadata(result.succeeded() && begin != std::string::npos ? result.output.substr(begin) : "");
            metadata_ = parsed ? *parsed : OcfMetadata{};
        }
        return *metadata_;
    }

    void watch(OneShot& shot, Instant deadline) {
        bool const all_given = !attributes_.text("monitor-timeout").empty() && !attributes_.text("monitor-every").empty();
        OcfMetadata const m = all_given ? OcfMetadata{} : suggested(shot, deadline);
        auto const or_else = [](Duration suggests, Duration otherwise) { return suggests > Duration{0} ? suggests : otherwise; };
        Duration const limit = attributes_.duration("monitor-timeout", or_else(m.monitor_timeout, std::chrono::seconds(20)));
        std::vector<StatusWatch::Look> looks;
        auto const add = [&](int level, Duration every) {
            looks.push_back({every, [this, level, limit](OneShot& look) { return monitor(look, level, boot_now() + limit, false); }});
        };
        add(0, attributes_.duration("monitor-every", or_else(m.monitor_interval, std::chrono::seconds(10))));
        if (int const level = attributes_.number("check-level", 0); level > 0) add(level, attributes_.duration("check-every", std::chrono::minutes(1)));
        watch_.begin(std::move(looks));
    }

    ResourceSpec const resource_;
    DriverContext const context_;
    Attributes const attributes_;
    std::string provider_, type_, path_;
    std::optional<OcfMetadata> metadata_;
    bool settings_failed_ = false;  // a secret can't be read: trying again changes nothing
    StatusWatch watch_;
};

}  // namespace

DriverPtr make_ocf_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<Ocf>(resource, std::move(context));
}

}  // namespace clusterd
