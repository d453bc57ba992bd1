// See pressure.hpp.
#include "agents/pressure.hpp"

#include "resources/attributes.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace clusterd {
namespace {

struct Limits {
    int degraded, failed;  // 0: never
    Health of(double value) const {
        if (failed > 0 && value >= failed) return Health::failed;
        return degraded > 0 && value >= degraded ? Health::degraded : Health::ok;
    }
};

class Pressure final : public Agent {
public:
    explicit Pressure(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        of_ = attributes.text("of");
        limits_ = {attributes.number("degraded", 60), attributes.number("failed", 0)};
    }

    // /proc/pressure/cpu starts with: some avg10=0.12 avg60=0.08 avg300=0.02 total=12345 (Documentation/accounting/psi.rst)
    CheckOutcome check(Instant) override {
        std::string const path = "/proc/pressure/" + of_;
        char text[256] = {};
        int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        ssize_t const n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        int const error = errno;
        if (fd >= 0) close(fd);
        if (n < 0) return {Health::unknown, fmt::format("{}: {}; does this kernel count pressure (psi=1)?", path, std::strerror(error))};
        char const* const avg = std::strstr(text, "some avg10=");
        if (!avg) return {Health::unknown, path + ": no avg10 in it"};
        double const percent = std::strtod(avg + std::strlen("some avg10="), nullptr);
        return {limits_.of(percent), fmt::format("{:.0f} % of the last 10 s something waited for {}", percent, of_ == "cpu" ? "a CPU" : of_ == "io" ? "a disk" : "memory")};
    }

private:
    std::string of_;
    Limits limits_{};
};

class Load final : public Agent {
public:
    explicit Load(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        limits_ = {attributes.number("degraded", 400), attributes.number("failed", 0)};
    }

    CheckOutcome check(Instant) override {
        double load = 0;
        long const cpus = sysconf(_SC_NPROCESSORS_ONLN);
        if (getloadavg(&load, 1) != 1 || cpus < 1) return {Health::unknown, "the load can't be asked"};
        double const percent = 100 * load / static_cast<double>(cpus);
        return {limits_.of(percent), fmt::format("load {:.2f} on {} CPUs, {:.0f} %", load, cpus, percent)};
    }

private:
    Limits limits_{};
};

}  // namespace

AgentPtr make_pressure_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Pressure>(health);
}
AgentPtr make_load_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Load>(health);
}

}  // namespace clusterd
