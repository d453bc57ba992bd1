// Runs a monitoring plugin through the guard. See exec.hpp.
#include "agents/exec.hpp"

#include "agents/plugin.hpp"
#include "agents/program.hpp"
#include "config/words.hpp"
#include "resources/attributes.hpp"
#include "resources/secret_file.hpp"

#include <fmt/format.h>

namespace clusterd {
namespace {

class Exec final : public Agent {
public:
    Exec(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events)
        : program_(guard, events, resource.name) {
        Attributes const attributes(health.attributes);
        environment_file_ = attributes.text("environment-file");
        if (auto words = split_words(attributes.text("command")); words && !words->empty()) argv_ = *words;
    }

    CheckOutcome check(Instant deadline) override {
        if (argv_.empty()) return {Health::unknown, "the check has no command"};
        std::vector<std::string> env;
        if (!environment_file_.empty()) {
            auto lines = read_secret_lines(environment_file_);
            if (!lines) return {Health::unknown, "the check can't be run: " + lines.error()};
            env = *lines;
        }
        auto const run = program_.run(argv_, std::move(env), deadline);
        if (run.end == ProgramResult::End::not_run) return {Health::unknown, fmt::format("{} can't be run: {}", argv_[0], run.error)};
        if (run.end == ProgramResult::End::too_late) return {Health::unknown, fmt::format("{} wasn't done in time; it was killed", argv_[0])};
        CheckOutcome outcome = plugin_outcome(run.wait_status, run.output);
        if (run.flooded) outcome.message += " (it wrote more than 1 MiB; the rest was cut off)";
        return outcome;
    }

private:
    Program program_;
    std::string environment_file_;
    std::vector<std::string> argv_;
};

}  // namespace

AgentPtr make_exec_agent(HealthSpec const& health, ResourceSpec const& resource, GuardClient& guard, GuardEvents& events) {
    return std::make_unique<Exec>(health, resource, guard, events);
}

}  // namespace clusterd
