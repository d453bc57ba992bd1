// Routes a request to the backend, the command log or an error that says what was expected.
#include "clusterd/api/routes.hpp"

#include "clusterd/wire/status.hpp"

#include <cstdio>
#include <random>

namespace clusterd::api {
namespace {

constexpr std::string_view commands_path = "/v1/commands/";
constexpr std::string_view failovers_path = "/v1/failovers/";
constexpr std::string_view revisions_path = "/v1/config/revisions/";

Answer wrong(unsigned status, std::string_view message) {
    return {status, message_json("error", message)};
}
Answer wrong_method(std::string_view allowed) {
    return wrong(405, "this path takes " + std::string(allowed));
}

std::string fresh_id() {
    std::random_device source;
    char text[17];
    std::snprintf(text, sizeof text, "%08x%08x", static_cast<unsigned>(source()), static_cast<unsigned>(source()));
    return text;
}

}  // namespace

std::optional<Answer> Routes::answer(Request const& r, std::string const& user, Instant now, bool at_last) {
    bool const get = r.method == Method::get;
    if (r.path == "/v1/commands") return r.method == Method::post ? give_command(r, user, now) : wrong_method("POST");
    if (r.path.starts_with(commands_path)) return command(r, now, at_last);
    if (r.path == "/v1/quorum/force") return force(r);
    if (r.path == "/v1/plan") return plan(r, at_last);
    if (r.path == "/v1/readiness") return readiness(r);
    bool const known = r.path == "/v1/status" || r.path == "/v1/events" || r.path == "/v1/failovers" || r.path == "/v1/timing" ||
                       r.path == "/v1/config" || r.path == "/v1/config/revisions" || r.path.starts_with(revisions_path) || r.path.starts_with(failovers_path);
    if (!known) {
        return wrong(404,
                     "there is no '" + r.path + "'; known: /v1/status, events, failovers, timing, config, commands, plan, readiness, quorum/force");
    }
    if (!get) return wrong_method("GET");
    if (r.path == "/v1/status") return Answer{200, status_json(backend_.status())};
    if (r.path == "/v1/events") return events(r, at_last);
    if (r.path == "/v1/failovers") return Answer{200, failovers_json(backend_.failovers())};
    if (r.path == "/v1/timing") return Answer{200, timing_json(backend_.timing())};
    if (r.path == "/v1/config/revisions") return Answer{200, revisions_json(backend_.revisions())};
    if (r.path.starts_with(revisions_path)) return revision(r);
    if (r.path == "/v1/config") {
        std::string xml = backend_.config_xml();
        if (xml.empty()) return wrong(404, "this node knows no configuration yet: it waits for its peer or the quorum disk");
        return Answer{200, std::move(xml), false};
    }
    return failover(r);
}

Answer Routes::give_command(Request const& r, std::string const& user, Instant now) {
    auto parsed = parse_command(r.body);
    if (!parsed) return wrong(400, parsed.error());
    parsed->id = fresh_id();
    if (parsed->user.empty()) parsed->user = user;
    // Before submit: its first update may come from within.
    if (!commands_.open(parsed->id, now)) return wrong(503, "too many commands are under way; wait for some to end");
    std::string const id = parsed->id;
    backend_.submit(std::move(*parsed));
    return {202, accepted_json(id)};
}

std::optional<Answer> Routes::command(Request const& r, Instant now, bool at_last) {
    if (r.method != Method::get && r.method != Method::erase) return wrong_method("GET or DELETE");
    std::string const id = r.path.substr(commands_path.size());
    auto const progress = commands_.progress(id, r.after_n, now);
    if (!progress)
        return wrong(404, "command '" + id + "' is not known here: it ended long ago, or this node's worker was started after it");
    if (r.method == Method::erase) {
        if (!commands_.finished(id)) backend_.abandon(id);
        return Answer{200, progress_json(*progress)};
    }
    if (progress->updates.empty() && progress->outcome == Outcome::running && !at_last) return std::nullopt;
    return Answer{200, progress_json(*progress)};
}

std::optional<Answer> Routes::events(Request const& r, bool at_last) {
    auto const list = backend_.events(r.after, r.limit);
    if (list.empty() && !at_last) return std::nullopt;
    return Answer{200, events_json(list)};
}

Answer Routes::failover(Request const& r) {
    std::string const id = r.path.substr(failovers_path.size());
    for (auto const& f : backend_.failovers()) {
        if (f.id == id) return {200, failover_json(f)};
    }
    return wrong(404, "failover '" + id + "' is not known; `clusterctl failovers` lists them");
}

Answer Routes::readiness(Request const& r) {
    if (r.method == Method::get) return {200, readinesses_json(backend_.readiness())};
    if (r.method != Method::post) return wrong_method("GET or POST");
    backend_.look_at_readiness();
    return {202, message_json("message", "both nodes look again")};
}

Answer Routes::revision(Request const& r) {
    std::string const number = r.path.substr(revisions_path.size());
    auto const all = backend_.revisions();
    for (auto it = all.rbegin(); it != all.rend(); ++it)
        if (std::to_string(it->revision) == number) return {200, it->xml, false};
    return wrong(404, "revision '" + number + "' is not kept on this node: it is too old, or this node was away while it counted; `clusterctl show config --history` lists what is");
}

std::optional<Answer> Routes::plan(Request const& r, bool at_last) {
    if (r.method != Method::post) return wrong_method("POST");
    auto const command = parse_command(r.body);
    if (!command) return wrong(400, command.error());
    if (command->verb == Verb::apply || command->verb == Verb::maintenance || command->verb == Verb::reset)
        return wrong(400, "verb: move, pause, resume, online, offline and fail can be planned");
    if (auto const answer = backend_.plan(*command)) return Answer{200, plan_json(*answer)};
    if (at_last) return wrong(503, "it isn't found out yet: ask again, and wait longer (wait_ms)");
    return std::nullopt;
}

Answer Routes::force(Request const& r) {
    if (r.method == Method::get) return {200, backend_.force_preview(), false};
    if (r.method != Method::post) return wrong_method("GET or POST");
    auto const typed = parse_force(r.body);
    if (!typed) return wrong(400, typed.error());
    Status const status = backend_.status();
    std::string const& self = status.nodes[at(status.self)].name;
    if (*typed != self) return wrong(409, "refused: the name of this node, '" + self + "', must be typed exactly");
    auto const done = backend_.force();
    if (!done) return wrong(409, done.error());
    return {200, message_json("message", "forced: this node goes on by itself")};
}

}  // namespace clusterd::api
