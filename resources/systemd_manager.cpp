// See systemd_manager.hpp.
#include "resources/systemd_manager.hpp"

#include "resources/clock.hpp"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <poll.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

namespace clusterd {
namespace {

constexpr char service[] = "org.freedesktop.systemd1";
constexpr char manager_path[] = "/org/freedesktop/systemd1";
constexpr char manager[] = "org.freedesktop.systemd1.Manager";
constexpr char unit_interface[] = "org.freedesktop.systemd1.Unit";
constexpr char service_interface[] = "org.freedesktop.systemd1.Service";

struct BusError {
    sd_bus_error e = SD_BUS_ERROR_NULL;
    ~BusError() { sd_bus_error_free(&e); }
    std::string say(int code) const { return e.message ? e.message : std::strerror(-code); }
};
struct Unref {
    void operator()(sd_bus_message* m) const { sd_bus_message_unref(m); }
};
using Message = std::unique_ptr<sd_bus_message, Unref>;

// Tests bring a manager of their own.
char const* address_for_tests() { return std::getenv("CLUSTERD_SYSTEMD_ADDRESS"); }

int open_private(sd_bus*& bus, char const* address) {
    int r = sd_bus_new(&bus);
    if (r >= 0) r = sd_bus_set_address(bus, address);
    if (r >= 0) r = sd_bus_start(bus);
    if (r < 0 && bus) bus = sd_bus_unref(bus);
    return r;
}

}  // namespace

struct SystemdManager::Signals {
    std::map<std::string, std::string> jobs_done;  // job's path -> how it ended
    std::string unit_path;                         // whose changes are waited for
    bool changed = false, subscribed = false;

    static int on_job_removed(sd_bus_message* m, void* self, sd_bus_error*) {
        std::uint32_t id = 0;
        char const *job = nullptr, *unit = nullptr, *result = nullptr;
        if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) >= 0) static_cast<Signals*>(self)->jobs_done[job] = result;
        return 0;
    }
    static int on_changed(sd_bus_message* m, void* self, sd_bus_error*) {
        auto* const s = static_cast<Signals*>(self);
        char const* const path = sd_bus_message_get_path(m);
        s->changed = s->changed || (path && s->unit_path == path);
        return 0;
    }
};

SystemdManager::SystemdManager(sd_bus* bus) : bus_(bus), signals_(std::make_unique<Signals>()) {}
SystemdManager::~SystemdManager() { sd_bus_close_unref(bus_); }

Result<std::unique_ptr<SystemdManager>> SystemdManager::connect(Instant deadline) {
    sd_bus* bus = nullptr;
    int r = -ENOENT;
    if (char const* const address = address_for_tests())
        r = open_private(bus, address);
    else if (geteuid() == 0)
        r = open_private(bus, "unix:path=/run/systemd/private");
    if (r < 0 && !address_for_tests()) r = sd_bus_open_system(&bus);
    if (r < 0) return Error{fmt::format("systemd can't be reached: {}; is it this machine's service manager?", std::strerror(-r))};
    std::unique_ptr<SystemdManager> made(new SystemdManager(bus));
    made->deadline(deadline);
    made->limit();
    auto* const signals = made->signals_.get();
    r = sd_bus_add_match(bus, nullptr, "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'", Signals::on_job_removed, signals);
    if (r >= 0) r = sd_bus_add_match(bus, nullptr, "type='signal',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'", Signals::on_changed, signals);
    if (r < 0) return Error{fmt::format("systemd's signals can't be asked for: {}", std::strerror(-r))};
    if (auto const subscribed = made->call("Subscribe", nullptr); !subscribed) return Error{subscribed.error()};
    return made;
}

// sd-bus counts a call's time from now.
void SystemdManager::limit() {
    auto const ms = static_cast<std::uint64_t>(deadline_ == forever ? 25'000 : std::max(1, ms_left(deadline_)));
    sd_bus_set_method_call_timeout(bus_, ms * 1000);
}

Result<Done> SystemdManager::call(char const* member, char const* text_argument) {
    limit();
    BusError error;
    int const r = text_argument ? sd_bus_call_method(bus_, service, manager_path, manager, member, &error.e, nullptr, "s", text_argument)
                                : sd_bus_call_method(bus_, service, manager_path, manager, member, &error.e, nullptr, nullptr);
    if (r < 0) return Error{fmt::format("systemd: {}: {}", member, error.say(r))};
    return Done{};
}

Result<Done> SystemdManager::reset_failed(std::string const& unit) { return call("ResetFailedUnit", unit.c_str()); }
Result<Done> SystemdManager::reload() { return call("Reload", nullptr); }

Result<std::string> SystemdManager::path_of(std::string const& unit) {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, service, manager_path, manager, "LoadUnit", &error.e, &raw, "s", unit.c_str());
    Message const reply(raw);
    char const* path = nullptr;
    if (r >= 0) r = sd_bus_message_read(reply.get(), "o", &path);
    if (r < 0) return Error{fmt::format("unit {}: {}", unit, error.say(r))};
    return std::string(path);
}

std::string SystemdManager::text(std::string const& path, char const* interface, char const* member) {
    BusError error;
    char* value = nullptr;
    if (sd_bus_get_property_string(bus_, service, path.c_str(), interface, member, &error.e, &value) < 0) return {};
    std::string const copy = value;
    std::free(value);
    return copy;
}

int SystemdManager::number(std::string const& path, char const* interface, char const* member) {
    BusError error;
    std::int32_t value = 0;
    sd_bus_get_property_trivial(bus_, service, path.c_str(), interface, member, &error.e, 'i', &value);
    return value;
}

Result<UnitState> SystemdManager::state(std::string const& unit) {
    auto const path = path_of(unit);
    if (!path) return Error{path.error()};
    UnitState s;
    s.load = text(*path, unit_interface, "LoadState");
    s.active = text(*path, unit_interface, "ActiveState");
    if (s.active.empty()) return Error{fmt::format("unit {}: systemd doesn't say in which state it is", unit)};
    s.sub = text(*path, unit_interface, "SubState");
    s.file = text(*path, unit_interface, "UnitFileState");
    if (s.load == "loaded") {
        s.result = text(*path, service_interface, "Result");
        s.cgroup = text(*path, service_interface, "ControlGroup");
        s.slice = text(*path, service_interface, "Slice");
        s.main_code = number(*path, service_interface, "ExecMainCode");
        s.main_status = number(*path, service_interface, "ExecMainStatus");
    }
    BusError error;
    sd_bus_message* raw = nullptr;
    if (sd_bus_get_property(bus_, service, path->c_str(), unit_interface, "Job", &error.e, &raw, "(uo)") >= 0) {
        Message const reply(raw);
        std::uint32_t id = 0;
        char const* job = nullptr;
        s.job = sd_bus_message_read(reply.get(), "(uo)", &id, &job) >= 0 && id != 0;
    }
    return s;
}

Result<Done> SystemdManager::run_job(char const* member, std::string const& unit) {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, service, manager_path, manager, member, &error.e, &raw, "ss", unit.c_str(), "replace");
    Message const reply(raw);
    char const* job = nullptr;
    if (r >= 0) r = sd_bus_message_read(reply.get(), "o", &job);
    if (r < 0) return Error{fmt::format("unit {}: {}", unit, error.say(r))};
    std::string const path = job;
    while (!signals_->jobs_done.contains(path)) {
        if (!pump(-1, deadline_)) return Error{fmt::format("unit {}: the connection to systemd is lost", unit)};
        if (!signals_->jobs_done.contains(path) && deadline_ != forever && ms_left(deadline_) == 0)
            return Error{fmt::format("unit {}: {} isn't done in time", unit, member)};
    }
    std::string const result = signals_->jobs_done[path];
    signals_->jobs_done.clear();
    if (result != "done" && result != "skipped") return Error{fmt::format("unit {}: {}: {}", unit, member, result)};
    return Done{};
}

// Handles what has come, and waits once where nothing has. False: the connection is lost.
bool SystemdManager::pump(int wake_fd, Instant until) {
    for (;;) {
        int const r = sd_bus_process(bus_, nullptr);
        if (r < 0) return false;
        if (r > 0) {
            if (signals_->changed || !signals_->jobs_done.empty()) return true;
            continue;
        }
        int const events = sd_bus_get_events(bus_);
        pollfd fds[] = {{sd_bus_get_fd(bus_), static_cast<short>(events), 0}, {wake_fd, POLLIN, 0}};
        int const n = poll(fds, wake_fd >= 0 ? 2 : 1, until == forever ? -1 : ms_left(until));
        if (n == 0 || (n > 0 && wake_fd >= 0 && fds[1].revents)) return true;
    }
}

bool SystemdManager::wait_for_change(std::string const& unit, int wake_fd) {
    auto const path = path_of(unit);
    if (!path) return false;
    signals_->unit_path = *path;
    bool const alive = signals_->changed || pump(wake_fd, deadline_);
    signals_->changed = false;
    signals_->jobs_done.clear();
    return alive;
}

std::string cgroup_of_unit(std::string const& slice, std::string const& unit) {
    std::string path;
    if (slice.empty() || slice == "-.slice" || !slice.ends_with(".slice")) return {};
    std::string const name = slice.substr(0, slice.size() - 6);
    for (std::size_t at = name.find('-'); at != std::string::npos; at = name.find('-', at + 1)) path += "/" + name.substr(0, at) + ".slice";
    return path + "/" + slice + "/" + unit;
}

}  // namespace clusterd
