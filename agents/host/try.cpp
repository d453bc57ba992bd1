// See try.hpp.
#include "agents/host/try.hpp"

#include "agents/agent.hpp"
#include "agents/text.hpp"
#include "clusterd/wire/status.hpp"
#include "config/parse.hpp"
#include "config/types.hpp"
#include "resources/clock.hpp"
#include "resources/guard_events.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace clusterd {
namespace {

// Stands in for the guard: starts one program after the other, and tells its end.
class LocalGuard final : public GuardClient {
public:
    explicit LocalGuard(GuardEvents& events) : events_(events) {}
    ~LocalGuard() override {
        for (std::thread& t : waiters_) t.join();
    }
    Result<pid_t> spawn(SpawnRequest const& request) override {
        int errors[2];
        if (pipe2(errors, O_CLOEXEC) != 0) return Error{"no pipe"};
        pid_t const pid = fork();
        if (pid == 0) {
            setpgid(0, 0);
            dup2(request.output_fd, 1);
            dup2(request.output_fd, 2);
            std::vector<std::string> env{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"};
            env.insert(env.end(), request.env.begin(), request.env.end());
            std::vector<char*> argv, envp;
            for (auto const& a : request.argv) argv.push_back(const_cast<char*>(a.c_str()));
            for (auto const& e : env) envp.push_back(const_cast<char*>(e.c_str()));
            argv.push_back(nullptr);
            envp.push_back(nullptr);
            execvpe(argv[0], argv.data(), envp.data());
            int const e = errno;
            [[maybe_unused]] ssize_t const n = write(errors[1], &e, sizeof e);
            _exit(127);
        }
        close(errors[1]);
        int error = pid < 0 ? errno : 0;
        bool const failed = pid < 0 || read(errors[0], &error, sizeof error) > 0;
        close(errors[0]);
        if (failed) {
            if (pid > 0) waitpid(pid, nullptr, 0);
            return Error{std::strerror(error)};
        }
        pid_ = pid;
        waiters_.emplace_back([this, pid, resource = request.resource, role = request.role] {
            GuardEvent event;
            event.kind = GuardEvent::Kind::exited;
            event.process = {resource, role, pid, false, 0};
            waitpid(pid, &event.process.wait_status, 0);
            events_.dispatch(event);
        });
        return pid;
    }
    Result<Done> signal(std::string const&, std::string const&, int number) override {
        kill(-pid_, number);
        return Done{};
    }

private:
    GuardEvents& events_;
    pid_t pid_ = 0;
    std::vector<std::thread> waiters_;
};

std::string escaped(std::string_view value) {
    std::string out;
    for (char const c : value) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '"': out += "&quot;"; break;
            case '\n': out += "&#10;"; break;
            default: out += c;
        }
    }
    return out;
}

std::string known_agents() {
    std::string names;
    for (TypeInfo const& a : agents()) names += (names.empty() ? "" : ", ") + std::string(a.name);
    return names;
}

// The same words as in cluster.xml, checked by the same rules: as the only check of a file that holds nothing else.
ParseResult parse(std::string const& type, std::vector<std::string> const& words, std::vector<std::string>& wrong) {
    std::string attributes;
    for (std::string const& w : words) {
        std::size_t const at = w.find('=');
        if (at == 0 || at == std::string::npos)
            wrong.push_back(fmt::format("'{}': NAME=VALUE is expected, as in: clusterctl agent try tcp address=10.0.0.100 port=80", one_line(w, 100)));
        else
            attributes += fmt::format(" {}=\"{}\"", w.substr(0, at), escaped(w.substr(at + 1)));
    }
    return parse_config(fmt::format(R"(<cluster name="try"><node name="node-a"><link address="192.0.2.1"/></node><node name="node-b"><link address="192.0.2.2"/></node>
<quorum disk="/q"/><group name="group"><dummy name="resource"><health type="{}"{}/></dummy></group></cluster>)",
                                    escaped(type), attributes),
                        "try");
}

void print(std::string const& type, CheckOutcome const& outcome, Duration took, bool json) {
    double const ms = static_cast<double>(took.count()) / 1e6;
    if (json)
        fmt::print("{}\n", boost::json::serialize(boost::json::object{
                               {"type", type}, {"result", std::string(spell(outcome.result))}, {"message", outcome.message}, {"latency_us", took.count() / 1000}}));
    else
        fmt::print("{:<8}  {}  ({:.1f} ms)\n", spell(outcome.result), outcome.message.empty() ? "-" : outcome.message, ms);
}

}  // namespace

int try_agent(std::vector<std::string> const& words, bool json) {
    auto const say = [](std::string const& text) { fmt::print(stderr, "clusterctl: {}\n", text); };
    if (words.empty()) return say("which agent? known are: " + known_agents()), 2;
    std::string const& type = words.front();
    if (!find_agent(type)) return say(fmt::format("there is no health agent \"{}\"; known are: {}", one_line(type, 50), known_agents())), 2;
    if (type == "process") return say("the agent process counts a resource's processes: it can't be tried without one; see clusterctl status"), 2;
    std::vector<std::string> wrong;
    ParseResult const parsed = parse(type, {words.begin() + 1, words.end()}, wrong);
    for (auto const& p : parsed.problems)
        if (!p.warning) wrong.push_back(p.message);
    if (!wrong.empty()) {
        for (auto const& w : wrong) say(w);
        say(fmt::format("what it takes: clusterctl show type {}", type));
        return 2;
    }
    ResourceSpec const& resource = parsed.spec->groups.at(0).resources.at(0);
    HealthSpec const& health = resource.health.at(0);
    std::signal(SIGPIPE, SIG_IGN);
    GuardEvents events;
    LocalGuard guard(events);
    auto const agent = make_agent(health, resource, guard, events);
    Instant const begun = boot_now();
    CheckOutcome const outcome = agent->check(begun + health.timeout);
    print(type, outcome, boot_now() - begun, json);
    return outcome.result == Health::ok || outcome.result == Health::degraded ? 0 : 1;
}

}  // namespace clusterd
