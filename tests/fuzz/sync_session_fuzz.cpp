// The sync channel's connection, before and after it knows who is there: the first byte says what the rest is.
//   even: what a stranger sends to the port, byte for byte
//   odd: where and how a middleman changes what two honest ends say to each other
// Nothing crashes, a stranger never gets a session, and no changed frame is delivered.
#include "clusterd/link/session.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <vector>

namespace {

using namespace clusterd;

// A loop that is turned by hand: every watch that is there is called. Timers never come due.
class HandLoop final : public Loop {
public:
    HandlePtr on_readable(int, std::function<void()> ready) override { return keep(std::move(ready)); }
    HandlePtr on_writable(int, std::function<void()> ready) override { return keep(std::move(ready)); }
    HandlePtr at(Instant, std::function<void()>) override { return keep({}); }
    void post(std::function<void()>) override { std::abort(); }
    Now now() const override { return {}; }
    void turn() {
        std::vector<int> ids;
        for (auto const& [id, call] : calls_) ids.push_back(id);
        for (int const id : ids)
            if (auto const found = calls_.find(id); found != calls_.end() && found->second) {
                auto const call = found->second;
                call();
            }
    }

private:
    struct Ender : Handle {
        std::function<void()> end;
        ~Ender() override { end(); }
    };
    HandlePtr keep(std::function<void()> call) {
        auto ender = std::make_unique<Ender>();
        ender->end = [this, id = ++last_] { calls_.erase(id); };
        calls_[last_] = std::move(call);
        return ender;
    }
    std::map<int, std::function<void()>> calls_;
    int last_ = 0;
};

struct Owner final : Session::Owner {
    int opened = 0, closed = 0;
    std::vector<std::string> frames;
    void session_open(Session&) override { ++opened; }
    void session_frame(Session&, std::string_view payload) override { frames.emplace_back(payload); }
    void session_closed(Session&, std::string const& reason) override {
        if (reason.empty()) std::abort();
        ++closed;
    }
};

SessionIdentity identity(NodeIndex self) {
    return {cluster_tag("fuzz"), self, self == NodeIndex::a ? 11U : 12U, subkey(Key{}, Purpose::sync)};
}

struct End {
    HandLoop loop;
    Owner owner;
    std::shared_ptr<Session> session;
    int far = -1;  // the other side of its socket
    explicit End(NodeIndex self) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
        far = fds[1];
        session = std::make_shared<Session>(loop, Fd(fds[0]), 0, false, identity(self), std::chrono::seconds(1), owner);
        session->start();
    }
    ~End() {
        session->abandon();
        close(far);
    }
    End(End const&) = delete;
    End& operator=(End const&) = delete;
};

void from_a_stranger(std::string_view bytes) {
    End end(NodeIndex::a);
    while (!bytes.empty() && end.owner.closed == 0) {
        ssize_t const n = send(end.far, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
        end.loop.turn();
        if (n < 0 && errno != EAGAIN) break;
    }
    if (end.owner.opened != 0 || !end.owner.frames.empty()) std::abort();
}

// Pairs of bytes: after how many bytes, and what is changed there (0: nothing).
struct Middle {
    std::string_view changes;
    std::size_t next = 0, counted = 0;
    bool changed = false;
    void pass(int from, int to) {
        char buffer[4096];
        ssize_t const n = recv(from, buffer, sizeof buffer, 0);
        for (ssize_t i = 0; i < n; ++i, ++counted) {
            if (next + 1 >= changes.size() || counted < static_cast<unsigned char>(changes[next])) continue;
            buffer[i] = static_cast<char>(buffer[i] ^ changes[next + 1]);
            changed = changed || changes[next + 1] != 0;
            next += 2;
            counted = 0;
        }
        if (n > 0 && send(to, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) return;
    }
};

void through_a_middleman(std::string_view changes) {
    End a(NodeIndex::a), b(NodeIndex::b);
    Middle middle{changes};
    std::size_t sent = 0;
    for (int round = 0; round < 12; ++round) {
        middle.pass(a.far, b.far);
        middle.pass(b.far, a.far);
        a.loop.turn();
        b.loop.turn();
        if (a.session->open() && sent < 3) sent += a.session->send("frame " + std::to_string(sent)) ? 1 : 0;
    }
    for (std::size_t i = 0; i < b.owner.frames.size(); ++i)
        if (b.owner.frames[i] != "frame " + std::to_string(i)) std::abort();
    if (!a.owner.frames.empty()) std::abort();
    if (!middle.changed && b.owner.frames.size() != 3) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view const rest(reinterpret_cast<char const*>(data) + 1, size - 1);
    if (data[0] % 2 == 0)
        from_a_stranger(rest);
    else
        through_a_middleman(rest);
    return 0;
}
