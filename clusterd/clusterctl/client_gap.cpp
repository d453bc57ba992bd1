#include "clusterd/clusterctl/client_gap.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace clusterd::tool {

namespace {
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds pace{10}, patience{1000};
}  // namespace

struct ClientGap::Impl {
    struct Attempt {
        int fd = -1;
        Clock::time_point begun;
    };

    Impl(std::string const& host, std::uint16_t port) {
        addrinfo hints{};
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) throw std::runtime_error(host + " is no address");
        length = found->ai_addrlen;
        std::copy_n(reinterpret_cast<char const*>(found->ai_addr), length, reinterpret_cast<char*>(&to));
        freeaddrinfo(found);
        thread = std::thread([this] { run(); });
    }

    void run() {
        std::vector<Attempt> open;
        for (auto next = Clock::now(); !ending;) {
            if (Clock::now() >= next) {
                begin(open);
                next += pace;
            }
            std::vector<pollfd> fds;
            for (auto const& a : open) fds.push_back({a.fd, POLLOUT, 0});
            auto const wait = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count();
            poll(fds.data(), fds.size(), static_cast<int>(std::clamp<std::int64_t>(wait, 0, 10)));
            auto const now = Clock::now();
            for (std::size_t i = open.size(); i-- > 0;) {
                bool const done = i < fds.size() && fds[i].revents != 0;
                if (!done && now - open[i].begun < patience) continue;
                int error = 0;
                socklen_t size = sizeof error;
                if (done && getsockopt(open[i].fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) answer(open[i].begun, now);
                close(open[i].fd);
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        for (auto const& a : open) close(a.fd);
    }

    void begin(std::vector<Attempt>& open) {
        int const fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) return;
        if (connect(fd, reinterpret_cast<sockaddr const*>(&to), length) == 0 || errno == EINPROGRESS) return open.push_back({fd, Clock::now()});
        close(fd);  // refused at once, or no way there
    }

    void answer(Clock::time_point begun, Clock::time_point now) {
        std::lock_guard const lock(mutex);
        gap = std::max(gap, now - last);
        last = now;
        last_begun = std::max(last_begun, begun);
    }

    sockaddr_storage to{};
    socklen_t length = 0;
    std::atomic<bool> ending{false};
    std::mutex mutex;
    Clock::time_point last = Clock::now(), last_begun = Clock::time_point::min();
    Clock::duration gap{};
    std::thread thread;
};

ClientGap::ClientGap(std::string address, std::uint16_t port) : impl_(std::make_unique<Impl>(address, port)) {}
ClientGap::~ClientGap() {
    impl_->ending = true;
    impl_->thread.join();
}

bool ClientGap::answered_since(Clock::time_point when) const {
    std::lock_guard const lock(impl_->mutex);
    return impl_->last_begun > when;
}

std::chrono::milliseconds ClientGap::longest() {
    std::lock_guard const lock(impl_->mutex);
    auto const all = std::max(impl_->gap, Clock::now() - impl_->last);
    impl_->gap = {};
    return std::chrono::duration_cast<std::chrono::milliseconds>(all);
}

}  // namespace clusterd::tool
