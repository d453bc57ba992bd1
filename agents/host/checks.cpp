// The agent host's checks: when each runs, and what is said where one doesn't come back. See host.hpp.
#include "agents/host/host.hpp"

#include "config/values.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>
#include <fstream>
#include <string>

namespace clusterd {
namespace {

// An agent that keeps its deadline answers for itself within so much of it.
constexpr Duration grace = std::chrono::milliseconds(150);

constexpr Duration look_again = std::chrono::seconds(10);  // at one that is stuck

// A thread that waits uninterruptibly (D) stays, whatever is done to its process.
bool can_be_ended(int thread) {
    std::ifstream in(fmt::format("/proc/self/task/{}/stat", thread));
    std::string stat;
    std::getline(in, stat, '\0');
    std::size_t const name_end = stat.rfind(')');
    return name_end != std::string::npos && name_end + 2 < stat.size() && stat[name_end + 2] != 'D';
}

// Checks that are started together don't stay together: the first run waits up to one pace, at most a second.
Duration first_delay(std::string const& resource, std::uint32_t index, Duration every) {
    std::uint64_t const spread = (std::hash<std::string>{}(resource) + index * 0x9e3779b97f4a7c15u) % 1000;
    return std::min(every, Duration(std::chrono::seconds(1))) * static_cast<std::int64_t>(spread) / 1000;
}

}  // namespace

void AgentHost::on(host::Checks const& m) {
    auto const it = resources_.find(m.resource);
    if (it == resources_.end()) return;
    if (m.run == it->second.checked) return;
    it->second.checked = m.run;
    if (m.run)
        start_checks(it->second);
    else
        stop_checks(m.resource);
}

void AgentHost::start_checks(Resource const& r) {
    Instant const now = boot_now();
    for (std::uint32_t i = 0; i < r.spec.health.size(); ++i) {
        HealthSpec const& h = r.spec.health[i];
        Check c;
        c.resource = r.spec.name;
        c.index = i;
        c.spec = h;
        c.agent = makers_.agent(h, r.spec, guard_, events_);
        c.due = now + first_delay(r.spec.name, i, h.every);
        checks_.emplace(++last_id_, std::move(c));
    }
}

// One that runs comes back to nobody.
void AgentHost::stop_checks(std::string const& resource) {
    std::erase_if(checks_, [&](auto const& entry) { return entry.second.resource == resource && !entry.second.running; });
    for (auto& [id, c] : checks_)
        if (c.resource == resource) c.forgotten = true;
}

Instant AgentHost::run_due_checks() {
    Instant next = forever;
    Instant const now = boot_now();
    for (auto& [id, c] : checks_) {
        if (!c.running && c.due <= now) begin_check(id, c, now);
        if (c.running && !c.told && c.overdue <= now) {
            c.told = true;
            c.stuck = now + makers_.stuck_after;
            if (!c.forgotten)
                tell(c, Health::unknown, c.spec.timeout,
                     fmt::format("the {} check didn't come back within its timeout of {}", c.spec.type, format_duration(c.spec.timeout)));
        }
        if (!c.running)
            next = std::min(next, c.due);
        else if (!c.told)
            next = std::min(next, c.overdue);
        else
            next = std::min(next, look_at_stuck(c, now));
    }
    return next;
}

// Only the end of the process ends a call that never returns; the checks that go on elsewhere in it lose one run. Not while an action runs:
// that has its own deadline.
Instant AgentHost::look_at_stuck(Check& c, Instant now) {
    if (now < c.stuck) return c.stuck;
    c.stuck = now + std::min<Duration>(look_again, makers_.stuck_after);
    bool const acts = std::any_of(resources_.begin(), resources_.end(), [](auto const& r) { return r.second.running.has_value(); });
    if (acts || ended_ || !can_be_ended(c.thread->load())) return c.stuck;
    fmt::print(stderr, "cluster-agent {}: the {} check of {} never came back ({} after its timeout of {}); this agent host ends, so that it does, and is started again\n", name_, c.spec.type,
               c.resource, format_duration(makers_.stuck_after), format_duration(c.spec.timeout));
    ended_ = true;
    return c.stuck;
}

void AgentHost::begin_check(std::uint64_t id, Check& c, Instant now) {
    Instant const deadline = now + c.spec.timeout;
    c.running = true;
    c.told = false;
    c.due = now + c.spec.every;
    c.overdue = deadline + grace;
    c.thread->store(0);
    pool_->post([=, this, agent = c.agent, thread = c.thread] {
        thread->store(gettid());
        Instant const begun = boot_now();
        CheckOutcome outcome;
        if (begun >= deadline) {
            outcome = {Health::unknown, "no thread was free to run it: too many checks hang"};
        } else {
            try {
                outcome = agent->check(deadline);
            } catch (std::exception const& e) {
                outcome = {Health::unknown, fmt::format("the check broke off: {}", e.what())};
            }
        }
        Duration const latency = boot_now() - begun;
        post([=, this] { check_done(id, outcome, latency); });
    });
}

void AgentHost::check_done(std::uint64_t id, CheckOutcome outcome, Duration latency) {
    auto const it = checks_.find(id);
    if (it == checks_.end()) return;
    Check& c = it->second;
    if (c.forgotten) {
        checks_.erase(it);
        return;
    }
    c.running = false;
    c.due = std::max(c.due, boot_now());
    if (!c.told) tell(c, outcome.result, latency, std::move(outcome.message));
}

void AgentHost::tell(Check const& c, Health result, Duration latency, std::string message) {
    outbox_.send(worker_fd_, host::HealthSeen{c.resource, c.index, result, latency, std::move(message)});
}

}  // namespace clusterd
