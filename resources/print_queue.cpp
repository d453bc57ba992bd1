// See print_queue.hpp.
#include "resources/print_queue.hpp"

#include "resources/attributes.hpp"
#include "resources/one_shot.hpp"
#include "resources/print_words.hpp"
#include "resources/status_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace clusterd {
namespace {

constexpr Duration look_takes = std::chrono::seconds(10);
constexpr Duration look_again = std::chrono::milliseconds(300);  // for jobs that are still printed
constexpr Duration leave_time = std::chrono::seconds(3);         // of a stop's deadline, for what comes after the waiting

class PrintQueue final : public Driver {
public:
    PrintQueue(ResourceSpec const& resource, DriverContext context)
        : resource_(resource), name_(resource.name), context_(std::move(context)), attributes_(resource_.attributes), watch_(context_.guard, context_.events, context_.changed) {
        queue_ = attributes_.text("queue", name_);
        model_ = attributes_.text("model", "everywhere");
        settings_.env = {"LC_ALL=C", "CUPS_SERVER=" + attributes_.text("cups-socket", "/run/cups/cups.sock")};
        wait_ = attributes_.duration("wait", std::chrono::seconds(20));
        every_ = attributes_.duration("check-every", std::chrono::seconds(5));
    }

    // A queue that neither takes nor prints jobs is offline: it keeps what was left in it.
    DriverOutcome probe(Instant deadline) override {
        watch_.end();
        OneShot shot(context_.guard, context_.events);
        auto const seen = look(shot, deadline);
        if (!seen) return {ResourceState::unknown, say(seen.error()), true};
        if (!seen->server || !seen->there || (!seen->enabled && !seen->accepting)) return {ResourceState::offline, {}, true};
        watch();
        return {ResourceState::online, {}, true};
    }

    DriverOutcome start(Instant deadline) override {
        watch_.end();
        OneShot shot(context_.guard, context_.events);
        std::vector<std::string> add{"lpadmin", "-p", queue_, "-v", attributes_.text("device"), "-D", attributes_.text("info", queue_)};
        if (std::string const ppd = attributes_.text("ppd"); !ppd.empty()) add.insert(add.end(), {"-P", ppd});
        else add.insert(add.end(), {"-m", model_});
        if (std::string const where = attributes_.text("location"); !where.empty()) add.insert(add.end(), {"-L", where});
        // A printer that is off keeps its jobs waiting, and the queue as it is: CUPS would disable it.
        add.insert(add.end(), {"-o", std::string("printer-is-shared=") + (attributes_.yes("shared", true) ? "true" : "false"), "-o", "printer-error-policy=retry-job"});
        for (auto const& argv : {add, {"cupsenable", queue_}, {"cupsaccept", queue_}}) {
            OneShotResult const result = shot.run(name_, "start", argv, settings_, before_deadline(deadline));
            if (!result.succeeded()) return cannot_start(shot, argv.front(), result, deadline);
        }
        if (model_ != "raw" && attributes_.text("ppd").empty()) {
            // lpadmin says that all is well, also where it could not ask the printer what it can do.
            OneShotResult const can = shot.run(name_, "start", {"lpoptions", "-p", queue_, "-l"}, settings_, before_deadline(deadline));
            if (!can.succeeded() || can.output.find("Unable to get PPD") != std::string::npos)
                return {ResourceState::failed, say(fmt::format("CUPS could not make the queue from model {}: is the printer at {} switched on, and does it know IPP Everywhere? else give its ppd, or model=\"raw\"", model_, attributes_.text("device"))), true};
        }
        DriverOutcome const outcome = judged(look(shot, deadline));
        if (outcome.state == ResourceState::online) watch();
        return outcome.state == ResourceState::unknown ? DriverOutcome{ResourceState::failed, outcome.message, true} : outcome;
    }

    // No new jobs; those that are there are printed, as far as there is time; a queue that holds any then stays, and prints nothing.
    DriverOutcome stop(Instant deadline) override {
        watch_.end();
        OneShot shot(context_.guard, context_.events);
        auto const seen = look(shot, deadline);
        if (!seen) return {ResourceState::unknown, say(seen.error()), true};
        if (!seen->server || !seen->there) return gone({});
        if (OneShotResult const result = shot.run(name_, "stop", {"cupsreject", queue_}, settings_, before_deadline(deadline)); !result.succeeded()) return not_ended(what_happened("cupsreject", result));
        Instant const until = std::min(boot_now() + (seen->enabled ? wait_ : Duration{0}), before_deadline(deadline) - leave_time);
        std::optional<int> jobs = left_in_it(shot, deadline);
        while (jobs != 0 && boot_now() < until) {
            std::this_thread::sleep_for(look_again);  // CUPS tells nobody when a job is done
            jobs = left_in_it(shot, deadline);
        }
        if (jobs == 0) {
            OneShotResult const result = shot.run(name_, "stop", {"lpadmin", "-x", queue_}, settings_, before_deadline(deadline));
            if (result.succeeded()) return gone({});
        }
        return disabled(shot, deadline);
    }

    DriverOutcome kill(Instant deadline) override {
        watch_.end();
        OneShot shot(context_.guard, context_.events);
        auto const seen = look(shot, deadline);
        if (seen && (!seen->server || !seen->there)) return gone({});
        shot.run(name_, "stop", {"cupsreject", queue_}, settings_, before_deadline(deadline));
        return disabled(shot, deadline);
    }

private:
    std::string say(std::string const& what) const { return fmt::format("print queue {}{}: {}", name_, queue_ == name_ ? "" : " (" + queue_ + ")", what); }
    static std::string what_happened(std::string const& program, OneShotResult const& r) {
        if (r.end == OneShotResult::End::not_run) return fmt::format("{} can't be run: {}", program, r.error);
        if (r.end != OneShotResult::End::exited) return fmt::format("{} did not end in time", program);
        std::string said = r.output.substr(0, r.output.find_last_not_of(" \n") + 1);
        if (std::size_t const line = said.rfind('\n'); line != std::string::npos) said.erase(0, line + 1);
        return said.empty() ? fmt::format("{} {}", program, exit_in_words(r.wait_status)) : said;
    }

    Result<QueueSeen> look(OneShot& shot, Instant deadline) const {
        OneShotResult const result = shot.run(name_, "status", {"lpstat", "-r", "-p", queue_, "-a", queue_}, settings_, std::min(boot_now() + look_takes, before_deadline(deadline)));
        if (result.end != OneShotResult::End::exited || WEXITSTATUS(result.wait_status) == 127) return Error{what_happened("lpstat", result)};  // 1: no such queue
        return read_lpstat(result.output, queue_);
    }

    std::optional<int> left_in_it(OneShot& shot, Instant deadline) const {
        OneShotResult const result = shot.run(name_, "status", {"lpstat", "-o", queue_}, settings_, std::min(boot_now() + look_takes, before_deadline(deadline)));
        if (!result.succeeded()) return std::nullopt;
        return count_jobs(result.output, queue_);
    }

    // Is it as it is to be while it is online?
    DriverOutcome judged(Result<QueueSeen> const& seen) const {
        if (!seen) return {ResourceState::unknown, say(seen.error()), true};
        std::string const why = seen->reason.empty() ? "" : " (" + seen->reason + ")";
        if (!seen->server) return {ResourceState::failed, say("CUPS isn't running on this node: systemctl start cups"), true};
        if (!seen->there) return {ResourceState::failed, say("somebody deleted it from CUPS"), true};
        if (!seen->enabled) return {ResourceState::failed, say("somebody stopped its printing" + why + "; to work on a printer: clusterctl maintenance on"), true};
        if (!seen->accepting) return {ResourceState::failed, say("it takes no jobs any more" + why), true};
        return {ResourceState::online, {}, true};
    }

    DriverOutcome cannot_start(OneShot& shot, std::string const& program, OneShotResult const& result, Instant deadline) const {
        bool const missing = result.end == OneShotResult::End::not_run && lasting_start_error(result.error);
        if (missing) return {ResourceState::failed, say(fmt::format("{} isn't installed on this node; install the package cups", program)), false};
        auto const seen = look(shot, deadline);
        if (seen && !seen->server) return {ResourceState::failed, say("CUPS isn't running on this node: systemctl start cups"), true};
        return {ResourceState::failed, say(what_happened(program, result)), true};
    }

    DriverOutcome disabled(OneShot& shot, Instant deadline) {
        shot.run(name_, "stop", {"cupsdisable", "-r", "offline in the cluster", queue_}, settings_, before_deadline(deadline));
        auto const seen = look(shot, deadline);
        if (!seen) return not_ended(seen.error());
        if (seen->there && (seen->enabled || seen->accepting)) return not_ended("it still " + std::string(seen->enabled ? "prints" : "takes jobs"));
        auto const jobs = left_in_it(shot, deadline);
        return gone(jobs.value_or(0) > 0 ? fmt::format("{} job{} stay{} in it on this node and {} printed when the group is back here; see lpstat -o {}", *jobs, *jobs == 1 ? "" : "s", *jobs == 1 ? "s" : "", *jobs == 1 ? "is" : "are", queue_) : "");
    }

    DriverOutcome not_ended(std::string const& why) const { return {ResourceState::failed, say(why), true}; }
    DriverOutcome gone(std::string const& remark) {
        if (auto const left = end_processes(context_.guard, name_, [this](std::string const& what) { return say(what); }); left.state != ResourceState::offline) return left;
        return {ResourceState::offline, remark.empty() ? "" : say(remark), true};
    }

    void watch() {
        watch_.begin({{every_, [this](OneShot& shot) { return judged(look(shot, boot_now() + look_takes)); }}});
    }

    ResourceSpec const resource_;
    std::string const name_;
    DriverContext const context_;
    Attributes const attributes_;
    std::string queue_, model_;
    CommandSettings settings_;
    Duration wait_{}, every_{};
    StatusWatch watch_;
};

}  // namespace

DriverPtr make_print_queue_driver(ResourceSpec const& resource, DriverContext context) {
    return std::make_unique<PrintQueue>(resource, std::move(context));
}

}  // namespace clusterd
