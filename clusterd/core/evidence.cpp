// What a node knew at the moment it decided something, in words: it is recorded with the event, for `clusterctl why`. Part of Node and of
// the reconciler, which call it only when there is an event to record.
#include "clusterd/core/names.hpp"
#include "clusterd/core/node_impl.hpp"

#include <algorithm>

namespace clusterd {

namespace {

std::string for_people(Duration d) {
    std::int64_t const ms = to_ms(d);
    return ms < 10'000 ? std::to_string(ms) + " ms" : ms < 600'000 ? std::to_string(ms / 1000) + " s" : std::to_string(ms / 60'000) + " min";
}

char const* word_of(Health h) {
    switch (h) {
    case Health::ok: return "ok";
    case Health::degraded: return "degraded";
    case Health::failed: return "failed";
    case Health::unknown: return "could not be run";
    case Health::none: break;
    }
    return "not run yet";
}

}  // namespace

// Of the pair: the other node's last sign of life, this node's own delay (was it us that slept?), the disk, the rights.
std::string Node::Impl::evidence(Now now) const {
    Membership const& m = membership;
    std::string const& other_name = name_of(spec(), peer());
    std::string text = m.peer_last_heard() == long_ago
                           ? "nothing heard of " + other_name + " since this node started"
                           : other_name + "'s last heartbeat " + for_people(now.mono - m.peer_last_heard()) + " ago (it is suspected after " + for_people(spec().timing.suspect) + ")";
    text += "; this node's own scheduling delay " + std::to_string(m.around.scheduling_delay_us / 1000) + " ms";
    if (!spec().quorum_disk) text += "; no quorum disk";
    else if (m.disk_usable()) text += m.cycle_p99().count() == 0 ? "; quorum disk answers" : "; quorum disk answers, within " + for_people(m.cycle_p99());
    else text += "; quorum disk: " + (m.disk_error().empty() ? std::string("does not answer") : m.disk_error());
    if (m.may_take_over(now)) text += "; every permit of " + other_name + " is over";
    else text += m.permitted(now) ? "; own permit has " + for_people(m.permit_end() - now.mono) + " left" : "; no permit";
    return text;
}

// Of a resource that failed: how long it ran, what its checks say, what its window of restarts holds.
std::string Reconciler::evidence(Now now, Local const& l) {
    std::string text;
    if (l.state == ResourceState::online && l.online_since != long_ago) text = "it was online for " + for_people(now.mono - l.online_since) + "; ";
    for (std::size_t i = 0; i < l.spec->health.size() && i < l.health.size(); ++i) {
        HealthSpec const& check = l.spec->health[i];
        text += "check " + check.type + ": " + word_of(l.health[i]);
        if (l.failed_in_row[i] > 0) text += ", " + std::to_string(l.failed_in_row[i]) + " in a row (" + std::to_string(check.failures) + " count as a failure)";
        text += "; ";
    }
    auto const restarts = std::count_if(l.restarts.begin(), l.restarts.end(), [&](Instant t) { return now.mono - t < l.spec->restart.period; });
    return text + std::to_string(restarts) + " of " + std::to_string(l.spec->restart.limit) + " restarts used within " + for_people(l.spec->restart.period);
}

}  // namespace clusterd
