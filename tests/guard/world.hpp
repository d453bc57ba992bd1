// A world for one guard: a temporary directory with it and fake children beside it, and the test's hold on all of them. Everything
// is ended and removed when the world is, also after a failure.
#pragma once

#include "clusterd/guard/client/client.hpp"
#include "clusterd/guard/shared.hpp"

#include <sys/types.h>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace clusterd::guard_test {

using namespace std::chrono_literals;

std::int64_t boot_ns();
bool alive(pid_t pid);  // and not a zombie
bool until(std::function<bool()> condition, std::chrono::milliseconds limit = 20s);
std::string text_of(std::string const& path);
bool is_root();

// One fake child, whose GuardClient and other descriptor the test holds.
struct Child {
    std::string role, name, arguments;
    pid_t pid = 0;
    bool resumed = false;
    int connection = -1;
    int other_fd = -1;  // the worker's shared memory; an agent's socket to the worker
    std::unique_ptr<GuardClient> guard;
    int raw_guard_fd = -1;  // a duplicate, for bytes that no client would send
    guard::Shared* shared = nullptr;

    ~Child();
    void order(std::string const& text) const;
    pid_t fork_a_child() const;
    GuardEvent wait_event(GuardEvent::Kind kind, std::chrono::milliseconds limit = 20s);  // fails the test where none comes
    bool has_event(GuardEvent::Kind kind);

    std::mutex mutex;
    std::condition_variable came;
    std::deque<GuardEvent> events;
};
using ChildPtr = std::unique_ptr<Child>;

struct World {
    explicit World(bool with_cgroups = true);
    ~World();

    void start(std::map<std::string, std::string> const& env = {}, std::vector<std::string> const& more = {});
    ChildPtr child();  // the next that introduces itself
    ChildPtr worker() { return child(); }
    ChildPtr agent(Child& worker, std::string const& name = "h1");  // asks for the host; other_fd stays the agent's own end
    void signal(int number) const;
    int wait_exit(std::chrono::milliseconds limit = 20s);  // exit code; -1 not ended, 128+n by signal
    std::string log() const { return text_of(dir + "/log"); }
    // What the guard's exec in `env` and options is, run to its end: exit code and its stderr.
    std::pair<int, std::string> run(std::vector<std::string> const& arguments, std::map<std::string, std::string> const& env = {});
    // A command for spawn: writes its pid to dir/NAME and sleeps; with `daemon` a grandchild in a session of its own does too.
    SpawnRequest sleeper(std::string const& resource, std::string const& role = "main", bool daemon = false) const;
    pid_t pid_in(std::string const& file) const;  // waits for it

    std::string dir;
    bool cgroups;
    pid_t pid = 0;
    int listener = -1;
    std::vector<pid_t> seen;  // to be ended at the end, whatever happens
};

void grant(Child& worker, std::chrono::milliseconds for_ms, std::chrono::milliseconds kill = 250ms);

}  // namespace clusterd::guard_test
