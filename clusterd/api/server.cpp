// The HTTP of the local API: Boost.Beast on a Unix socket, and nowhere else.
//
// One Session per connection: reads a request within a time limit, asks Routes, answers or parks, and reads the next. A parked
// session holds no request's work: it is asked again when something happened (wake) and once more when its time is over.
#include "clusterd/api/api.hpp"
#include "clusterd/api/commands.hpp"
#include "clusterd/api/routes.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <stdexcept>

namespace clusterd {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;
using boost::system::error_code;

std::runtime_error cannot(std::string const& path, std::string const& what, int number) {
    return std::runtime_error("the API's socket " + path + ": " + what +
                              (number != 0 ? std::string(": ") + std::strerror(number) : ""));
}

// A socket left by a dead daemon is in the way; anything else at that path is not ours to remove.
void remove_stale(std::string const& path) {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) return;
    if (!S_ISSOCK(found.st_mode))
        throw cannot(path, "something that is no socket is there; remove it or give another --run-dir", 0);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) throw cannot(path, "can't remove the old one", errno);
}

// Made 0600 between bind and listen: until it listens nobody can connect, so no umask (which is every thread's) is touched.
int listening_socket(std::string const& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw cannot(path, "its path is longer than 107 characters; give a shorter --run-dir", 0);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    remove_stale(path);
    int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw cannot(path, "can't be made", errno);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || chmod(path.c_str(), 0600) != 0 ||
        listen(fd, 64) != 0) {
        int const number = errno;
        close(fd);
        throw cannot(path, "can't listen", number);
    }
    return fd;
}

bool peer_allowed(int fd, std::string& user) {
    ucred peer{};
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
    user = "uid " + std::to_string(peer.uid);
    return peer.uid == 0 || peer.uid == geteuid();
}

class Session;
class Farewell;

}  // namespace

struct ApiServer::Impl : std::enable_shared_from_this<ApiServer::Impl> {
    Impl(AsioLoop& l, std::string socket_path, ApiBackend& backend, ApiLimits const& given)
        : loop(l),
          io(*static_cast<asio::io_context*>(l.io_context())),
          path(std::move(socket_path)),
          limits(given),
          commands(given.commands, given.updates_per_command, given.keep_finished),
          routes(backend, commands),
          acceptor(io),
          retry(io) {
        acceptor.assign(Local(), listening_socket(path));
        struct stat made {};
        if (lstat(path.c_str(), &made) == 0) inode = made.st_ino;
    }

    void accept();
    void accepted(Local::socket socket);
    void let_go(Local::socket socket);
    void wake_soon();
    void stop();

    AsioLoop& loop;
    asio::io_context& io;
    std::string path;
    ino_t inode = 0;
    ApiLimits limits;
    api::CommandLog commands;
    api::Routes routes;
    Local::acceptor acceptor;
    asio::steady_timer retry;
    std::set<std::shared_ptr<Session>> sessions;
    std::set<std::shared_ptr<Farewell>> leaving;
    ApiCounters counters;
    bool stopped = false;
    bool waking = false;
};

namespace {

// A connection that has its last answer. Closed while the client still writes, or with what it wrote unread, that answer would be lost to it
// (EPIPE, ECONNRESET); so what comes is thrown away until it hangs up, for ApiLimits::farewell at most.
class Farewell : public std::enable_shared_from_this<Farewell> {
public:
    Farewell(asio::io_context& io, Local::socket socket, Duration limit, std::function<void(std::shared_ptr<Farewell> const&)> gone)
        : socket_(std::move(socket)), patience_(io), limit_(limit), gone_(std::move(gone)) {}

    void begin() {
        error_code ignored;
        socket_.shutdown(Local::socket::shutdown_send, ignored);
        patience_.expires_after(limit_);
        patience_.async_wait([self = shared_from_this()](error_code failed) {
            if (!failed) self->end();
        });
        read();
    }
    void end() {
        if (!socket_.is_open()) return;
        error_code ignored;
        patience_.cancel();
        socket_.close(ignored);
        gone_(shared_from_this());
    }

private:
    void read() {
        socket_.async_read_some(asio::buffer(thrown_away_), [self = shared_from_this()](error_code failed, std::size_t) {
            failed ? self->end() : self->read();
        });
    }

    Local::socket socket_;
    asio::steady_timer patience_;
    Duration limit_;
    std::function<void(std::shared_ptr<Farewell> const&)> gone_;
    std::array<char, 4096> thrown_away_;
};

class Session : public std::enable_shared_from_this<Session> {
public:
    template <class Impl>
    Session(Impl server, Local::socket socket, std::string user, bool allowed);

    void read();
    // Something happened: perhaps there is an answer now.
    void wake() {
        if (parked_) ask(false);
    }
    void close();

private:
    // ApiServer::Impl is private: everything the session needs from it stands here.
    struct Owner {
        api::Routes* routes;
        ApiLimits const* limits;
        ApiCounters* counters;
        std::function<Instant()> now;
        std::function<void(std::shared_ptr<Session> const&)> gone;
        std::function<void(Local::socket)> let_go;
    };

    void got(error_code failed);
    void ask(bool at_last);
    void reply(unsigned status, std::string body, bool json, bool keep);
    void refuse(unsigned status, std::string_view message);
    void park();

    Owner owner_;
    std::shared_ptr<void> keep_server_;
    beast::basic_stream<Local> stream_;
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    std::optional<http::response<http::string_body>> response_;
    asio::steady_timer patience_;
    api::Request request_;
    std::string user_;
    bool allowed_;
    bool parked_ = false;
    bool closed_ = false;
};

template <class Impl>
Session::Session(Impl server, Local::socket socket, std::string user, bool allowed)
    : keep_server_(server), stream_(std::move(socket)), patience_(server->io), user_(std::move(user)), allowed_(allowed) {
    auto* s = server.get();
    owner_ = {&s->routes, &s->limits, &s->counters, [s] { return s->loop.now().mono; },
              [s](std::shared_ptr<Session> const& self) { s->sessions.erase(self); },
              [s](Local::socket last) { s->let_go(std::move(last)); }};
    buffer_.max_size(s->limits.header_bytes + s->limits.body_bytes);
}

void Session::read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(owner_.limits->header_bytes));
    parser_->body_limit(owner_.limits->body_bytes);
    stream_.expires_after(owner_.limits->request);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code failed, std::size_t) { self->got(failed); });
}

void Session::got(error_code failed) {
    if (closed_ || failed == asio::error::operation_aborted) return close();
    if (failed == http::error::end_of_stream) return close();
    if (failed == beast::error::timeout && !parser_->got_some()) return close();  // idle for too long
    ++owner_.counters->requests;
    if (failed) {
        ++owner_.counters->bad;
        if (failed == http::error::body_limit) return refuse(413, "the body is too large");
        if (failed == http::error::header_limit || failed == http::error::buffer_overflow)
            return refuse(431, "the header is too large");
        if (failed.category() != http::make_error_code(http::error::bad_method).category()) return close();  // timed out, or gone
        if (failed == http::error::partial_message) return close();
        return refuse(400, "this is no HTTP request: " + failed.message());
    }
    if (!allowed_) {
        ++owner_.counters->forbidden;
        return refuse(403, "only root and the daemon's own user may use this socket; try sudo");
    }
    auto& message = parser_->get();
    auto const method = message.method() == http::verb::get       ? api::Method::get
                        : message.method() == http::verb::post    ? api::Method::post
                        : message.method() == http::verb::delete_ ? api::Method::erase
                                                                  : api::Method::other;
    auto parsed = api::parse_target(method, {message.target().data(), message.target().size()});
    if (!parsed) {
        ++owner_.counters->bad;
        return reply(400, message_json("error", parsed.error()), true, message.keep_alive());
    }
    request_ = std::move(*parsed);
    request_.body = std::move(message.body());
    ask(request_.wait_ms == 0);
    if (!parked_ && !closed_ && !response_) park();
}

void Session::ask(bool at_last) {
    if (closed_ || response_) return;
    bool const keep = parser_->get().keep_alive();
    std::optional<api::Answer> answer;
    try {
        answer = owner_.routes->answer(request_, user_, owner_.now(), at_last);
    } catch (std::exception const& e) {
        // The backend answers from memory; should it throw all the same, the one who asked is told and the loop goes on.
        answer = api::Answer{500, message_json("error", std::string("the daemon failed to answer: ") + e.what())};
    }
    if (!answer) return;
    if (parked_) {
        parked_ = false;
        patience_.cancel();
        error_code ignored;
        stream_.socket().cancel(ignored);  // the watch for a client that goes away
    }
    reply(answer->status, std::move(answer->body), answer->json, keep);
}

void Session::park() {
    parked_ = true;
    stream_.expires_never();
    auto const wait = std::min<Duration>(std::chrono::milliseconds(std::min<std::uint64_t>(request_.wait_ms, 3'600'000)),
                                         owner_.limits->longest_wait);
    patience_.expires_after(wait);
    patience_.async_wait([self = shared_from_this()](error_code failed) {
        if (!failed && self->parked_) self->ask(true);
    });
    stream_.socket().async_wait(Local::socket::wait_read, [self = shared_from_this()](error_code failed) {
        if (failed || !self->parked_ || self->closed_) return;
        char byte = 0;
        // 0: the client hung up while it waited. Data: it asks ahead; that stays unread until this request is answered.
        if (recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) self->close();
    });
}

void Session::refuse(unsigned status, std::string_view message) {
    reply(status, message_json("error", message), true, false);
}

void Session::reply(unsigned status, std::string body, bool json, bool keep) {
    response_.emplace(static_cast<http::status>(status), 11);
    response_->set(http::field::content_type, json ? "application/json" : "text/plain; charset=utf-8");
    response_->body() = std::move(body);
    response_->keep_alive(keep);
    response_->prepare_payload();
    stream_.expires_after(owner_.limits->request);
    http::async_write(stream_, *response_, [self = shared_from_this(), keep](error_code failed, std::size_t) {
        self->response_.reset();
        if (failed || self->closed_) return self->close();
        if (keep) return self->read();
        self->owner_.let_go(self->stream_.release_socket());
        self->close();
    });
}

void Session::close() {
    if (closed_) return;
    closed_ = true;
    parked_ = false;
    patience_.cancel();
    error_code ignored;
    stream_.socket().shutdown(Local::socket::shutdown_both, ignored);
    stream_.close();
    owner_.gone(shared_from_this());
}

}  // namespace

void ApiServer::Impl::accept() {
    acceptor.async_accept([self = shared_from_this()](error_code failed, Local::socket socket) {
        if (self->stopped) return;
        if (!failed) {
            self->accepted(std::move(socket));
            return self->accept();
        }
        // Out of descriptors or memory: a little later, instead of a loop that eats the processor.
        self->retry.expires_after(std::chrono::milliseconds(100));
        self->retry.async_wait([self](error_code cancelled) {
            if (!cancelled && !self->stopped) self->accept();
        });
    });
}

void ApiServer::Impl::accepted(Local::socket socket) {
    if (sessions.size() >= limits.connections) {
        ++counters.refused_full;
        std::string const body = message_json("error", "too many connections; try again in a moment");
        std::string const answer =
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body;
        [[maybe_unused]] ssize_t const sent =
            send(socket.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return let_go(std::move(socket));
    }
    std::string user;
    bool const allowed = peer_allowed(socket.native_handle(), user);
    auto session = std::make_shared<Session>(shared_from_this(), std::move(socket), std::move(user), allowed);
    sessions.insert(session);
    session->read();
}

void ApiServer::Impl::let_go(Local::socket socket) {
    if (stopped || leaving.size() >= limits.connections) return;  // then it is closed at once: descriptors are bounded too
    auto const farewell = std::make_shared<Farewell>(
        io, std::move(socket), limits.farewell, [s = weak_from_this()](std::shared_ptr<Farewell> const& self) {
            if (auto const owner = s.lock()) owner->leaving.erase(self);
        });
    leaving.insert(farewell);
    farewell->begin();
}

// Once per burst, and never from within the backend's own call.
void ApiServer::Impl::wake_soon() {
    if (waking || stopped) return;
    waking = true;
    asio::post(io, [self = shared_from_this()] {
        self->waking = false;
        if (self->stopped) return;
        auto const now_open = self->sessions;
        for (auto const& session : now_open) session->wake();
    });
}

void ApiServer::Impl::stop() {
    stopped = true;
    error_code ignored;
    acceptor.close(ignored);
    retry.cancel();
    auto const open = sessions;
    for (auto const& session : open) session->close();
    auto const last = leaving;
    for (auto const& farewell : last) farewell->end();
    struct stat there {};
    if (lstat(path.c_str(), &there) == 0 && there.st_ino == inode) unlink(path.c_str());  // a successor's stays
}

ApiServer::ApiServer(AsioLoop& loop, std::string socket_path, ApiBackend& backend, ApiLimits limits)
    : impl_(std::make_shared<Impl>(loop, std::move(socket_path), backend, limits)) {
    impl_->accept();
}

ApiServer::~ApiServer() {
    impl_->stop();
}

void ApiServer::command_update(effect::CommandUpdate update) {
    impl_->commands.update(update, impl_->loop.now().mono);
    impl_->wake_soon();
}

void ApiServer::event_recorded(EventRecord const&) {
    impl_->wake_soon();
}

ApiCounters ApiServer::counters() const {
    return impl_->counters;
}

}  // namespace clusterd
