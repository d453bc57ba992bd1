// HTTP over the daemon's Unix socket.
#include "clusterd/clusterctl/daemon.hpp"

#include "clusterd/wire/api.hpp"

#include <fmt/format.h>

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace clusterd::tool {

std::atomic<bool> interrupted{false};

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

namespace {

constexpr std::size_t largest_answer = 16U << 20U;

// libcurl doesn't tell why connecting failed; a connect of our own does.
int why_not(std::string const& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    int const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int const result = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
    close(fd);
    return result;
}

Stop unreachable(std::string const& socket) {
    int const why = why_not(socket);
    if (why == EACCES || why == EPERM) {
        return {exit_no_daemon,
                fmt::format("permission denied on {}: only root and the daemon's own user may use it; try sudo", socket)};
    }
    if (why == ENAMETOOLONG) return {exit_no_daemon, fmt::format("{}: a socket's path has at most 107 characters", socket)};
    return {exit_no_daemon, fmt::format("no daemon answers at {} ({}); is clusterd running? systemctl status clusterd", socket,
                                        why == 0 ? "it closed the connection" : std::strerror(why))};
}

std::size_t collect(char* data, std::size_t one, std::size_t count, void* to) {
    auto& body = *static_cast<std::string*>(to);
    if (body.size() + one * count > largest_answer) return 0;
    body.append(data, one * count);
    return one * count;
}

int give_up(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return interrupted ? 1 : 0;
}

}  // namespace

struct Daemon::Impl {
    std::string socket;
    CURL* curl = nullptr;
};

Daemon::Daemon(std::string socket) : impl_(std::make_unique<Impl>()) {
    impl_->socket = std::move(socket);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    impl_->curl = curl_easy_init();
    if (impl_->curl == nullptr) throw Stop{exit_failed, "libcurl can't be started (out of memory?)"};
}

Daemon::~Daemon() {
    curl_easy_cleanup(impl_->curl);
}

Reply Daemon::request(std::string const& method, std::string const& path, std::string const& body, Duration patience) {
    CURL* const c = impl_->curl;
    Reply reply;
    std::string const url = "http://clusterd" + path;
    curl_slist* const headers = curl_slist_append(curl_slist_append(nullptr, "Content-Type: application/json"), "Expect:");
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, impl_->socket.c_str());
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_PROXY, "");  // an http_proxy of the environment has no part in this
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method.c_str());
    if (method == "POST") {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.c_str());
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    }
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(to_ms(patience), 1)));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &reply.body);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, give_up);
    CURLcode const code = curl_easy_perform(c);
    curl_slist_free_all(headers);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply.status);
    if (code == CURLE_ABORTED_BY_CALLBACK || (code != CURLE_OK && interrupted)) throw Stop{exit_interrupted, "interrupted"};
    if (code == CURLE_OPERATION_TIMEDOUT) {
        throw Stop{
            exit_timed_out,
            fmt::format(
                "the daemon at {} takes the connection but doesn't answer; is it stopped or overloaded? systemctl status clusterd",
                impl_->socket)};
    }
    if (code == CURLE_WRITE_ERROR) throw Stop{exit_failed, "the daemon's answer is larger than 16 MiB"};
    if (code != CURLE_OK) throw unreachable(impl_->socket);
    if (reply.status == 403) throw Stop{exit_no_daemon, "permission denied: " + error_of(reply.body)};
    return reply;
}

std::string Daemon::get(std::string const& path, Duration patience) {
    Reply reply = request("GET", path, "", patience);
    if (!reply.ok()) throw Stop{reply.status == 409 ? exit_refused : exit_failed, error_of(reply.body)};
    return std::move(reply.body);
}

std::string Daemon::post(std::string const& path, std::string const& body) {
    Reply reply = request("POST", path, body, std::chrono::seconds(10));
    if (!reply.ok()) throw Stop{reply.status == 409 ? exit_refused : exit_failed, error_of(reply.body)};
    return std::move(reply.body);
}

std::string Daemon::escaped(std::string const& text) {
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string out;
    for (char const c : text) {
        if (plain.find(c) != std::string_view::npos) {
            out.push_back(c);
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace clusterd::tool
