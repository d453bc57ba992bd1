// See world.hpp.
#include "world.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace clusterd::test {
namespace {

constexpr std::uint16_t echo_port = 7;

[[noreturn]] void fail(std::string const& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

void shell(std::string const& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};
SocketAddress socket_address(std::string const& text) {
    SocketAddress out;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(echo_port);
        out.size = sizeof *v4;
    } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(echo_port);
        out.size = sizeof *v6;
    }
    return out;
}

bool readable(int fd, Duration limit) {
    pollfd entry{fd, POLLIN, 0};
    return poll(&entry, 1, static_cast<int>(to_ms(limit))) > 0;
}

}  // namespace

Instant boot_now() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return {now.tv_sec * 1'000'000'000 + now.tv_nsec};
}

// ---- the loop

struct PollLoop::Watch : Loop::Handle {
    Watch(PollLoop& the_loop, std::uint64_t the_id) : loop(the_loop), id(the_id) {}
    ~Watch() override { loop.entries_.erase(id); }
    PollLoop& loop;
    std::uint64_t id;
};
Loop::HandlePtr PollLoop::add(Entry entry) {
    auto const id = next_++;
    entries_[id] = std::make_shared<Entry>(std::move(entry));
    return std::make_unique<Watch>(*this, id);
}
Loop::HandlePtr PollLoop::on_readable(int fd, std::function<void()> ready) { return add({fd, POLLIN, forever, std::move(ready)}); }
Loop::HandlePtr PollLoop::on_writable(int fd, std::function<void()> ready) { return add({fd, POLLOUT, forever, std::move(ready)}); }
Loop::HandlePtr PollLoop::at(Instant when, std::function<void()> due) { return add({-1, 0, when, std::move(due)}); }
void PollLoop::post(std::function<void()> work) { posted_.push_back(std::move(work)); }

void PollLoop::step(Instant until) {
    auto const work = std::exchange(posted_, {});
    for (auto const& each : work) each();
    auto const entries = entries_;  // callbacks add and remove
    std::vector<pollfd> fds;
    std::vector<std::uint64_t> ids;
    for (auto const& [id, entry] : entries) {
        until = std::min(until, entry->when);
        if (entry->fd < 0) continue;
        fds.push_back({entry->fd, entry->events, 0});
        ids.push_back(id);
    }
    Duration const wait = posted_.empty() ? std::max(until - boot_now(), Duration{0}) : Duration{0};
    timespec const timeout{wait.count() / 1'000'000'000, wait.count() % 1'000'000'000};
    if (ppoll(fds.data(), fds.size(), &timeout, nullptr) < 0 && errno != EINTR) fail("poll");
    for (std::size_t i = 0; i < fds.size(); ++i)
        if (fds[i].revents != 0)
            if (auto const at = entries_.find(ids[i]); at != entries_.end()) {
                auto const entry = at->second;
                entry->call();
            }
    for (auto const& [id, entry] : entries) {
        if (entry->fd >= 0 || entry->when > boot_now() || !entries_.contains(id)) continue;
        entry->when = forever;
        entry->call();
    }
}

bool PollLoop::run_until(std::function<bool()> const& done, Duration limit) {
    Instant const end = boot_now() + limit;
    while (!done()) {
        if (boot_now() >= end) return false;
        step(end);
    }
    return true;
}

// ---- the client

ClientThread::ClientThread() : thread_([this] { loop(); }) {
    while (id_ == 0) std::this_thread::yield();
}
ClientThread::~ClientThread() {
    {
        std::lock_guard const lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}
void ClientThread::run(std::function<void()> work) {
    std::exception_ptr thrown;
    std::unique_lock lock(mutex_);
    work_ = [&] {
        try {
            work();
        } catch (...) {
            thrown = std::current_exception();
        }
    };
    changed_.notify_all();
    changed_.wait(lock, [this] { return !work_; });
    if (thrown) std::rethrow_exception(thrown);
}
void ClientThread::loop() {
    if (unshare(CLONE_NEWNET) != 0) std::abort();
    id_ = static_cast<pid_t>(syscall(SYS_gettid));
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return ending_ || work_; });
        if (ending_) return;
        work_();
        work_ = nullptr;
        changed_.notify_all();
    }
}

// ---- the server

EchoServer::EchoServer() : udp_(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)), tcp_(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)),
                           stop_(eventfd(0, EFD_CLOEXEC)) {
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(echo_port);
    int const on = 1;
    setsockopt(udp_, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);  // answers come from the address that was asked
    if (bind(udp_, reinterpret_cast<sockaddr*>(&any), sizeof any) < 0 || bind(tcp_, reinterpret_cast<sockaddr*>(&any), sizeof any) < 0 ||
        listen(tcp_, 8) < 0)
        fail("echo server");
    thread_ = std::thread([this] { serve(); });
}
EchoServer::~EchoServer() {
    std::uint64_t const one = 1;
    (void)!write(stop_, &one, sizeof one);
    thread_.join();
    for (int const fd : {udp_, tcp_, stop_}) close(fd);
}
void EchoServer::serve() {
    std::vector<int> connections;
    while (true) {
        std::vector<pollfd> fds{{stop_, POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
        for (int const fd : connections) fds.push_back({fd, POLLIN, 0});
        poll(fds.data(), fds.size(), -1);
        if (fds[0].revents) break;
        if (fds[1].revents) {
            char data[64], control[256];
            sockaddr_in6 from{};
            iovec part{data, sizeof data};
            msghdr message{&from, sizeof from, &part, 1, control, sizeof control, 0};
            ssize_t const got = recvmsg(udp_, &message, 0);
            if (got > 0) {
                part.iov_len = static_cast<std::size_t>(got);
                // The control message says where it arrived: as an answer's, it says where from. Without the interface, though.
                for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
                    if (c->cmsg_type == IPV6_PKTINFO) reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c))->ipi6_ifindex = 0;
                (void)sendmsg(udp_, &message, MSG_DONTWAIT);  // EPERM: the gate is closed
            }
        }
        if (fds[2].revents)
            if (int const fd = accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) connections.push_back(fd);
        for (std::size_t i = 3; i < fds.size(); ++i) {
            char byte;
            if (fds[i].revents && recv(fds[i].fd, &byte, 1, MSG_DONTWAIT) == 1) (void)!send(fds[i].fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
    for (int const fd : connections) close(fd);
}

// ---- the world

bool World::possible() { return geteuid() == 0; }

World::World() : original_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (original_ < 0 || unshare(CLONE_NEWNET) != 0) fail("unshare");
    node("ip link set lo up");
    node("ip link add clg-n type veth peer name clg-c netns " + std::to_string(client_.id()));
    for (char const* address : {"10.91.0.1/24", "10.91.0.100/24", "10.91.0.101/24", "fd91::1/64", "fd91::100/64"})
        node(std::string("ip address add ") + address + " dev clg-n" + (std::strchr(address, ':') ? " nodad" : ""));
    node("ip link set clg-n up");
    client("ip link set lo up; ip address add 10.91.0.9/24 dev clg-c; ip address add fd91::9/64 dev clg-c nodad; ip link set clg-c up");
    // What the gate didn't answer is asked again soon, not after a second.
    client("for v in 4 6; do echo 20 >/proc/sys/net/ipv$v/neigh/clg-c/retrans_time_ms; done");
    server_ = std::make_unique<EchoServer>();
    // Neighbours known from the start: what the tests look at is the gate, not how long resolution takes.
    Instant const limit = boot_now() + std::chrono::seconds(10);
    while (!(answers("10.91.0.1") && answers("fd91::1")))
        if (boot_now() > limit) throw std::runtime_error("the test's own network doesn't work");
}
World::~World() {
    server_.reset();
    (void)std::system("ip link delete clg-n 2>/dev/null");
    if (setns(original_, CLONE_NEWNET) != 0) std::abort();
    close(original_);
}
void World::node(std::string const& command) { shell(command); }
void World::client(std::string const& command) {
    client_.run([&] { shell(command); });
}

bool World::answers(std::string const& address, Duration limit) {
    bool got = false;
    client_.run([&] {
        auto const to = socket_address(address);
        int const fd = socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ::connect(fd, reinterpret_cast<sockaddr const*>(&to.storage), to.size);
        (void)!send(fd, "?", 1, 0);
        char byte;
        got = readable(fd, limit) && recv(fd, &byte, 1, 0) == 1;
        close(fd);
    });
    return got;
}

bool World::comes_to_answer(std::string const& address) {
    Instant const end = boot_now() + std::chrono::seconds(10);
    while (boot_now() < end)
        if (answers(address)) return true;
    return false;
}

bool World::answers_arp(std::string const& address, Duration limit) {
    bool got = false;
    client_.run([&] {
        int const fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_protocol = htons(ETH_P_ARP);
        to.sll_ifindex = static_cast<int>(if_nametoindex("clg-c"));
        to.sll_halen = 6;
        std::memset(to.sll_addr, 0xff, 6);
        ether_arp request{};
        request.ea_hdr = {htons(1), htons(ETH_P_IP), 6, 4, htons(ARPOP_REQUEST)};
        ifreq own{};
        std::strcpy(own.ifr_name, "clg-c");
        if (ioctl(fd, SIOCGIFHWADDR, &own) != 0) fail("SIOCGIFHWADDR");
        std::memcpy(request.arp_sha, own.ifr_hwaddr.sa_data, 6);
        inet_pton(AF_INET, "10.91.0.9", request.arp_spa);
        inet_pton(AF_INET, address.c_str(), request.arp_tpa);
        sendto(fd, &request, sizeof request, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
        Instant const end = boot_now() + limit;
        while (!got && boot_now() < end && readable(fd, std::max(end - boot_now(), Duration{1'000'000}))) {
            ether_arp answer{};
            got = recv(fd, &answer, sizeof answer, 0) == sizeof answer && answer.ea_hdr.ar_op == htons(ARPOP_REPLY) &&
                  std::memcmp(answer.arp_spa, request.arp_tpa, 4) == 0;
        }
        close(fd);
    });
    return got;
}

Instant World::last_answer(std::string const& address, Duration duration) {
    Instant last = long_ago;
    client_.run([&] {
        auto const to = socket_address(address);
        int const fd = socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int const on = 1;
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        ::connect(fd, reinterpret_cast<sockaddr const*>(&to.storage), to.size);
        Instant const end = boot_now() + duration;
        while (boot_now() < end) {
            (void)!send(fd, "?", 1, MSG_DONTWAIT);
            if (!readable(fd, std::chrono::milliseconds(1))) continue;
            char data[16], control[256];
            iovec part{data, sizeof data};
            msghdr message{nullptr, 0, &part, 1, control, sizeof control, 0};
            if (recvmsg(fd, &message, 0) <= 0) continue;
            for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
                timespec stamp{}, wall{};
                std::memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
                clock_gettime(CLOCK_REALTIME, &wall);
                std::int64_t const age = (wall.tv_sec - stamp.tv_sec) * 1'000'000'000 + (wall.tv_nsec - stamp.tv_nsec);
                last = boot_now() - Duration{age};
            }
        }
        close(fd);
    });
    return last;
}

int World::connect(std::string const& address) {
    int fd = -1;
    client_.run([&] {
        auto const to = socket_address(address);
        fd = socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int const on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(fd, reinterpret_cast<sockaddr const*>(&to.storage), to.size) != 0) {
            close(fd);
            fd = -1;
        }
    });
    return fd;
}

bool World::echoes(int connection, Duration limit) {
    char byte = '?';
    if (send(connection, &byte, 1, MSG_NOSIGNAL) != 1) return false;
    return readable(connection, limit) && recv(connection, &byte, 1, 0) == 1;
}

}  // namespace clusterd::test
