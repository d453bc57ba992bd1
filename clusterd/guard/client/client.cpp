// GuardClient: requests with ids, answers matched to them by a reader thread, which also hands out the guard's events.
#include "clusterd/guard/client/client.hpp"

#include "clusterd/guard/protocol.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

namespace clusterd {

using guard::Header;
using guard::Message;
using guard::Packer;
using guard::Unpacker;

namespace {

struct Answer {
    bool failed = false;
    std::string error;
    std::vector<char> payload;
    int fd = -1;
};

struct Waiting {
    std::condition_variable came;
    bool done = false;
    Answer answer;
};

}  // namespace

struct GuardClient::Impl {
    int fd = -1;
    int stop_fd = -1;
    std::function<void(GuardEvent)> on_event;
    std::mutex mutex;  // guards what follows
    std::map<std::uint64_t, Waiting*> waiting;
    std::uint64_t last_id = 0;
    bool closed = false;
    std::thread reader;

    // A request being put together; `fits` is false once it is too large.
    struct Request {
        std::vector<char> buffer = std::vector<char>(guard::max_packet);
        Packer p{buffer.data(), buffer.size()};
    };

    bool send(Request const& request, int pass_fd, bool may_wait = true) {
        iovec io{const_cast<char*>(request.buffer.data()), request.p.size};
        msghdr message{};
        message.msg_iov = &io;
        message.msg_iovlen = 1;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        if (pass_fd >= 0) {
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            cmsghdr* c = CMSG_FIRSTHDR(&message);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
        }
        ssize_t n;
        do n = sendmsg(fd, &message, MSG_NOSIGNAL | (may_wait ? 0 : MSG_DONTWAIT));
        while (n < 0 && errno == EINTR);
        return n >= 0;
    }

    void tell(Message message, std::string const& text = {}) {
        Request request;
        request.p.header(message, 0);
        if (message == Message::status_line) request.p.text(text.substr(0, 400).c_str());
        // Of these two the next one says as much, and the worker's loop must not wait for a guard that was stopped.
        send(request, -1, message != Message::status_line && message != Message::permit_began);
    }

    // `fill` puts the fields in.
    template <class Fill>
    Answer ask(Message message, Fill fill, int pass_fd = -1) {
        Waiting mine;
        std::uint64_t id;
        {
            std::lock_guard lock(mutex);
            if (closed) return {true, "the guard has closed the connection", {}, -1};
            id = ++last_id;
            waiting[id] = &mine;
        }
        Request request;
        request.p.header(message, id);
        fill(request.p);
        std::string error;
        if (!request.p.ok)
            error = fmt::format("the request is larger than {} bytes", guard::max_payload);
        else if (!send(request, pass_fd))
            error = fmt::format("the guard can't be reached: {}", std::strerror(errno));
        std::unique_lock lock(mutex);
        if (!error.empty()) {
            waiting.erase(id);
            return {true, error, {}, -1};
        }
        mine.came.wait(lock, [&] { return mine.done; });
        return std::move(mine.answer);
    }

    void take_answer(Header const& header, Unpacker& u, int passed) {
        Answer answer;
        answer.fd = passed;
        answer.failed = header.result != 0;
        if (answer.failed)
            answer.error = u.text();
        else
            answer.payload.assign(u.data + u.at, u.data + u.size);
        std::lock_guard lock(mutex);
        auto const found = waiting.find(header.id);
        if (found == waiting.end()) {
            if (passed >= 0) ::close(passed);
            return;
        }
        found->second->answer = std::move(answer);
        found->second->done = true;
        found->second->came.notify_one();
        waiting.erase(found);
    }

    void take_event(Header const& header, Unpacker& u) {
        GuardEvent event;
        switch (static_cast<Message>(header.message)) {
            case Message::exited:
                event.kind = GuardEvent::Kind::exited;
                event.process.resource = u.text();
                event.process.role = u.text();
                event.process.pid = u.signed_number();
                event.process.wait_status = u.signed_number();
                break;
            case Message::leave:
                event.kind = GuardEvent::Kind::leave;
                break;
            case Message::host_gone:
                event.kind = GuardEvent::Kind::host_gone;
                event.host = u.text();
                break;
            case Message::emergency_done:
                event.kind = GuardEvent::Kind::emergency_done;
                event.proven = u.number() != 0;
                event.message = u.text();
                break;
            default:
                return;
        }
        if (u.ok) on_event(std::move(event));
    }

    void close_all() {
        std::lock_guard lock(mutex);
        closed = true;
        for (auto& [id, one] : waiting) {
            one->answer = {true, "the guard has closed the connection", {}, -1};
            one->done = true;
            one->came.notify_one();
        }
        waiting.clear();
    }

    // False: the guard is gone.
    bool read_one(std::vector<char>& buffer) {
        iovec io{buffer.data(), buffer.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        msghdr message{};
        message.msg_iov = &io;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t const n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
        if (n <= 0) return false;
        int passed = -1;
        if (cmsghdr const* c = CMSG_FIRSTHDR(&message); c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            std::memcpy(&passed, CMSG_DATA(c), sizeof passed);
        Unpacker u{buffer.data(), static_cast<std::size_t>(n)};
        Header header;
        if (!u.header(header)) {
            if (passed >= 0) ::close(passed);
            return true;
        }
        if (header.message == static_cast<std::uint16_t>(Message::answer))
            take_answer(header, u, passed);
        else
            take_event(header, u);
        return true;
    }

    void read_all() {
        std::vector<char> buffer(guard::max_packet);
        for (;;) {
            pollfd both[2] = {{fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
            if (poll(both, 2, -1) < 0 && errno != EINTR) break;
            if (both[1].revents) {
                close_all();
                return;
            }
            if (both[0].revents && !read_one(buffer)) break;
        }
        close_all();
        on_event({});  // closed
    }
};

namespace {

Result<Done> done_or_error(Answer answer) {
    if (answer.fd >= 0) ::close(answer.fd);
    if (answer.failed) return Error{answer.error};
    return Done{};
}

Result<int> number_or_error(Answer const& answer) {
    if (answer.failed) return Error{answer.error};
    Unpacker u{answer.payload.data(), answer.payload.size()};
    std::uint32_t const n = u.number();
    if (!u.complete()) return Error{"the guard's answer doesn't parse"};
    return static_cast<int>(n);
}

void put_strings(Packer& p, std::vector<std::string> const& strings) {
    p.number(static_cast<std::uint32_t>(strings.size()));
    for (auto const& s : strings) p.text(s.c_str());
}

}  // namespace

GuardClient::GuardClient(int fd, std::function<void(GuardEvent)> on_event) : impl_(std::make_unique<Impl>()) {
    impl_->fd = fd;
    impl_->stop_fd = eventfd(0, EFD_CLOEXEC);
    impl_->on_event = on_event ? std::move(on_event) : [](GuardEvent) {};
    impl_->reader = std::thread([impl = impl_.get()] { impl->read_all(); });
}

GuardClient::GuardClient() = default;

GuardClient::~GuardClient() {
    if (!impl_) return;
    std::uint64_t const one = 1;
    (void)!::write(impl_->stop_fd, &one, sizeof one);
    impl_->reader.join();
    ::close(impl_->stop_fd);
    ::close(impl_->fd);
}

Result<pid_t> GuardClient::spawn(SpawnRequest const& request) {
    for (auto const* strings : {&request.argv, &request.env}) {
        if (strings->size() > guard::max_arguments)
            return Error{fmt::format("resource {}: {} arguments or variables, at most {} can be given", request.resource,
                                     strings->size(), guard::max_arguments)};
        for (auto const& s : *strings)
            if (s.find('\0') != std::string::npos)
                return Error{fmt::format("resource {}: an argument or variable contains a NUL", request.resource)};
    }
    return number_or_error(impl_->ask(
        Message::spawn,
        [&](Packer& p) {
            p.text(request.resource.c_str());
            p.text(request.role.c_str());
            p.text(request.working_directory.c_str());
            p.text(request.user.c_str());
            p.number(request.output_fd >= 0 ? 1 : 0);
            put_strings(p, request.argv);
            put_strings(p, request.env);
        },
        request.output_fd));
}

Result<Done> GuardClient::signal(std::string const& resource, std::string const& role, int signal) {
    return done_or_error(impl_->ask(Message::signal, [&](Packer& p) {
        p.text(resource.c_str());
        p.text(role.c_str());
        p.signed_number(signal);
    }));
}

Result<int> GuardClient::kill_all(std::string const& resource) {
    return number_or_error(impl_->ask(Message::kill_all, [&](Packer& p) { p.text(resource.c_str()); }));
}

Result<std::vector<ProcessInfo>> GuardClient::processes(std::string const& resource) {
    Answer const answer = impl_->ask(Message::processes, [&](Packer& p) { p.text(resource.c_str()); });
    if (answer.failed) return Error{answer.error};
    Unpacker u{answer.payload.data(), answer.payload.size()};
    std::vector<ProcessInfo> result;
    for (std::uint32_t n = u.number(); n > 0 && u.ok; --n) {
        ProcessInfo process;
        process.resource = resource;
        process.role = u.text();
        process.pid = u.signed_number();
        process.running = u.number() != 0;
        process.wait_status = u.signed_number();
        result.push_back(std::move(process));
    }
    if (!u.complete()) return Error{"the guard's answer doesn't parse"};
    return result;
}

Result<int> GuardClient::count(std::string const& resource) {
    return number_or_error(impl_->ask(Message::count, [&](Packer& p) { p.text(resource.c_str()); }));
}

Result<Done> GuardClient::own_address(std::string const& resource, std::string const& address_with_prefix,
                                      std::string const& interface) {
    return done_or_error(impl_->ask(Message::own_address, [&](Packer& p) {
        p.text(resource.c_str());
        p.text(address_with_prefix.c_str());
        p.text(interface.c_str());
    }));
}

Result<Done> GuardClient::disown_address(std::string const& resource, std::string const& address_with_prefix,
                                         std::string const& interface) {
    return done_or_error(impl_->ask(Message::disown_address, [&](Packer& p) {
        p.text(resource.c_str());
        p.text(address_with_prefix.c_str());
        p.text(interface.c_str());
    }));
}

Result<Done> GuardClient::own_cgroup(std::string const& resource, std::string const& path, bool to_start) {
    return done_or_error(impl_->ask(Message::own_cgroup, [&](Packer& p) {
        p.text(resource.c_str());
        p.text(path.c_str());
        p.number(to_start ? 1 : 0);
    }));
}

Result<Done> GuardClient::disown_cgroup(std::string const& resource, std::string const& path) {
    return done_or_error(impl_->ask(Message::disown_cgroup, [&](Packer& p) {
        p.text(resource.c_str());
        p.text(path.c_str());
    }));
}

Result<Done> GuardClient::own_mount(std::string const& resource, std::string const& point, unsigned major, unsigned minor, bool to_start) {
    return done_or_error(impl_->ask(Message::own_mount, [&](Packer& p) {
        p.text(resource.c_str());
        p.text(point.c_str());
        p.number(major);
        p.number(minor);
        p.number(to_start ? 1 : 0);
    }));
}

Result<Done> GuardClient::disown_mount(std::string const& resource) {
    return done_or_error(impl_->ask(Message::disown_mount, [&](Packer& p) { p.text(resource.c_str()); }));
}

Result<int> GuardClient::host(std::string const& name) {
    Answer const answer = impl_->ask(Message::host, [&](Packer& p) { p.text(name.c_str()); });
    if (answer.failed) return Error{answer.error};
    if (answer.fd < 0) return Error{fmt::format("agent host {}: the guard sent no socket", name)};
    return answer.fd;
}

Result<Done> GuardClient::kill_host(std::string const& name) {
    return done_or_error(impl_->ask(Message::kill_host, [&](Packer& p) { p.text(name.c_str()); }));
}

Result<Done> GuardClient::emergency_stop() {
    return done_or_error(impl_->ask(Message::emergency_stop, [](Packer& p) { p.text("the worker asks for it"); }));
}

Result<int> GuardClient::watchdog(std::string const& path, int seconds) {
    return number_or_error(impl_->ask(Message::watchdog, [&](Packer& p) {
        p.text(path.c_str());
        p.number(static_cast<std::uint32_t>(seconds));
    }));
}

void GuardClient::permit_began() {
    impl_->tell(Message::permit_began);
}
void GuardClient::ready() {
    impl_->tell(Message::ready);
}
void GuardClient::status_line(std::string const& text) {
    impl_->tell(Message::status_line, text);
}
void GuardClient::left() {
    impl_->tell(Message::left);
}

}  // namespace clusterd
