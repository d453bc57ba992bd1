// The agent host's thread, frames and actions. See host.hpp; checks are in checks.cpp.
#include "agents/host/host.hpp"

#include "resources/clock.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

namespace clusterd {
namespace {

constexpr std::size_t max_threads = 256;  // checks of servers that answer late wait in one each

host::State state_of(DriverOutcome const& o) {
    return {o.state, o.message, o.restart_here};
}

}  // namespace

AgentHost::AgentHost(std::string name, int worker_fd, GuardClient& guard, GuardEvents& events)
    : AgentHost(std::move(name), worker_fd, guard, events, Makers()) {}

AgentHost::AgentHost(std::string name, int worker_fd, GuardClient& guard, GuardEvents& events, Makers makers)
    : name_(std::move(name)),
      worker_fd_(worker_fd),
      guard_(guard),
      events_(events),
      makers_(std::move(makers)),
      permit_end_(std::make_shared<std::atomic<std::int64_t>>(long_ago.ns)),
      pool_(std::make_unique<Pool>(name_, max_threads)) {
    wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int const size = static_cast<int>(host::max_frame) * 2;
    if (setsockopt(worker_fd_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        setsockopt(worker_fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

AgentHost::~AgentHost() {
    pool_.reset();
    resources_.clear();  // drivers' threads end while post() still works
    close(worker_fd_);
    close(wake_fd_);
}

void AgentHost::post(std::function<void()> work) {
    {
        std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
    }
    std::uint64_t const one = 1;
    [[maybe_unused]] ssize_t const n = write(wake_fd_, &one, sizeof one);  // fails only where a wake-up is pending already
}

void AgentHost::run_posted() {
    std::uint64_t drained = 0;
    [[maybe_unused]] ssize_t const n = read(wake_fd_, &drained, sizeof drained);
    std::vector<std::function<void()>> work;
    {
        std::lock_guard lock(mutex_);
        work.swap(posted_);
    }
    for (auto& w : work) w();
}

void AgentHost::stop() {
    post([this] { ended_ = true; });
}

void AgentHost::run() {
    while (!ended_) {
        Instant const next = run_due_checks();
        if (ended_) return;
        pollfd fds[] = {{worker_fd_, static_cast<short>(outbox_.empty() ? POLLIN : POLLIN | POLLOUT), 0}, {wake_fd_, POLLIN, 0}};
        poll(fds, 2, next == forever ? -1 : ms_left(next));
        if (fds[1].revents) run_posted();
        if (fds[0].revents & POLLOUT) outbox_.flush(worker_fd_);
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) read_frames();
    }
}

void AgentHost::read_frames() {
    static thread_local std::string buffer(host::max_frame, '\0');
    for (;;) {
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        ssize_t const n = recvmsg(worker_fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0) {  // nobody has the other end any more, nor will: worker and guard are gone
            ended_ = true;
            return;
        }
        auto decoded = message.msg_flags & MSG_TRUNC ? Result<host::Message>(Error{"a host frame can't be read: it is too long"})
                                                     : host::decode({buffer.data(), static_cast<std::size_t>(n)});
        if (decoded)
            std::visit([this](auto& m) { on(m); }, *decoded);
        else
            fmt::print(stderr, "cluster-agent {}: {}\n", name_, decoded.error());
        if (ended_) return;
    }
}

// A new worker: what was meant for the old one is void; it is told what is under way and where all stands.
void AgentHost::on(host::Hello const& m) {
    outbox_.clear();
    outbox_.send(worker_fd_, host::Welcome{m.session});
    Instant const now = boot_now();
    for (auto& [name, r] : resources_) {
        if (r.known) outbox_.send(worker_fd_, host::Changed{name, *r.known});
        r.waiting.clear();  // nobody waits for those any more
        if (!r.running) continue;
        Duration const left = r.running->deadline > now ? r.running->deadline - now : Duration{0};
        outbox_.send(worker_fd_, host::Busy{r.running->action.ticket, r.running->action.kind, name, left});
    }
    // Checks run on; the new worker says which it wants.
}

void AgentHost::on(host::Configure& m) {
    Resource& r = resources_[m.resource.name];
    if (makers_.resources) makers_.resources(resources_.size());
    bool const driver_same = r.spec.type == m.resource.type && r.spec.attributes == m.resource.attributes;
    bool const checks_same = driver_same && r.spec.health == m.resource.health;
    r.spec = std::move(m.resource);
    if (!driver_same) {
        r.generation = ++last_id_;
        r.known.reset();
        end_elsewhere(std::move(r.driver));
    }
    if (!checks_same && r.checked) {
        stop_checks(r.spec.name);
        start_checks(r);
    }
}

// A driver's end may wait for a thread of its own.
void AgentHost::end_elsewhere(std::shared_ptr<Driver> driver) {
    if (driver) pool_->post([driver = std::move(driver)]() mutable { driver.reset(); });
}

void AgentHost::on(host::Forget const& m) {
    stop_checks(m.resource);
    auto const it = resources_.find(m.resource);
    if (it == resources_.end()) return;
    end_elsewhere(std::move(it->second.driver));
    resources_.erase(it);
}

void AgentHost::on(host::Action const& m) {
    auto const it = resources_.find(m.resource);
    if (it == resources_.end()) {
        outbox_.send(worker_fd_, host::ActionDone{
                                     m.ticket,
                                     m.resource,
                                     {ResourceState::unknown, "resource " + m.resource + " isn't known to this agent host", true}});
        return;
    }
    it->second.waiting.push_back({m, forever});
    begin_next(it->first, it->second);
}

void AgentHost::on(host::Permit const& m) {
    permit_end_->store(m.end.ns, std::memory_order_relaxed);
}

void AgentHost::on(host::Ping const& m) {
    outbox_.send(worker_fd_, host::Pong{m.id});
}

// Not while an action runs: a start announces by itself, and what stops mustn't.
void AgentHost::on(host::Announce const& m) {
    auto const it = resources_.find(m.resource);
    if (it == resources_.end() || it->second.running || !it->second.driver) return;
    it->second.driver->announce(static_cast<int>(std::min<std::uint32_t>(m.times, 100)));
}

void AgentHost::on(host::Look const& m) {
    auto const it = resources_.find(m.resource);
    if (it == resources_.end() || !looking_.insert(m.resource).second) return;
    pool_->post([this, spec = it->second.spec, elsewhere = m.elsewhere] {
        std::vector<Lack> lacks;
        try {
            lacks = makers_.lacks(spec, elsewhere);
        } catch (std::exception const& e) {
            lacks.push_back({fmt::format("it can't be looked at: {}", e.what()), ""});
        }
        post([this, name = spec.name, lacks = std::move(lacks)] {
            looking_.erase(name);
            outbox_.send(worker_fd_, host::Looked{name, lacks});
        });
    });
}

DriverContext AgentHost::context(std::string const& name, std::uint64_t generation) {
    return {.guard = guard_,
            .events = events_,
            .changed = [this, name, generation](DriverOutcome outcome) { post([=, this] { changed(name, generation, outcome); }); },
            .may_announce = [end = permit_end_] { return boot_now().ns < end->load(std::memory_order_relaxed); },
            .permit_end = [end = permit_end_] { return Instant{end->load(std::memory_order_relaxed)}; }};
}

void AgentHost::begin_next(std::string const& name, Resource& r) {
    if (r.running || r.waiting.empty()) return;
    r.running = std::move(r.waiting.front());
    r.waiting.pop_front();
    host::Action const action = r.running->action;
    Instant const deadline = r.running->deadline = boot_now() + action.timeout;  // its time begins when it is its turn
    pool_->post([=, this, spec = r.spec, generation = r.generation, driver = r.driver]() mutable {
        DriverOutcome outcome;
        try {
            if (!driver) driver = makers_.driver(spec, context(spec.name, generation));
            switch (action.kind) {
                case ActionKind::probe:
                    outcome = driver->probe(deadline);
                    break;
                case ActionKind::start:
                    outcome = driver->start(deadline);
                    break;
                case ActionKind::stop:
                    outcome = driver->stop(deadline);
                    break;
                case ActionKind::kill:
                    outcome = driver->kill(deadline);
                    break;
                case ActionKind::prepare:
                    driver->prepare(deadline);
                    break;
            }
        } catch (std::exception const& e) {
            outcome = {ResourceState::unknown, fmt::format("resource {}: its driver broke off: {}", spec.name, e.what()), true};
        }
        post(
            [=, this, driver = std::move(driver)]() mutable { action_done(name, generation, std::move(driver), action, outcome); });
    });
}

void AgentHost::action_done(std::string const& name, std::uint64_t generation, std::shared_ptr<Driver> driver,
                            host::Action const& action, DriverOutcome outcome) {
    auto const it = resources_.find(name);
    if (it != resources_.end()) {
        Resource& r = it->second;
        if (r.generation == generation) {
            r.driver = driver;
            if (action.kind != ActionKind::prepare) r.known = state_of(outcome);
        }
        if (r.running && r.running->action.ticket == action.ticket)
            r.running.reset();  // not that of a resource forgotten and named anew
    }
    outbox_.send(worker_fd_, host::ActionDone{action.ticket, name, state_of(outcome)});
    if (it != resources_.end()) begin_next(name, it->second);
    if (it == resources_.end() || it->second.generation != generation) end_elsewhere(std::move(driver));
}

void AgentHost::changed(std::string const& name, std::uint64_t generation, DriverOutcome outcome) {
    auto const it = resources_.find(name);
    if (it == resources_.end() || it->second.generation != generation) return;
    it->second.known = state_of(outcome);
    outbox_.send(worker_fd_, host::Changed{name, *it->second.known});
}

}  // namespace clusterd
