// One agent host's socket, deadlines, end and restart. See connection.hpp.
#include "clusterd/hosts/connection.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <utility>

namespace clusterd::hosts {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration grace = seconds(1);  // a driver that keeps its deadline answers within it
constexpr Duration ping_pace = seconds(10), pong_wait = seconds(10);
constexpr Duration late = milliseconds(500);  // a timer so late: it was we who stood still
constexpr Duration quick = seconds(2);        // a host that ends so soon is started again more slowly
constexpr std::size_t max_queued = 8u << 20;

Duration pause_after(int quick_ends) {
    return quick_ends == 0 ? Duration{0} : std::min<Duration>(milliseconds(100) * (1 << std::min(quick_ends, 6)), seconds(5));
}

}  // namespace

Connection::Connection(std::string name, Loop& loop, GuardClient& guard, std::uint64_t session, Callbacks callbacks)
    : name_(std::move(name)), loop_(loop), guard_(guard), session_(session), callbacks_(std::move(callbacks)) {}

Connection::~Connection() {
    if (call_.joinable()) call_.join();
    readable_.reset();
    writable_.reset();
    if (fd_ >= 0) close(fd_);
}

void Connection::open() {
    if (!connected() && !opening_) call_guard(false, long_ago);
}

// The guard answers when an old host of that name has really ended, which one in a hung mount may never do: not on the loop.
void Connection::call_guard(bool kill_first, Instant not_before) {
    opening_ = true;
    if (!kill_first && loop_.now().mono < not_before) {
        retry_ = loop_.at(not_before, [this] { call_guard(false, long_ago); });
        return;
    }
    if (call_.joinable()) call_.join();  // it has posted its result, so it is over
    call_ = std::thread([this, kill_first, alive = std::weak_ptr<int>(alive_), &loop = loop_, &guard = guard_, name = name_] {
        if (kill_first) {
            if (auto const killed = guard.kill_host(name); !killed) {
                loop.post([this, alive, error = killed.error()] {
                    if (!alive.lock()) return;
                    callbacks_.unkillable(std::exchange(overdue_, {}), error);
                    opened(Error{error});
                });
                return;
            }
        }
        auto fd = guard.host(name);
        loop.post([this, alive, fd = std::move(fd)]() mutable {
            if (alive.lock())
                opened(std::move(fd));
            else if (fd)
                close(*fd);
        });
    });
}

void Connection::opened(Result<int> fd) {
    if (retiring_) {
        if (fd) close(*fd);
        return;
    }
    opening_ = false;
    Instant const now = loop_.now().mono;
    if (!fd) {
        ++quick_ends_;
        abandon_all(fmt::format("agent host {} can't be started: {}", name_, fd.error()));
        call_guard(false, now + pause_after(quick_ends_));
        return;
    }
    fd_ = *fd;
    overdue_.clear();
    opened_at_ = now;
    welcomed_ = false;
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
    int const size = static_cast<int>(host::max_frame) * 2;
    if (setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    readable_ = loop_.on_readable(fd_, [this] { readable(); });
    ping_at_ = now + ping_pace;
    pong_by_ = forever;
    send(host::Hello{session_});
    callbacks_.connected(*this);
    for (auto& [ticket, action] : in_flight_)
        if (connected() && !action.sent) ask_now(ticket, action);
    arm();
}

void Connection::send(host::Message const& message) {
    if (!connected()) return;
    auto frame = host::encode(message);
    if (!frame) {
        fmt::print(stderr, "agent host {}: {}\n", name_, frame.error());
        return;
    }
    queued_bytes_ += frame->size();
    queue_.push_back(std::move(*frame));
    if (queue_.size() == 1)
        write_queued();
    else if (queued_bytes_ > max_queued && !overflow_) {
        overflow_ = true;
        loop_.post([this, alive = std::weak_ptr<int>(alive_)] {  // the caller may be in the middle of a list
            if (alive.lock() && connected() && overflow_)
                hung(fmt::format("agent host {} was killed: it reads nothing any more", name_));
        });
    }
}

void Connection::write_queued() {
    while (!queue_.empty()) {
        std::string const& frame = queue_.front();
        ssize_t const n = ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            if (!writable_) writable_ = loop_.on_writable(fd_, [this] { write_queued(); });
            return;
        }
        if (n < 0) break;  // it is gone: the end of the socket is told by reading
        queued_bytes_ -= frame.size();
        queue_.pop_front();
    }
    if (!writable_) return;
    // Not within its own callback.
    loop_.post([handle = std::shared_ptr<Loop::Handle>(std::move(writable_))]() mutable { handle.reset(); });
}

void Connection::readable() {
    static thread_local std::string buffer(host::max_frame, '\0');
    for (int i = 0; i < 64 && connected(); ++i) {  // then others have their turn
        iovec part{buffer.data(), buffer.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        ssize_t const n = recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            lost(fmt::format("agent host {} ended by itself", name_));
            return;
        }
        one_frame({buffer.data(), static_cast<std::size_t>(n)}, !(message.msg_flags & MSG_TRUNC));
    }
}

void Connection::one_frame(std::string_view frame, bool whole) {
    auto message = whole ? host::decode(frame) : Result<host::Message>(Error{"a host frame can't be read: it is too long"});
    if (!message) {
        fmt::print(stderr, "agent host {}: {}\n", name_, message.error());
        return;
    }
    if (auto const* welcome = std::get_if<host::Welcome>(&*message)) {
        welcomed_ = welcome->session == session_;
        return;
    }
    if (!welcomed_) return;  // meant for the worker before us
    if (std::holds_alternative<host::Pong>(*message)) {
        pong_by_ = forever;
        ping_at_ = loop_.now().mono + ping_pace;
        arm();
        return;
    }
    callbacks_.received(*this, *message);
}

void Connection::ask(std::uint64_t ticket, InFlight action) {
    Instant begin = loop_.now().mono;
    if (action.kind !=
        ActionKind::kill) {  // it waits for those of its resource before it; a kill has its own deadline all the same
        for (auto const& [t, before] : in_flight_)
            if (before.resource == action.resource) begin = std::max(begin, before.deadline - grace);
    }
    action.deadline = begin + action.timeout + grace;
    auto const it = in_flight_.insert_or_assign(ticket, std::move(action)).first;
    if (connected())
        ask_now(ticket, it->second);
    else
        open();
    arm();
}

void Connection::ask_now(std::uint64_t ticket, InFlight& action) {
    action.sent = true;
    send(host::Action{ticket, action.kind, action.resource, action.timeout});
}

void Connection::awaits(std::uint64_t ticket, InFlight action) {
    Instant const end = loop_.now().mono + action.timeout;
    for (auto& [t, after] : in_flight_)
        if (after.resource == action.resource && after.kind != ActionKind::kill)
            after.deadline = std::max(after.deadline, end + after.timeout + grace);
    action.deadline = end + grace;
    action.sent = true;
    in_flight_.insert_or_assign(ticket, std::move(action));
    arm();
}

bool Connection::finish(std::uint64_t ticket, InFlight& was) {
    auto const it = in_flight_.find(ticket);
    if (it == in_flight_.end()) return false;
    was = std::move(it->second);
    in_flight_.erase(it);
    // The next one's time begins now.
    for (auto& [t, next] : in_flight_) {
        if (next.resource != was.resource) continue;
        next.deadline = std::min(next.deadline, loop_.now().mono + next.timeout + grace);
        break;
    }
    arm();
    return true;
}

// The guard's word may be of a host that was replaced meanwhile: the socket knows.
void Connection::look_if_gone() {
    char byte = 0;
    if (!connected()) return;
    ssize_t const n = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) lost(fmt::format("agent host {} ended by itself", name_));
}

void Connection::lost(std::string const& why) {
    Instant const now = loop_.now().mono;
    ++ends_;
    quick_ends_ = now - opened_at_ < quick ? quick_ends_ + 1 : 0;
    disconnect();
    call_guard(false, now + pause_after(quick_ends_));
    abandon_all(why);
}

void Connection::hung(std::string const& why) {
    ++kills_;
    if (connected()) {
        disconnect();
        call_guard(true, long_ago);
    }
    abandon_all(why);
}

void Connection::retire() {
    retiring_ = true;
    if (connected()) disconnect();
    timer_.reset();
    retry_.reset();
    if (call_.joinable()) call_.join();
    opening_ = true;  // open() does nothing any more
    call_ = std::thread([ended = ended_, &guard = guard_, name = name_] {
        [[maybe_unused]] auto const killed =
            guard.kill_host(name);  // one that can't be killed hangs in the kernel; it is told nothing any more
        *ended = true;
    });
}

void Connection::disconnect() {
    // We may be within a callback of these: they end later.
    struct Old {
        Loop::HandlePtr readable, writable;
        int fd = -1;
        ~Old() {
            readable.reset();
            writable.reset();
            if (fd >= 0) close(fd);
        }
    };
    auto old = std::make_shared<Old>();
    old->readable = std::move(readable_);
    old->writable = std::move(writable_);
    old->fd = fd_;
    shutdown(fd_, SHUT_RDWR);
    fd_ = -1;
    queue_.clear();
    queued_bytes_ = 0;
    overflow_ = false;
    ping_at_ = pong_by_ = forever;
    loop_.post([old]() mutable { old.reset(); });
}

void Connection::abandon_all(std::string const& why) {
    auto const gone = std::move(in_flight_);
    in_flight_.clear();
    arm();
    if (gone.empty()) return;
    loop_.post([this, gone, why, alive = std::weak_ptr<int>(alive_)] {
        for (auto const& [ticket, action] : gone)
            if (alive.lock()) callbacks_.abandoned(*this, action, why);
    });
}

void Connection::arm() {
    Instant next = std::min(ping_at_, pong_by_);
    for (auto const& [ticket, action] : in_flight_) next = std::min(next, action.deadline);
    if (next == armed_) return;
    armed_ = next;
    timer_ = next == forever ? nullptr : loop_.at(next, [this, next] { due(next); });
}

void Connection::due(Instant when) {
    Instant const now = loop_.now().mono;
    // Not within its own callback.
    loop_.post([handle = std::shared_ptr<Loop::Handle>(std::move(timer_))]() mutable { handle.reset(); });
    armed_ = forever;
    if (now - when > late) {  // we stood still, and the host perhaps as well: its answers may be waiting to be read
        for (auto& [ticket, action] : in_flight_) action.deadline = std::max(action.deadline, now + grace);
        if (pong_by_ != forever) pong_by_ = std::max(pong_by_, now + grace);
    }
    look_at_deadlines(now);
    arm();
}

void Connection::look_at_deadlines(Instant now) {
    for (auto const& [ticket, action] : in_flight_) {
        if (action.deadline > now) continue;
        static constexpr char const* names[] = {"finding out the state", "the start", "the stop", "the kill", "the preparation"};
        for (auto const& [t, late] : in_flight_)
            if (late.sent && late.deadline <= now) overdue_.push_back(late.resource);
        hung(fmt::format("agent host {} was killed: {} of {} did not return in {:.3g}s", name_,
                         names[static_cast<std::size_t>(action.kind)], action.resource,
                         std::chrono::duration<double>(action.timeout + grace).count()));
        return;
    }
    if (pong_by_ <= now) {
        hung(fmt::format("agent host {} was killed: it didn't answer for {}s", name_,
                         std::chrono::duration_cast<seconds>(pong_wait).count()));
    } else if (ping_at_ <= now) {
        ping_at_ = forever;
        pong_by_ = now + pong_wait;
        send(host::Ping{++pings_});
    }
}

}  // namespace clusterd::hosts
