#include "clusterd/quorum/quorum.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace clusterd {

namespace {

constexpr Duration reopen_every = std::chrono::milliseconds(250);
constexpr Duration lock_patience = std::chrono::milliseconds(250);  // a request waits so long for an older worker's end

// Held by the process for as long as its I/O thread may have I/O pending: a killed worker's lock ends with its last thread.
class DiskLock {
public:
    explicit DiskLock(std::string path) : path_(std::move(path)) {}
    ~DiskLock() {
        if (fd_ >= 0) ::close(fd_);
    }
    DiskLock(DiskLock const&) = delete;
    DiskLock& operator=(DiskLock const&) = delete;

    Result<Done> hold(std::function<bool()> const& give_up) {
        if (held_) return Done{};
        if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd_ < 0) return Error{"the lock " + path_ + " can't be opened: " + std::strerror(errno)};
        for (Instant const until = boottime_now() + lock_patience;;) {
            if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
                held_ = true;
                return Done{};
            }
            if (errno != EWOULDBLOCK && errno != EINTR) return Error{"the lock " + path_ + " can't be taken: " + std::strerror(errno)};
            if (give_up() || boottime_now() >= until) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return Error{"the quorum disk waits: an older clusterd-worker of this node still holds " + path_ + ", so I/O of it may be pending"};
    }

private:
    std::string path_;
    int fd_ = -1;
    bool held_ = false;
};

}  // namespace

struct QuorumDisk::State {
    explicit State(Options o)
        : options(std::move(o)),
          lock(options.lock_dir + "/quorum.lock"),
          session({options.path, options.cluster, options.self, options.key, options.parse_config, options.opener, options.clock}) {}

    Options const options;
    std::shared_ptr<IoThread::Back> back;

    // Only the I/O thread's:
    DiskLock lock;
    DiskSession session;
    Instant next_open = long_ago;
    std::string last_open_error;

    // Everybody's:
    mutable std::mutex mutex;
    Uuid expected{};
    LatencyHistogram cycles, reads;
    QuorumState result = QuorumState::none;
    std::string message, warning;
    bool last_slow = false;

    void report(Event event) {
        back->post([this_on_event = &options.on_event, event = std::move(event)] { (*this_on_event)(event); });
    }

    // The lock, then the disk; after a failure not again before reopen_every is over.
    Result<Done> ready() {
        if (auto const held = lock.hold([this] { return back->closed(); }); !held) return held;
        {
            std::lock_guard const guard(mutex);
            session.expect(expected);
        }
        if (session.is_open()) return Done{};
        if (boottime_now() < next_open) return Error{last_open_error};
        auto const opened = session.open();
        if (!opened) {
            next_open = boottime_now() + reopen_every;
            last_open_error = opened.error();
            return opened;
        }
        std::lock_guard const guard(mutex);
        warning = session.facts()->warning;
        return Done{};
    }

    void note(bool ok, std::string const& error, Duration taken, LatencyHistogram* histogram) {
        std::lock_guard const guard(mutex);
        message = error;
        last_slow = ok && taken > options.slow;
        if (!ok) result = session.uninitialised() ? QuorumState::uninitialised : QuorumState::failed;
        else result = last_slow ? QuorumState::slow : QuorumState::ok;
        if (last_slow) message = "the last request took " + std::to_string(to_ms(taken)) + " ms";
        if (ok && histogram) histogram->add(taken);
    }
};

QuorumDisk::QuorumDisk(Options options, Loop& loop) : state_(std::make_shared<State>(std::move(options))), thread_("quorum-disk", loop) {
    state_->back = thread_.back();
    enqueue([](State& s) {  // so that status tells at once what is wrong with it
        auto const opened = s.ready();
        if (!opened) s.note(false, opened.error(), {}, nullptr);
    });
}

template <class Job>
void QuorumDisk::enqueue(Job job) {
    thread_.run([state = state_, job = std::move(job)] { job(*state); });
}

void QuorumDisk::set_expected_uuid(Uuid const& cluster) {
    std::lock_guard const guard(state_->mutex);
    state_->expected = cluster;
}

void QuorumDisk::cycle(std::uint64_t id, Slot const& mine) {
    enqueue([id, mine](State& s) {
        event::CycleDone done;
        done.id = id;
        done.started = s.options.clock();
        auto const ready = s.ready();
        auto const peer = ready ? s.session.cycle(mine, done.started) : Result<Slot>(Error{ready.error()});
        done.ok = bool(peer);
        if (peer) done.peer = *peer;
        else done.error = peer.error();
        s.note(done.ok, done.error, s.options.clock() - done.started, &s.cycles);
        s.report(std::move(done));
    });
}

void QuorumDisk::read(std::uint64_t id) {
    enqueue([id](State& s) {
        event::DiskReadDone done;
        done.id = id;
        auto const ready = s.ready();
        done.started = s.options.clock();
        auto const slots = ready ? s.session.read_slots() : Result<DiskSession::Slots>(Error{ready.error()});
        done.ok = bool(slots);
        if (slots) {
            done.own = slots->own;
            done.peer = slots->peer;
            done.disk = slots->disk;
            done.cluster = slots->cluster;
        } else {
            done.error = slots.error();
        }
        s.note(done.ok, done.error, s.options.clock() - done.started, &s.reads);
        s.report(std::move(done));
    });
}

void QuorumDisk::store_decision(std::uint64_t id, DecisionPtr decision, std::uint8_t area) {
    enqueue([id, decision = std::move(decision), area](State& s) {
        Instant const began = s.options.clock();
        auto ready = s.ready();
        if (ready && !decision) ready = Error{"no decision to store on the quorum disk"};
        auto const stored = ready ? s.session.store_decision(*decision, area) : ready;
        event::DiskDecisionStored done{id, bool(stored), area, stored ? "" : stored.error()};
        s.note(done.ok, done.error, s.options.clock() - began, nullptr);
        s.report(std::move(done));
    });
}

void QuorumDisk::load_decisions(std::uint64_t id) {
    enqueue([id](State& s) {
        Instant const began = s.options.clock();
        auto const ready = s.ready();
        auto const newest = ready ? s.session.load_decisions() : Result<DecisionPtr>(Error{ready.error()});
        event::DiskDecisionsLoaded done{id, bool(newest), newest ? *newest : nullptr, newest ? "" : newest.error()};
        s.note(done.ok, done.error, s.options.clock() - began, nullptr);
        s.report(std::move(done));
    });
}

QuorumHealth QuorumDisk::health() const {
    QuorumHealth health;
    if (auto const since = thread_.busy_since()) health.in_flight = boottime_now() - *since;
    std::lock_guard const guard(state_->mutex);
    health.state = state_->result;
    health.message = state_->message;
    health.warning = state_->warning;
    if (!health.in_flight || *health.in_flight <= state_->options.slow) return health;
    bool const hung = *health.in_flight > state_->options.hung;
    if (hung || health.state == QuorumState::ok) {
        health.state = hung ? QuorumState::failed : QuorumState::slow;
        health.message = "the quorum disk " + state_->options.path + " hasn't answered for " + std::to_string(to_ms(*health.in_flight)) + " ms";
    }
    return health;
}

LatencyStats QuorumDisk::latency() const {
    std::lock_guard const guard(state_->mutex);
    return state_->cycles.stats();
}
LatencyStats QuorumDisk::read_latency() const {
    std::lock_guard const guard(state_->mutex);
    return state_->reads.stats();
}

}  // namespace clusterd
