// The guard's whole state and the parts that work on it. One thread, one loop, nothing ever waits:
//
//   at every turn, before anything else is looked at:  enforce_permit()      (emergency.cpp)
//   then what is due:                                  the worker's restart, answers owed, watchdog, leaving   (loop.cpp)
//   then one event:                                    a signal, a message (requests.cpp), a child's exit (children.cpp)
//
// The promise: once the permit's end - K has come, nothing of any resource is left to run and no address of ours is left, whatever
// worker and hosts do; and without a permit nothing that needs one is started. Tables have fixed sizes: the guard never allocates.
#pragma once

#include "clusterd/guard/options.hpp"
#include "clusterd/guard/owned.hpp"
#include "clusterd/guard/protocol.hpp"
#include "clusterd/guard/shared.hpp"
#include "clusterd/guard/util.hpp"
#include "clusterd/guard/watchdog_device.hpp"

#include <sys/types.h>

namespace clusterd::guard {

inline constexpr int max_hosts = 64;
inline constexpr int max_processes = 512;
inline constexpr int max_addresses = 256;
inline constexpr int max_cgroups = 256;
inline constexpr int max_mounts = 128;
inline constexpr int max_owed = 256;
inline constexpr std::int64_t kill_limit = 5 * second;  // what SIGKILL hasn't ended by then is reported as not ended

// A client is the worker (slot 0) or a host (slot 1 + its index). `generation` tells a new one in the same slot from the old.
struct ClientRef {
    int slot = -1;
    std::uint32_t generation = 0;
};

struct Client {
    int fd = -1;
    std::uint32_t generation = 0;
};

struct Host {
    Name name;  // empty = a free entry
    pid_t pid = 0;
    int worker_fd = -1;  // the worker's end of the host's other socket: handed to each worker
    int error_fd = -1;   // says why it could not be started
    bool dying = false;
};

struct Process {
    pid_t pid = 0;  // 0 = a free entry
    Name resource;
    Text<64> role;
    Name host;  // who started it and hears of its end
    std::uint64_t start = 0;
    bool running = false;
    bool failed_start = false;
    int wait_status = 0;
    int error_fd = -1;   // until the program runs
    ClientRef asked_by;  // while the answer to spawn is owed
    std::uint64_t id = 0;
};

// An answer that is owed until something has ended.
struct Owed {
    Message message{};  // kill_all, kill_host, host, emergency_stop; id 0 = a free entry
    ClientRef client;
    std::uint64_t id = 0;
    Name name;
    std::int64_t until = 0;
    bool quiet = false;  // kill_all: the look before this one found nothing
};

struct Worker {
    pid_t pid = 0;  // 0 = none runs
    std::int64_t started = 0;
    std::int64_t start_at = 0;  // when pid is 0
    int quick_deaths = 0;       // in a row
    bool ready = false;
    bool stopping = false;  // we killed it ourselves
    int error_fd = -1;      // says why it could not be started
};

struct Stop {  // the emergency stop
    bool active = false;
    bool proven = true;     // of the last one
    bool reported = false;  // that it isn't done in kill_limit
    std::int64_t begun = 0;
    std::int64_t look_again = 0, pause = 0;
    Line reason;
};

struct Guard {
    Options options;
    Path self;      // our own program, for SIGHUP
    Path programs;  // the directory of clusterd-worker and cluster-agent
    Path cgroup;    // our base; empty = none
    Text<64> mark;  // CLUSTERD_RUN=...: in the environment of everything started for a resource
    int lock_fd = -1, shared_fd = -1, epoll_fd = -1, signal_fd = -1, timer_fd = -1;
    Shared* shared = nullptr;

    Client clients[1 + max_hosts];
    Host hosts[max_hosts];
    Process processes[max_processes];
    OwnedAddress addresses[max_addresses];
    OwnedCgroup cgroups[max_cgroups];
    OwnedMount mounts[max_mounts];
    Owed owed[max_owed];
    Worker worker;
    Stop stop;
    WatchdogDevice dog;

    bool permit_seen = false;     // a permit was seen to hold; its end is still to be enforced
    std::int64_t permit_end = 0;  // as last read
    bool was_ready = false;       // some worker was ready: READY=1 was sent
    bool reload_wanted = false, reloading = false;
    std::int64_t reload_until = 0;
    bool leaving = false, left = false, finishing = false;
    std::int64_t leave_until = 0;
    int exit_code = 0;
    std::int64_t watchdog = 0, watchdog_at = 0;
    std::uint64_t alive_seen = 0;
    bool finished = false;
};
extern Guard g;

// ---- loop.cpp
bool set_up_loop();
int run_loop();                                    // the exit code
bool watch(int fd, std::uint32_t type, int slot);  // adds it to the loop
enum Watched : std::uint32_t { watched_signal, watched_timer, watched_client, watched_start };
void begin_finish(int exit_code);  // stop what is left, then end

// ---- emergency.cpp
bool permit_holds(std::int64_t now);  // there is a permit and its last K hasn't begun
void enforce_permit(std::int64_t now);
void begin_stop(char const* reason);
void look_at_stop(std::int64_t now);  // has everything ended?

// ---- children.cpp
bool start_worker();
void kill_worker();  // on purpose: its end is no failure
int find_host(char const* name);
bool start_host(char const* name, Line& why);  // into a free slot
void kill_host(int index);
void make_room_for_another(int index);  // of its name, while this one, killed, still waits in the kernel
void reap_children();
Process* free_process();
bool record(char const* resource);        // write_owned with what the tables say
void forget_ended(char const* resource);  // its ended processes; nullptr: everyone's
int alive_of(char const* resource);
void kill_resource(char const* resource);
void client_closed(int slot);

// ---- units.cpp
void do_own_cgroup(int slot, std::uint64_t id, Unpacker& u, bool own);
bool unit_of(char const* resource, Path& path);  // the cgroup of the systemd unit that the resource is; false: it is none
bool any_unit_runs();                            // in a cgroup that a resource owns
void name_running_units(Line& names);
void kill_units();
void end_late_units(std::int64_t now);  // those that run without a permit

// ---- requests.cpp
// Is it refused (why)? What `needs_permit` is without one, and everything during an emergency stop.
bool refused(char const* what, char const* resource, bool needs_permit, Line& why);
bool good_resource(char const* resource, Line& why);
void handle_message(int slot);
void handle_start(int process);  // its error_fd has something to say

// ---- mount_stop.cpp
void do_own_mount(int slot, std::uint64_t id, Unpacker& u);
void do_disown_mount(int slot, std::uint64_t id, Unpacker& u);
void end_mounts();  // a child for each that is mounted; returns at once
bool ends_a_mount(pid_t pid);
void mount_child_died(pid_t pid);
void forget_mounts();

// ---- answers.cpp
ClientRef ref(int slot);
void send_to(int slot, char const* data, std::size_t size, int fd = -1);  // a client that never reads is killed
void answer_number(ClientRef client, std::uint64_t id, std::uint32_t number);
// An answer to be given once what it waits for has come about, or `limit` is over.
bool owe(Message message, ClientRef client, std::uint64_t id, char const* name, std::int64_t limit);
void answer(ClientRef client, std::uint64_t id, char const* error);  // nullptr = done
void send_leave();
bool send_exited(Process const& process);  // false: its host isn't there
void send_host_gone(char const* name);
void send_emergency_done();
void pay_owed(std::int64_t now);  // answers that can be given now
bool any_owed();

// ---- reexec.cpp
void reexec();           // returns only where it failed
bool inherited_state();  // we are the re-executed guard
bool take_over_state();  // false: it can't be read; nothing may go on

}  // namespace clusterd::guard
