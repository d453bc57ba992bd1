// The JSON of the local API besides the status: commands and what became of them, events, failovers, timing. Both sides use it.
#pragma once

#include "clusterd/core/events.hpp"
#include "clusterd/core/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// One line of the event log, as the shell keeps it.
struct EventRecord {
    std::string id;
    std::int64_t time_ms = 0;
    std::string node, severity, group, resource, message;  // severity as spell() writes it; group, resource may be empty
    std::string kind = "note";  // a name of event_kinds.hpp, or one that a newer clusterd wrote
    std::string evidence = {};  // what was known when it was decided; may be empty
    bool operator==(EventRecord const&) const = default;
};

// A configuration that counted.
struct ConfigRevision {
    std::uint64_t revision = 0;
    std::int64_t time_ms = 0;  // when it was decided; 0: the first one, which nobody applied
    std::string user, reason, hash;
    std::string xml;
    bool operator==(ConfigRevision const&) const = default;
};

// What became of a command so far. `n` counts from 1, so a reader can ask for what it hasn't seen.
struct CommandProgress {
    struct Update {
        std::uint64_t n = 0;
        Outcome outcome = Outcome::running;
        std::string message;
        bool operator==(Update const&) const = default;
    };
    std::string id;
    Outcome outcome = Outcome::running;  // of the newest update
    std::vector<Update> updates;
    bool operator==(CommandProgress const&) const = default;
};

// The timing that counts and what was measured. Negative = nothing measured yet.
struct TimingInfo {
    Timing timing;
    Duration cycle_p99{-1}, fsync_p99{-1};
    Duration cycle_max{-1}, fsync_max{-1};
    std::int64_t worst_margin_ms = -1;  // the least that was left of a permit when it was renewed
    bool operator==(TimingInfo const&) const = default;
};
// An inequality of protocol.md, with the measured numbers in it.
struct TimingRule {
    std::string name;     // required | wanted
    std::string formula;  // suspect + H + 2 cycles + F + K < P
    Duration sum{};       // the left side
    bool met = false;
};
std::vector<TimingRule> timing_rules(TimingInfo const& info);

std::string_view spell(Verb verb);
std::string_view spell(Outcome outcome);
std::string_view spell(Severity severity);
std::optional<Verb> parse_verb(std::string_view text);

std::string command_json(Command const& command);  // without its id: the API draws it
Result<Command> parse_command(std::string_view json);
std::string accepted_json(std::string_view id);
Result<std::string> parse_accepted(std::string_view json);
std::string progress_json(CommandProgress const& progress);
Result<CommandProgress> parse_progress(std::string_view json);

std::string event_json(EventRecord const& event);  // one object, one line: also what `events --json` prints
std::string events_json(std::vector<EventRecord> const& events);
Result<std::vector<EventRecord>> parse_events(std::string_view json);

std::string failover_json(FailoverRecord const& failover);
std::string failovers_json(std::vector<FailoverRecord> const& failovers);
Result<FailoverRecord> parse_failover(std::string_view json);
Result<std::vector<FailoverRecord>> parse_failovers(std::string_view json);

std::string revision_json(ConfigRevision const& revision, bool with_xml);  // one object, one line
Result<ConfigRevision> parse_revision(std::string_view json);
std::string revisions_json(std::vector<ConfigRevision> const& revisions);  // without their XML
Result<std::vector<ConfigRevision>> parse_revisions(std::string_view json);

std::string timing_json(TimingInfo const& info);
Result<TimingInfo> parse_timing(std::string_view json);

// `quorum force`: the node's name, typed by a person.
std::string force_json(std::string_view node);
Result<std::string> parse_force(std::string_view json);

std::string message_json(std::string_view key, std::string_view message);  // {"error": "..."} and the like
std::string json_text(std::string_view text);  // quoted and escaped, for a document put together by hand
// The `error` of an answer, or the text itself where it isn't ours.
std::string error_of(std::string_view json);
// {"id","outcome","message"}: what a waiting verb prints at the end with --json.
std::string outcome_json(std::string_view id, std::string_view outcome, std::string_view message);

}  // namespace clusterd
