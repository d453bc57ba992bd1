// Which request gets which answer. Plain values in and out; the server does the HTTP.
//
//   GET    /v1/status                                 the status document
//   GET    /v1/events?after=ID&limit=&wait_ms=        {events[]}; waits for the first new one
//   GET    /v1/failovers   /v1/failovers/ID           {failovers[]}, or the one
//   GET    /v1/timing                                 timing, measured times, the inequalities
//   GET    /v1/config                                 the XML that counts (text)
//   GET    /v1/config/revisions                       {revisions[]} that counted on this node, without their XML;   /N: the XML (text)
//   POST   /v1/commands {verb,target,to,drain,failback,user,reason}   {id};   apply: {verb,config,base,confirm_ms,user}, the XML and the hash of what it was compared with;
//                                                     maintenance: {verb,target,on,for_ms,user}, without a target all groups, 0 ms without an end
//   GET    /v1/readiness                              {own,peer}: what keeps each node from taking over;   POST: both look again
//   POST   /v1/plan?wait_ms= {verb,target,to,drain}   what would come of it: move, pause, resume, online, offline, fail RESOURCE or NODE
//   GET    /v1/commands/ID?after=N&wait_ms=           {id,outcome,updates[{n,outcome,message}]}; waits for the first new one
//   DELETE /v1/commands/ID                            nobody waits for it any more
//   GET    /v1/quorum/force                           what it would go on with (text);   POST {node}: do it
// Errors are {error}: 400 not understood, 403 not root, 404 unknown, 405 method, 409 refused, 413 too large, 503 too many.
#pragma once

#include "clusterd/api/api.hpp"
#include "clusterd/api/commands.hpp"
#include "clusterd/api/request.hpp"

#include <optional>

namespace clusterd::api {

struct Answer {
    unsigned status = 200;
    std::string body;
    bool json = true;
};

class Routes {
public:
    Routes(ApiBackend& backend, CommandLog& commands) : backend_(backend), commands_(commands) {}

    // nullopt: nothing to tell yet. Asked again whenever something happened; with `at_last` it always answers.
    // `user` is who asks, for the record.
    std::optional<Answer> answer(Request const& request, std::string const& user, Instant now, bool at_last);

private:
    Answer give_command(Request const& request, std::string const& user, Instant now);
    std::optional<Answer> command(Request const& request, Instant now, bool at_last);
    std::optional<Answer> events(Request const& request, bool at_last);
    Answer failover(Request const& request);
    Answer readiness(Request const& request);
    Answer revision(Request const& request);
    std::optional<Answer> plan(Request const& request, bool at_last);
    Answer force(Request const& request);

    ApiBackend& backend_;
    CommandLog& commands_;
};

}  // namespace clusterd::api
