// One agent host as the worker sees it: its socket, what is under way in it, and until when. Inside hosts/ only.
//
// It knows nothing of resources' meaning: hosts.cpp decides what is sent and what becomes of an answer.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "clusterd/shell/loop.hpp"
#include "clusterd/wire/host_message.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace clusterd::hosts {

// An action the host hasn't answered. Tickets rise, so a resource's actions stand in the order they were asked for.
struct InFlight {
    std::string resource;
    ActionKind kind = ActionKind::probe;
    std::uint64_t action = 0;  // 0: nobody asked (a probe of our own, or what a worker before us began)
    Duration timeout{};
    Instant deadline;  // then the host is killed
    bool sent = false;
};

class Connection {
public:
    struct Callbacks {
        std::function<void(Connection&)> connected;                 // to a host just met: tell it everything
        std::function<void(Connection&, host::Message&)> received;  // after its Welcome
        std::function<void(Connection&, InFlight const&, std::string const& why)> abandoned;  // an action nobody will answer
        // It was killed, and hangs on all the same: what was under way there of these resources may still come about.
        std::function<void(std::vector<std::string> const& resources, std::string const& why)> unkillable;
    };

    Connection(std::string name, Loop& loop, GuardClient& guard, std::uint64_t session, Callbacks callbacks);
    Connection(Connection const&) = delete;
    Connection& operator=(Connection const&) = delete;
    ~Connection();  // waits for a call to the guard that is under way

    std::string const& name() const { return name_; }
    bool connected() const { return fd_ >= 0; }
    std::map<std::uint64_t, InFlight> const& in_flight() const { return in_flight_; }
    int kills() const { return kills_; }
    int ends() const { return ends_; }

    void open();                              // starts the host if need be; does nothing where that is under way or done
    void send(host::Message const& message);  // dropped where not connected: `connected` tells all anyway
    void ask(std::uint64_t ticket, InFlight action);
    void awaits(std::uint64_t ticket, InFlight action);  // what was begun by the worker before us
    bool finish(std::uint64_t ticket, InFlight& was);    // false: no such ticket
    void look_if_gone();                                 // the guard says that it ended
    void retire();                                       // not needed any more: has it ended, and starts it no more
    bool retired() const { return *ended_; }             // that is done

    Instant announcing_until = long_ago;  // it is told of the permit until then

private:
    void call_guard(bool kill_first, Instant not_before);
    void opened(Result<int> fd);
    void readable();
    void one_frame(std::string_view frame, bool whole);
    void write_queued();
    void lost(std::string const& why);  // it ended by itself
    void hung(std::string const& why);  // end it
    void disconnect();
    void abandon_all(std::string const& why);
    void ask_now(std::uint64_t ticket, InFlight& action);
    void due(Instant when);
    void look_at_deadlines(Instant now);
    void arm();

    std::string const name_;
    Loop& loop_;
    GuardClient& guard_;
    std::uint64_t const session_;
    Callbacks const callbacks_;
    std::shared_ptr<int> const alive_ = std::make_shared<int>(0);  // what was posted for us finds out whether we still are

    int fd_ = -1;
    bool opening_ = false, welcomed_ = false, overflow_ = false, retiring_ = false;
    Loop::HandlePtr readable_, writable_, timer_, retry_;
    Instant armed_ = forever;
    std::thread call_;
    std::deque<std::string> queue_;
    std::size_t queued_bytes_ = 0;
    std::map<std::uint64_t, InFlight> in_flight_;
    std::vector<std::string> overdue_;  // the resources whose actions had it killed
    std::shared_ptr<std::atomic<bool>> const ended_ = std::make_shared<std::atomic<bool>>(false);
    Instant opened_at_ = long_ago;
    int quick_ends_ = 0, kills_ = 0, ends_ = 0;
    Instant ping_at_ = forever, pong_by_ = forever;
    std::uint64_t pings_ = 0;
};

}  // namespace clusterd::hosts
