// A systemd for tests, as far as the driver `service` asks one: org.freedesktop.systemd1 on a socket of its own, with one unit. One thread
// serves all connections; the test looks and pulls strings under its mutex.
#pragma once

#include <systemd/sd-bus.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace clusterd {

class FakeSystemd {
public:
    static constexpr char unit_path[] = "/org/freedesktop/systemd1/unit/web_2eservice";

    explicit FakeSystemd(std::string const& folder) : socket_(folder + "/systemd") {
        listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, socket_.c_str(), sizeof at.sun_path - 1);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(listener_, 8) != 0) throw std::runtime_error("no socket");
        wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        setenv("CLUSTERD_SYSTEMD_ADDRESS", ("unix:path=" + socket_).c_str(), 1);
        thread_ = std::thread([this] { run(); });
    }
    ~FakeSystemd() {
        post([this] { ended_ = true; });
        thread_.join();
        close(listener_);
        close(wake_);
        unsetenv("CLUSTERD_SYSTEMD_ADDRESS");
    }

    // What the unit is; read and set under `mutex`.
    std::mutex mutex;
    std::map<std::string, std::string> is{{"LoadState", "loaded"}, {"ActiveState", "inactive"}, {"SubState", "dead"}, {"UnitFileState", "disabled"},
                                          {"Result", "success"}, {"ControlGroup", ""}, {"Slice", "system.slice"}};
    int main_code = CLD_EXITED, main_status = 0;
    std::vector<std::string> calls;  // members of the manager, in order
    bool starts = true, stops = true, answers_jobs = true;

    std::string get(std::string const& property) {
        std::lock_guard lock(mutex);
        return is[property];
    }
    bool was_called(std::string const& member) {
        std::lock_guard lock(mutex);
        return std::find(calls.begin(), calls.end(), member) != calls.end();
    }
    // The unit ends by itself, and everyone hears of it.
    void dies(std::string const& result, int status, int code = CLD_EXITED) {
        post([this, result, status, code] {
            {
                std::lock_guard lock(mutex);
                is["ActiveState"] = "failed", is["SubState"] = "failed", is["Result"] = result, is["ControlGroup"] = "";
                main_code = code, main_status = status;
            }
            tell_changed();
        });
    }
    void cut_connections() {
        post([this] {
            for (sd_bus* bus : buses_) sd_bus_close_unref(bus);
            buses_.clear();
        });
    }

private:
    void post(std::function<void()> work) {
        {
            std::lock_guard lock(mutex);
            posted_.push_back(std::move(work));
        }
        std::uint64_t const one = 1;
        [[maybe_unused]] ssize_t const n = write(wake_, &one, sizeof one);
    }
    void run() {
        while (!ended_) {
            std::vector<pollfd> fds{{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
            for (sd_bus* bus : buses_) fds.push_back({sd_bus_get_fd(bus), static_cast<short>(sd_bus_get_events(bus)), 0});
            poll(fds.data(), fds.size(), -1);
            if (fds[0].revents) take(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            std::uint64_t times;
            [[maybe_unused]] ssize_t const n = read(wake_, &times, sizeof times);
            for (auto& work : taken()) work();
            for (std::size_t i = 0; i < buses_.size();) {
                int r = 1;
                while (r > 0) r = sd_bus_process(buses_[i], nullptr);
                if (r < 0) {
                    sd_bus_close_unref(buses_[i]);
                    buses_.erase(buses_.begin() + static_cast<std::ptrdiff_t>(i));
                } else {
                    ++i;
                }
            }
        }
        for (sd_bus* bus : buses_) sd_bus_close_unref(bus);
    }
    std::vector<std::function<void()>> taken() {
        std::lock_guard lock(mutex);
        return std::exchange(posted_, {});
    }
    void take(int fd) {
        sd_bus* bus = nullptr;
        sd_id128_t id{};
        id.qwords[0] = 1;
        if (fd < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_set_server(bus, 1, id) < 0 || sd_bus_set_anonymous(bus, 1) < 0 ||
            sd_bus_start(bus) < 0 || sd_bus_add_object(bus, nullptr, "/org/freedesktop/systemd1", on_manager, this) < 0 ||
            sd_bus_add_object(bus, nullptr, unit_path, on_unit, this) < 0)
            throw std::runtime_error("no bus");
        buses_.push_back(bus);
    }
    void tell_changed() {
        for (sd_bus* bus : buses_)
            sd_bus_emit_signal(bus, unit_path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", "org.freedesktop.systemd1.Unit", 0, 0);
    }
    void begin_job(std::string const& member) {
        post([this, member] {
            bool const start = member == "StartUnit";
            bool done = false, silent = false;
            {
                std::lock_guard lock(mutex);
                done = start ? starts : stops;
                silent = !answers_jobs;
                if (silent) return;
                bool const stays = !start && (!done || is["ActiveState"] == "failed");  // until ResetFailedUnit
                if (!stays) is["ActiveState"] = start ? (done ? "active" : "failed") : "inactive";
                is["SubState"] = start && done ? "running" : "dead";
                is["ControlGroup"] = start && done ? "/system.slice/web.service" : "";
                if (start && !done) is["Result"] = "exit-code", main_code = CLD_EXITED, main_status = 3;
            }
            tell_changed();
            for (sd_bus* bus : buses_)
                sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 7u,
                                   "/org/freedesktop/systemd1/job/7", "web.service", done ? "done" : "failed");
        });
    }
    static int on_manager(sd_bus_message* m, void* self, sd_bus_error*) {
        auto* const s = static_cast<FakeSystemd*>(self);
        std::string const member = sd_bus_message_get_member(m);
        {
            std::lock_guard lock(s->mutex);
            s->calls.push_back(member);
        }
        if (member == "LoadUnit") return sd_bus_reply_method_return(m, "o", unit_path);
        if (member != "StartUnit" && member != "StopUnit") return sd_bus_reply_method_return(m, nullptr);
        s->begin_job(member);
        return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/7");
    }
    static int on_unit(sd_bus_message* m, void* self, sd_bus_error*) {
        auto* const s = static_cast<FakeSystemd*>(self);
        char const *interface = nullptr, *property = nullptr;
        if (sd_bus_message_read(m, "ss", &interface, &property) < 0) return -EINVAL;
        std::string const name = property;
        std::lock_guard lock(s->mutex);
        if (name == "Job") return sd_bus_reply_method_return(m, "v", "(uo)", 0u, "/");
        if (name == "ExecMainCode") return sd_bus_reply_method_return(m, "v", "i", s->main_code);
        if (name == "ExecMainStatus") return sd_bus_reply_method_return(m, "v", "i", s->main_status);
        return sd_bus_reply_method_return(m, "v", "s", s->is[name].c_str());
    }

    std::string const socket_;
    int listener_ = -1, wake_ = -1;
    bool ended_ = false;  // of the thread
    std::vector<sd_bus*> buses_;
    std::vector<std::function<void()>> posted_;  // mutex
    std::thread thread_;
};

}  // namespace clusterd
