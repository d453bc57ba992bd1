// Keeps the newest of what can't be sent. See outbox.hpp.
#include "agents/host/outbox.hpp"

#include <sys/socket.h>
#include <algorithm>
#include <cerrno>

namespace clusterd {
namespace {

constexpr std::size_t max_answers = 1024;

std::string key_of(host::Message const& message) {
    if (auto const* m = std::get_if<host::Changed>(&message)) return "state " + m->resource;
    if (auto const* m = std::get_if<host::HealthSeen>(&message)) return "health " + std::to_string(m->check) + " " + m->resource;
    if (std::holds_alternative<host::Pong>(message)) return "pong";
    return {};
}

// False: not now (kept). A socket that is broken for good takes everything: the frame is lost either way.
bool try_send(int fd, std::string const& frame) {
    for (;;) {
        if (::send(fd, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
        if (errno != EINTR) return errno != EAGAIN && errno != ENOBUFS;
    }
}

}  // namespace

void Outbox::send(int fd, host::Message const& message) {
    auto frame = host::encode(message);
    if (!frame) return;  // can't be: messages are cut, and only configurations are long
    if (!waiting_.empty() || !try_send(fd, *frame)) keep(key_of(message), std::move(*frame));
}

void Outbox::flush(int fd) {
    while (!waiting_.empty() && try_send(fd, waiting_.front().frame)) waiting_.pop_front();
}

void Outbox::keep(std::string key, std::string frame) {
    auto const same = std::find_if(waiting_.begin(), waiting_.end(), [&](Waiting const& w) { return w.key == key; });
    bool const full = key.empty() && static_cast<std::size_t>(std::count_if(waiting_.begin(), waiting_.end(), [](Waiting const& w) {
                                         return w.key.empty();
                                     })) >= max_answers;
    // The newest stands at the end: the order of what is kept is the order in which it happened.
    if (same != waiting_.end() && (!key.empty() || full)) waiting_.erase(same);
    waiting_.push_back({std::move(key), std::move(frame)});
}

}  // namespace clusterd
