// A world for the gate's tests: this thread in a network namespace of its own (the node), a client thread in another, a veth pair
// between them. Nameless namespaces, so that nothing is left over however a test ends. Plus a loop of poll(2) and timers.
#pragma once

#include "clusterd/shell/loop.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace clusterd::test {

Instant boot_now();

class PollLoop : public Loop {
public:
    HandlePtr on_readable(int fd, std::function<void()> ready) override;
    HandlePtr on_writable(int fd, std::function<void()> ready) override;
    HandlePtr at(Instant when, std::function<void()> due) override;
    void post(std::function<void()> work) override;
    Now now() const override { return {boot_now(), 0, 0}; }
    // Runs until `done` says so (true) or `limit` has passed (false).
    bool run_until(std::function<bool()> const& done, Duration limit);
    void run_for(Duration duration) { (void)run_until([] { return false; }, duration); }

private:
    struct Entry {
        int fd = -1;
        short events = 0;
        Instant when = forever;
        std::function<void()> call;
    };
    struct Watch;
    HandlePtr add(Entry entry);
    void step(Instant until);
    std::map<std::uint64_t, std::shared_ptr<Entry>> entries_;
    std::vector<std::function<void()>> posted_;
    std::uint64_t next_ = 1;
};

// A thread that does one thing at a time, in a network namespace of its own.
class ClientThread {
public:
    ClientThread();
    ~ClientThread();
    void run(std::function<void()> work);  // and waits for it
    pid_t id() const { return id_; }

private:
    void loop();
    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> work_;
    bool ending_ = false;
    std::atomic<pid_t> id_ = 0;
    std::thread thread_;
};

// Answers UDP and TCP on port 7 with what it gets, in the namespace of the thread that made it. Any address.
class EchoServer {
public:
    EchoServer();
    ~EchoServer();

private:
    void serve();
    int udp_, tcp_, stop_;
    std::thread thread_;
};

class World {
public:
    static constexpr char const* address4 = "10.91.0.100";
    static constexpr char const* other4 = "10.91.0.101";
    static constexpr char const* address6 = "fd91::100";
    static bool possible();  // root

    World();
    ~World();
    void node(std::string const& command);    // must succeed
    void client(std::string const& command);  // must succeed
    ClientThread& client_thread() { return client_; }

    // From the client: one UDP datagram, an answer within `limit`.
    bool answers(std::string const& address, Duration limit = std::chrono::milliseconds(300));
    // Asked again until it does; false only after ten seconds.
    bool comes_to_answer(std::string const& address);
    // From the client: an ARP request for `address` on its veth, an answer within `limit`.
    bool answers_arp(std::string const& address, Duration limit = std::chrono::milliseconds(300));
    // A datagram every millisecond for `duration`; the arrival of the last answer by the kernel's stamp. long_ago: none.
    Instant last_answer(std::string const& address, Duration duration);
    int connect(std::string const& address);                // the client's TCP connection to the echo server
    bool echoes(int connection, Duration limit);            // a byte there and back

private:
    int original_;
    ClientThread client_;
    std::unique_ptr<EchoServer> server_;
};

}  // namespace clusterd::test
