// See ganesha_bus.hpp.
#include "resources/ganesha_bus.hpp"

#include "resources/clock.hpp"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <poll.h>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace clusterd {
namespace {

constexpr char service[] = "org.ganesha.nfsd";
constexpr char exports_path[] = "/org/ganesha/nfsd/ExportMgr";
constexpr char exports_interface[] = "org.ganesha.nfsd.exportmgr";
constexpr char admin_path[] = "/org/ganesha/nfsd/admin";
constexpr char admin_interface[] = "org.ganesha.nfsd.admin";
constexpr int update_clients = 3;  // nfs-ganesha's event "read the recovery directory again"

struct BusError {
    sd_bus_error e = SD_BUS_ERROR_NULL;
    ~BusError() { sd_bus_error_free(&e); }
    std::string say(int code) const {
        std::string text = e.message ? e.message : std::strerror(-code);
        while (!text.empty() && text.back() == '\n') text.pop_back();
        for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text.replace(at, 1, "; ");
        return text.substr(0, 600);
    }
};
struct Unref {
    void operator()(sd_bus_message* m) const { sd_bus_message_unref(m); }
};
using Message = std::unique_ptr<sd_bus_message, Unref>;

// Tests bring a bus of their own.
char const* address_for_tests() { return std::getenv("CLUSTERD_GANESHA_ADDRESS"); }

int on_owner_changed(sd_bus_message*, void* changed, sd_bus_error*) {
    *static_cast<bool*>(changed) = true;
    return 0;
}

}  // namespace

Result<std::unique_ptr<GaneshaBus>> GaneshaBus::connect(Instant deadline) {
    sd_bus* bus = nullptr;
    int r = 0;
    if (char const* const address = address_for_tests()) {
        r = sd_bus_new(&bus);
        if (r >= 0) r = sd_bus_set_address(bus, address);
        if (r >= 0) r = sd_bus_set_bus_client(bus, 1);
        if (r >= 0) r = sd_bus_start(bus);
        if (r < 0 && bus) bus = sd_bus_unref(bus);
    } else {
        r = sd_bus_open_system(&bus);
    }
    if (r < 0) return Error{fmt::format("the system's message bus can't be reached: {}; nfs-ganesha is managed over it: systemctl start dbus", std::strerror(-r))};
    std::unique_ptr<GaneshaBus> made(new GaneshaBus(bus));
    made->deadline(deadline);
    made->limit();
    r = sd_bus_add_match(bus, nullptr, "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.ganesha.nfsd'", on_owner_changed, made->changed_.get());
    if (r < 0) return Error{fmt::format("the message bus doesn't take a question: {}", std::strerror(-r))};
    return made;
}

GaneshaBus::~GaneshaBus() { sd_bus_close_unref(bus_); }

void GaneshaBus::limit() {
    auto const ms = static_cast<std::uint64_t>(deadline_ == forever ? 25'000 : std::max(1, ms_left(deadline_)));
    sd_bus_set_method_call_timeout(bus_, ms * 1000);
}

Result<bool> GaneshaBus::runs() {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", &error.e, &raw, "s", service);
    Message const reply(raw);
    int has = 0;
    if (r >= 0) r = sd_bus_message_read(reply.get(), "b", &has);
    if (r < 0) return Error{fmt::format("the message bus: {}", error.say(r))};
    return has != 0;
}

Result<int> GaneshaBus::pid() {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixProcessID", &error.e, &raw, "s", service);
    Message const reply(raw);
    std::uint32_t pid = 0;
    if (r >= 0) r = sd_bus_message_read(reply.get(), "u", &pid);
    if (r < 0) return Error{fmt::format("the message bus: {}", error.say(r))};
    return static_cast<int>(pid);
}

Result<std::vector<GaneshaExport>> GaneshaBus::exports() {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, service, exports_path, exports_interface, "ShowExports", &error.e, &raw, nullptr);
    Message const reply(raw);
    std::vector<GaneshaExport> all;
    if (r >= 0) r = sd_bus_message_skip(reply.get(), "(tt)");
    // What follows id and path in an element differs between versions; it isn't asked for.
    char type = 0;
    char const* contents = nullptr;
    if (r >= 0) r = sd_bus_message_peek_type(reply.get(), &type, &contents);
    if (r >= 0 && (type != SD_BUS_TYPE_ARRAY || !contents)) r = -EBADMSG;
    std::string const element = r >= 0 ? contents : "";
    if (r >= 0 && !(element.starts_with("(qs") && element.ends_with(")"))) r = -EBADMSG;
    std::string const inside = r >= 0 ? element.substr(1, element.size() - 2) : "", rest = r >= 0 ? inside.substr(2) : "";
    if (r >= 0) r = sd_bus_message_enter_container(reply.get(), SD_BUS_TYPE_ARRAY, element.c_str());
    while (r >= 0 && (r = sd_bus_message_enter_container(reply.get(), SD_BUS_TYPE_STRUCT, inside.c_str())) > 0) {
        std::uint16_t id = 0;
        char const* pseudo = nullptr;
        r = sd_bus_message_read(reply.get(), "qs", &id, &pseudo);
        if (r >= 0 && !rest.empty()) r = sd_bus_message_skip(reply.get(), rest.c_str());
        if (r >= 0) all.push_back({id, pseudo});
        if (r >= 0) r = sd_bus_message_exit_container(reply.get());
    }
    if (r < 0) return Error{fmt::format("nfs-ganesha doesn't list its exports: {}", error.say(r))};
    return all;
}

Result<std::string> GaneshaBus::path_of(int id) {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, service, exports_path, exports_interface, "DisplayExport", &error.e, &raw, "q", static_cast<std::uint16_t>(id));
    Message const reply(raw);
    std::uint16_t same = 0;
    char const* path = nullptr;
    if (r >= 0) r = sd_bus_message_read(reply.get(), "qs", &same, &path);
    if (r < 0) return Error{fmt::format("nfs-ganesha doesn't show export {}: {}", id, error.say(r))};
    return std::string(path);
}

Result<Done> GaneshaBus::add(std::string const& file, int id) {
    limit();
    BusError error;
    std::string const which = fmt::format("EXPORT(Export_Id={})", id);
    int const r = sd_bus_call_method(bus_, service, exports_path, exports_interface, "AddExport", &error.e, nullptr, "ss", file.c_str(), which.c_str());
    if (r < 0) return Error{fmt::format("nfs-ganesha doesn't add it: {}", error.say(r))};
    return Done{};
}

Result<Done> GaneshaBus::remove(int id) {
    limit();
    BusError error;
    int const r = sd_bus_call_method(bus_, service, exports_path, exports_interface, "RemoveExport", &error.e, nullptr, "q", static_cast<std::uint16_t>(id));
    if (r < 0) return Error{fmt::format("nfs-ganesha doesn't remove export {}: {}", id, error.say(r))};
    return Done{};
}

Result<Done> GaneshaBus::grace(std::string const& why) {
    limit();
    BusError error;
    sd_bus_message* raw = nullptr;
    int r = sd_bus_call_method(bus_, service, admin_path, admin_interface, "grace", &error.e, &raw, "s", fmt::format("{}:{}", update_clients, why).c_str());
    Message const reply(raw);
    int started = 0;
    char const* text = nullptr;
    if (r >= 0) r = sd_bus_message_read(reply.get(), "bs", &started, &text);
    if (r < 0) return Error{fmt::format("nfs-ganesha doesn't start a grace period: {}", error.say(r))};
    if (!started) return Error{fmt::format("nfs-ganesha doesn't start a grace period: {}", text)};
    return Done{};
}

bool GaneshaBus::wait_for_change(int wake_fd, int at_most_ms) {
    Instant const until = boot_now() + std::chrono::milliseconds(at_most_ms);
    for (;;) {
        int r = 1;
        while (r > 0) r = sd_bus_process(bus_, nullptr);
        if (r < 0) return false;
        if (*changed_ || ms_left(until) == 0) {
            *changed_ = false;
            return true;
        }
        pollfd fds[] = {{sd_bus_get_fd(bus_), static_cast<short>(sd_bus_get_events(bus_)), 0}, {wake_fd, POLLIN, 0}};
        if (poll(fds, 2, ms_left(until)) > 0 && fds[1].revents) return true;
    }
}

}  // namespace clusterd
