// The lab's client: asks a web server at the cluster's address every few milliseconds and says afterwards what a user would have
// seen: the longest time without an answer, the requests that got none, who answered, and any instant with two owners (owners.hpp).
// Runs in the client's namespace until SIGTERM or SIGINT, then waits for the requests still under way and writes a JSON summary.
//
//   lab-probe --address A [--port 80] [--interval-ms 5] [--timeout-ms 1000] --json FILE [--events FILE]
//             [--interface I --sample-from ADDRESS --node NAME=MAC --node NAME=MAC]
//
// The server's body is the node's name. --events: a line of JSON at each change (served by whom; silent), at once.
#include "owners.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <vector>

namespace {

using lab::NodeMac;
using Microseconds = std::int64_t;

constexpr Microseconds silent_after_us = 100'000;  // for --events
constexpr Microseconds gap_of_note_us = 30'000;    // for the summary
constexpr std::size_t gaps_listed = 100;

Microseconds now_us() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}
double ms(Microseconds us) { return static_cast<double>(us) / 1000.0; }

struct Options {
    std::string address, json, events, interface, sample_from;
    std::uint16_t port = 80;
    int interval_ms = 5, timeout_ms = 1000;
    std::vector<NodeMac> nodes;
};

struct Gap {
    Microseconds from = 0, to = 0;
    std::string before, after;  // who answered last, and first again
};

// What came of all requests; no sockets in here.
class Tally {
public:
    Tally(std::FILE* events, int interval_ms) : events_(events), gap_of_note_(std::max(gap_of_note_us, 3000 * static_cast<Microseconds>(interval_ms))) {}

    void ok(std::string const& by, Microseconds started, Microseconds when) {
        ++ok_;
        ++answered_by_[by];
        slowest_ = std::max(slowest_, when - started);
        if (ended_) return;  // it was asked before the end, and is counted; silences are looked for until then
        if (last_ok_ != 0 && when - last_ok_ >= gap_of_note_ && gaps_.size() < gaps_listed) gaps_.push_back({last_ok_, when, last_by_, by});
        if (last_ok_ != 0) blackout_ = std::max(blackout_, when - last_ok_);
        if (silent_ || by != last_by_) event(when, "served", by);
        silent_ = false;
        last_ok_ = when;
        last_by_ = by;
    }
    void lost(std::string const& why, Microseconds started) {
        ++lost_;
        ++lost_by_[why];
        if (first_lost_ == 0) first_lost_ = started;
        last_lost_ = started;
    }
    void end() { ended_ = true; }
    void tick(Microseconds when) {
        if (silent_ || when - std::max(last_ok_, started_) < std::max(silent_after_us, gap_of_note_)) return;
        silent_ = true;
        event(when, "silent", "");
    }
    void event(Microseconds when, char const* what, std::string const& by) const {
        if (!events_) return;
        std::fprintf(events_, "{\"ms\": %.3f, \"event\": \"%s\", \"by\": \"%s\"}\n", ms(when), what, by.c_str());
        std::fflush(events_);
    }
    // The requests end at `ended`; a gap that is still open then counts.
    void write(std::FILE* out, Microseconds ended, std::uint64_t sent, lab::OwnerSampler const* sampler) const {
        bool const open = last_ok_ == 0 || ended - last_ok_ >= gap_of_note_;
        Microseconds const open_for = open ? ended - std::max(last_ok_, started_) : 0;
        std::fprintf(out, "{\"started_ms\": %.3f, \"ended_ms\": %.3f, \"requests\": %llu, \"ok\": %llu, \"lost\": %llu,\n", ms(started_), ms(ended),
                     static_cast<unsigned long long>(sent), static_cast<unsigned long long>(ok_), static_cast<unsigned long long>(lost_));
        std::fprintf(out, " \"blackout_ms\": %.1f, \"served_at_the_end\": %s, \"slowest_ms\": %.1f, \"first_lost_ms\": %.3f, \"last_lost_ms\": %.3f,\n",
                     ms(std::max(blackout_, open_for)), open ? "false" : "true", ms(slowest_), ms(first_lost_), ms(last_lost_));
        counts(out, "lost_because", lost_by_);
        counts(out, "answered_by", answered_by_);
        std::fprintf(out, " \"gaps\": [");
        for (std::size_t i = 0; i < gaps_.size(); ++i)
            std::fprintf(out, "%s{\"from_ms\": %.3f, \"ms\": %.1f, \"before\": \"%s\", \"after\": \"%s\"}", i ? ", " : "", ms(gaps_[i].from),
                         ms(gaps_[i].to - gaps_[i].from), gaps_[i].before.c_str(), gaps_[i].after.c_str());
        std::fprintf(out, "],\n \"samples\": %llu, \"two_owner_instants\": %s, \"first_two_owners_ms\": %.3f, \"owners\": {",
                     sampler ? static_cast<unsigned long long>(sampler->samples()) : 0ULL,
                     sampler ? std::to_string(sampler->two_owner_instants()).c_str() : "null", sampler ? ms(sampler->first_two_us()) : 0.0);
        char const* comma = "";
        if (sampler)
            for (auto const& [name, seen] : sampler->seen()) {
                std::fprintf(out, "%s\"%s\": {\"first_ms\": %.3f, \"last_ms\": %.3f, \"samples\": %llu}", comma, name.c_str(), ms(seen.first_us),
                             ms(seen.last_us), static_cast<unsigned long long>(seen.samples));
                comma = ", ";
            }
        std::fprintf(out, "}}\n");
    }

private:
    static void counts(std::FILE* out, char const* name, std::map<std::string, std::uint64_t> const& of) {
        std::fprintf(out, " \"%s\": {", name);
        char const* comma = "";
        for (auto const& [key, count] : of) {
            std::fprintf(out, "%s\"%s\": %llu", comma, key.c_str(), static_cast<unsigned long long>(count));
            comma = ", ";
        }
        std::fprintf(out, "},\n");
    }

    std::FILE* events_;
    Microseconds const gap_of_note_;
    Microseconds started_ = now_us();
    Microseconds last_ok_ = 0, blackout_ = 0, slowest_ = 0, first_lost_ = 0, last_lost_ = 0;
    std::string last_by_;
    bool silent_ = false, ended_ = false;
    std::uint64_t ok_ = 0, lost_ = 0;
    std::map<std::string, std::uint64_t> answered_by_, lost_by_;
    std::vector<Gap> gaps_;
};

struct Request {
    int fd = -1;
    Microseconds started = 0;
    bool sent = false;
    std::string answer;
};

class Client {
public:
    Client(Options const& options, int epoll, Tally& tally) : options_(options), epoll_(epoll), tally_(tally) {
        bool const v6 = options.address.find(':') != std::string::npos;
        auto* to4 = reinterpret_cast<sockaddr_in*>(&to_);
        auto* to6 = reinterpret_cast<sockaddr_in6*>(&to_);
        to_.ss_family = v6 ? AF_INET6 : AF_INET;
        (v6 ? to6->sin6_port : to4->sin_port) = htons(options.port);
        if (inet_pton(to_.ss_family, options.address.c_str(), v6 ? static_cast<void*>(&to6->sin6_addr) : &to4->sin_addr) != 1)
            throw std::runtime_error("--address: " + options.address + " is not an address");
        size_ = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
        request_ = "GET / HTTP/1.0\r\nHost: lab\r\n\r\n";
    }

    std::uint64_t sent() const { return sent_; }
    bool idle() const { return under_way_.empty(); }

    void start() {
        ++sent_;
        Microseconds const now = now_us();
        int const fd = socket(to_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return tally_.lost(std::string("socket: ") + std::strerror(errno), now);
        if (connect(fd, reinterpret_cast<sockaddr*>(&to_), size_) < 0 && errno != EINPROGRESS) {
            tally_.lost(std::strerror(errno), now);
            close(fd);
            return;
        }
        under_way_[fd] = {fd, now, false, ""};
        epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP, {.fd = fd}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }

    void ready(int fd) {
        auto const at = under_way_.find(fd);
        if (at == under_way_.end()) return;
        Request& request = at->second;
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) return end(request, std::strerror(error));
        if (!request.sent) {
            if (send(fd, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size())) {
                if (errno == EAGAIN) return;
                return end(request, std::strerror(errno));
            }
            request.sent = true;
            epoll_event event{EPOLLIN | EPOLLRDHUP, {.fd = fd}};
            epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
            return;
        }
        char data[2048];
        while (true) {
            ssize_t const got = recv(fd, data, sizeof data, 0);
            if (got > 0) {
                request.answer.append(data, static_cast<std::size_t>(got));
                if (request.answer.size() > 65536) return end(request, "answer too long");
            } else if (got == 0) {
                return complete(request);
            } else if (errno == EAGAIN) {
                return;
            } else if (errno != EINTR) {
                return end(request, std::strerror(errno));
            }
        }
    }

    void expire() {
        Microseconds const oldest = now_us() - options_.timeout_ms * 1000;
        std::vector<Request*> late;
        for (auto& [fd, request] : under_way_)
            if (request.started < oldest) late.push_back(&request);
        for (auto* request : late) end(*request, "timed out");
    }

private:
    void complete(Request& request) {
        std::size_t const body = request.answer.find("\r\n\r\n");
        if (body == std::string::npos || request.answer.compare(0, 5, "HTTP/") != 0) return end(request, "closed without an answer");
        if (request.answer.compare(8, 5, " 200 ") != 0) return end(request, "status" + request.answer.substr(8, 4));
        std::string by;
        for (char const c : request.answer.substr(body + 4))
            if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_') by += c;
        tally_.ok(by, request.started, now_us());
        close(request.fd);
        under_way_.erase(request.fd);
    }
    void end(Request& request, std::string const& why) {
        tally_.lost(why, request.started);
        linger const at_once{1, 0};
        setsockopt(request.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(request.fd);
        under_way_.erase(request.fd);
    }

    Options const& options_;
    int epoll_;
    Tally& tally_;
    sockaddr_storage to_{};
    socklen_t size_ = 0;
    std::string request_;
    std::uint64_t sent_ = 0;
    std::map<int, Request> under_way_;
};

[[noreturn]] void usage(std::string const& wrong) {
    std::fprintf(stderr, "lab-probe: %s\nusage: lab-probe --address A [--port N] [--interval-ms N] [--timeout-ms N] --json FILE [--events FILE]\n"
                         "                 [--interface I --sample-from ADDRESS --node NAME=MAC ...]\n", wrong.c_str());
    std::exit(2);
}

int number(std::string const& name, std::string const& text, int most) {
    char* end = nullptr;
    long const value = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end || value < 1 || value > most) usage(name + ": a number from 1 to " + std::to_string(most));
    return static_cast<int>(value);
}

NodeMac node(std::string const& text) {
    NodeMac out;
    auto const equals = text.find('=');
    unsigned bytes[6];
    if (equals == std::string::npos ||
        std::sscanf(text.c_str() + equals + 1, "%2x:%2x:%2x:%2x:%2x:%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]) != 6)
        usage("--node: NAME=MAC, not " + text);
    out.name = text.substr(0, equals);
    for (std::size_t i = 0; i < 6; ++i) out.mac[i] = static_cast<std::uint8_t>(bytes[i]);
    return out;
}

Options parse(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; i += 2) {
        std::string const name = argv[i];
        if (i + 1 >= argc) usage(name + ": a value is missing");
        std::string const value = argv[i + 1];
        if (name == "--address") o.address = value;
        else if (name == "--port") o.port = static_cast<std::uint16_t>(number(name, value, 65535));
        else if (name == "--interval-ms") o.interval_ms = number(name, value, 60000);
        else if (name == "--timeout-ms") o.timeout_ms = number(name, value, 600000);
        else if (name == "--json") o.json = value;
        else if (name == "--events") o.events = value;
        else if (name == "--interface") o.interface = value;
        else if (name == "--sample-from") o.sample_from = value;
        else if (name == "--node") o.nodes.push_back(node(value));
        else usage("unknown option " + name);
    }
    if (o.address.empty() || o.json.empty()) usage("--address and --json are needed");
    if (o.interface.empty() != o.sample_from.empty()) usage("--interface and --sample-from go together");
    return o;
}

void run(Options const& options) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, nullptr);
    int const signals = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    int const timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int const epoll = epoll_create1(EPOLL_CLOEXEC);
    itimerspec const every{{options.interval_ms / 1000, options.interval_ms % 1000 * 1'000'000}, {0, 1'000'000}};
    timerfd_settime(timer, 0, &every, nullptr);

    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const events(options.events.empty() ? nullptr : std::fopen(options.events.c_str(), "we"), std::fclose);
    if (!options.events.empty() && !events) throw std::runtime_error("can't write " + options.events);
    std::unique_ptr<lab::OwnerSampler> sampler;
    if (!options.interface.empty()) sampler = std::make_unique<lab::OwnerSampler>(options.interface, options.address, options.sample_from, options.nodes);
    Tally tally(events.get(), options.interval_ms);
    Client client(options, epoll, tally);
    auto const watch = [&](int fd) {
        epoll_event event{EPOLLIN, {.fd = fd}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    };
    watch(signals);
    watch(timer);
    if (sampler) watch(sampler->fd());
    tally.event(now_us(), "started", "");

    Microseconds ended = 0;
    while (ended == 0 || !client.idle()) {
        epoll_event ready[256];
        int const count = epoll_wait(epoll, ready, 256, 1000);
        for (int i = 0; i < count; ++i) {
            int const fd = ready[i].data.fd;
            if (fd == signals) {
                signalfd_siginfo info;
                if (read(signals, &info, sizeof info) > 0 && ended == 0) {
                    ended = now_us();
                    tally.end();
                }
            } else if (fd == timer) {
                std::uint64_t ticks;  // missed ones are not made up for
                (void)!read(timer, &ticks, sizeof ticks);
                client.expire();
                if (ended != 0) continue;
                if (sampler) sampler->sample();
                client.start();
                tally.tick(now_us());
            } else if (sampler && fd == sampler->fd()) {
                sampler->receive();
            } else {
                client.ready(fd);
            }
        }
    }
    std::string const partial = options.json + ".partial";
    std::FILE* out = std::fopen(partial.c_str(), "we");
    if (!out) throw std::runtime_error("can't write " + partial);
    tally.write(out, ended, client.sent(), sampler.get());
    if (std::fclose(out) != 0 || std::rename(partial.c_str(), options.json.c_str()) != 0) throw std::runtime_error("can't write " + options.json);
}

}  // namespace

int main(int argc, char** argv) {
    Options const options = parse(argc, argv);
    rlimit const files{65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    sched_param const priority{.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR, &priority);  // where granted: the client must not be what is late
    try {
        run(options);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "lab-probe: %s\n", e.what());
        return 1;
    }
    return 0;
}
