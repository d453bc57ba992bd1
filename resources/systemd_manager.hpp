// systemd's manager, asked over its D-Bus interface (org.freedesktop.systemd1, systemd's org.freedesktop.systemd1(5)) with sd-bus: units
// loaded, started, stopped and looked at. For the driver `service`.
//
// Root talks to systemd's own socket, so that no message bus need run; else the system bus. Every call may block until the deadline it was
// given. Not thread-safe: a connection per thread.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"

#include <memory>
#include <string>

struct sd_bus;

namespace clusterd {

struct UnitState {
    std::string load;    // loaded, not-found, masked, error, ...
    std::string active;  // active, reloading, inactive, failed, activating, deactivating, ...
    std::string sub;     // running, exited, dead, ...
    std::string result;  // of a service: success, exit-code, signal, timeout, ...
    std::string file;    // enabled, disabled, static, ...
    std::string cgroup;  // empty while nothing runs
    std::string slice;
    int main_code = 0, main_status = 0;  // as of waitid, of the main process that ended last
    bool job = false;                    // something is asked of it that isn't done yet

    bool runs() const { return active == "active" || active == "reloading" || active == "refreshing"; }
    bool ended() const { return active == "inactive" || active == "failed"; }
};

class SystemdManager {
public:
    static Result<std::unique_ptr<SystemdManager>> connect(Instant deadline);
    ~SystemdManager();
    SystemdManager(SystemdManager const&) = delete;
    SystemdManager& operator=(SystemdManager const&) = delete;

    void deadline(Instant d) { deadline_ = d; }  // of the calls that follow

    Result<UnitState> state(std::string const& unit);  // loads it, if need be
    // Done once the job is; an error says how it ended instead, or that it isn't done in time (then it goes on).
    Result<Done> start(std::string const& unit) { return run_job("StartUnit", unit); }
    Result<Done> stop(std::string const& unit) { return run_job("StopUnit", unit); }
    Result<Done> reset_failed(std::string const& unit);
    Result<Done> reload();  // unit files and drop-ins are read again

    // Waits until something about the unit may have changed, `wake_fd` becomes readable or the deadline comes. False: the connection is lost.
    bool wait_for_change(std::string const& unit, int wake_fd);

private:
    struct Signals;
    SystemdManager(sd_bus* bus);
    Result<std::string> path_of(std::string const& unit);
    Result<Done> call(char const* member, char const* text);
    Result<Done> run_job(char const* member, std::string const& unit);
    std::string text(std::string const& path, char const* interface, char const* member);
    int number(std::string const& path, char const* interface, char const* member);
    void limit();
    bool pump(int wake_fd, Instant until);

    sd_bus* bus_;
    Instant deadline_ = forever;
    std::unique_ptr<Signals> signals_;
};

// Where systemd puts a unit of this slice: /system.slice/nginx.service. Empty: straight below the root, which can't be told from others.
std::string cgroup_of_unit(std::string const& slice, std::string const& unit);

}  // namespace clusterd
