// See curl.hpp.
#include "agents/curl.hpp"

#include "agents/text.hpp"

#include <fmt/format.h>

#include <sys/socket.h>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace clusterd {
namespace {

// Where this node has no files, memory or ports left, curl says no more than "couldn't connect": that must not look like the server's
// failure. So the socket is opened here and the reason kept.
curl_socket_t open_socket(void* out_of, curlsocktype, curl_sockaddr* to) {
    int const fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    if (fd < 0) *static_cast<int*>(out_of) = errno;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

// The check couldn't be run, as opposed to: the server isn't well.
bool not_run(CURLcode code) {
    switch (code) {
        case CURLE_FAILED_INIT:
        case CURLE_URL_MALFORMAT:
        case CURLE_NOT_BUILT_IN:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_OUT_OF_MEMORY:
        case CURLE_BAD_FUNCTION_ARGUMENT:
        case CURLE_INTERFACE_FAILED:
        case CURLE_UNKNOWN_OPTION:
        case CURLE_SSL_ENGINE_NOTFOUND:
        case CURLE_SSL_ENGINE_SETFAILED:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_CACERT_BADFILE:
            return true;
        default:
            return false;
    }
}

bool could_not_ask(CURL* easy, CURLcode code) {
    if (code == CURLE_UNSUPPORTED_PROTOCOL) {  // also curl's word for an answer that isn't HTTP
        curl_off_t connected = 0;
        curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
        return connected == 0;
    }
    if (code != CURLE_OPERATION_TIMEDOUT) return not_run(code);
    curl_off_t resolved = 0;
    curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
    return resolved == 0;  // it was the name that took too long, not the server
}

}  // namespace

void append(List& list, std::string const& line) {
    if (curl_slist* longer = curl_slist_append(list.get(), line.c_str())) {
        [[maybe_unused]] auto* const same = list.release();
        list.reset(longer);
    }
}

void init_curl() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

void set_up_fetch(CURL* easy, std::string const& url, std::string const& connect, List& connect_to, int& no_socket, char* error) {
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");  // also none from the environment
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);  // a server that takes no new connections isn't well
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "clusterd");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &no_socket);
    if (connect.empty()) return;
    append(connect_to, connect.find(':') == std::string::npos ? "::" + connect + ":" : "::[" + connect + "]:");
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to.get());
}

CheckOutcome fetch_failed(CURL* easy, CURLcode code, std::string const& url, int no_socket, char const* error) {
    if (code == CURLE_COULDNT_CONNECT && no_socket != 0 && no_socket != EAFNOSUPPORT)
        return {Health::unknown, fmt::format("{}: the check can't be run: no socket: {}", url, std::strerror(no_socket))};
    return {could_not_ask(easy, code) ? Health::unknown : Health::failed,
            fmt::format("{}: {}", url, one_line(*error ? error : curl_easy_strerror(code)))};
}

}  // namespace clusterd
