// Fetches a URL with libcurl. See http.hpp.
#include "agents/http.hpp"

#include "agents/http_answer.hpp"
#include "agents/text.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/secret_file.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

namespace clusterd {
namespace {

struct Free {
    void operator()(CURL* c) const { curl_easy_cleanup(c); }
    void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
using Easy = std::unique_ptr<CURL, Free>;
using List = std::unique_ptr<curl_slist, Free>;

void append(List& list, std::string const& line) {
    if (curl_slist* longer = curl_slist_append(list.get(), line.c_str())) {
        [[maybe_unused]] auto* const same = list.release();
        list.reset(longer);
    }
}

std::size_t on_header(char* data, std::size_t size, std::size_t n, void* answer) {
    return static_cast<HttpAnswer*>(answer)->header_line({data, size * n}) ? size * n : 0;
}
std::size_t on_body(char* data, std::size_t size, std::size_t n, void* answer) {
    return static_cast<HttpAnswer*>(answer)->body_part({data, size * n}) ? size * n : 0;  // 0: curl stops here
}

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

class Http final : public Agent {
public:
    explicit Http(HealthSpec const& health) : attributes_map_(health.attributes), attributes_(attributes_map_) {
        static std::once_flag once;
        std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
        url_ = attributes_.text("url");
        if (auto range = parse_status_range(attributes_.text("status", "200-399"))) expected_.status = *range;
        expected_.body = attributes_.text("body");
        if (auto header = parse_header(attributes_.text("header")))
            std::tie(expected_.header_name, expected_.header_value) = *header;
    }

    CheckOutcome check(Instant deadline) override {
        Easy const easy(curl_easy_init());
        if (!easy) return {Health::unknown, url_ + ": no memory for a check"};
        HttpAnswer answer;
        List headers, connect_to;
        char error[CURL_ERROR_SIZE] = {};
        curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, error);
        if (auto problem = set_up(easy.get(), headers, connect_to); !problem.empty())
            return {Health::unknown, url_ + ": " + problem};
        int no_socket = 0;
        curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETFUNCTION, open_socket);
        curl_easy_setopt(easy.get(), CURLOPT_OPENSOCKETDATA, &no_socket);
        curl_easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy.get(), CURLOPT_HEADERDATA, &answer);
        curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
        curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(std::max(1, ms_left(deadline))));
        CURLcode const code = curl_easy_perform(easy.get());
        if (code == CURLE_COULDNT_CONNECT && no_socket != 0 && no_socket != EAFNOSUPPORT)
            return {Health::unknown, fmt::format("{}: the check can't be run: no socket: {}", url_, std::strerror(no_socket))};
        if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer.body_cut())) {
            long status = 0;
            curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
            CheckOutcome outcome = answer.judge(expected_, status);
            outcome.message = url_ + ": " + outcome.message;
            return outcome;
        }
        return {could_not_ask(easy.get(), code) ? Health::unknown : Health::failed,
                fmt::format("{}: {}", url_, one_line(*error ? error : curl_easy_strerror(code)))};
    }

private:
    // Empty = all set; else what is missing on this node.
    std::string set_up(CURL* easy, List& headers, List& connect_to) const {
        curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");  // also none from the environment
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);  // a server that takes no new connections isn't well
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "clusterd");
        std::string const method = attributes_.text("method", "GET");
        if (method == "HEAD")
            curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if (method == "POST")
            curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, "");
        else if (method != "GET")
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
        if (std::string const address = attributes_.text("connect"); !address.empty()) {
            append(connect_to, address.find(':') == std::string::npos ? "::" + address + ":" : "::[" + address + "]:");
            curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to.get());
        }
        if (!attributes_.yes("tls-verify", true)) {
            curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
            curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        }
        if (std::string const ca = attributes_.text("ca-file"); !ca.empty()) {
            if (access(ca.c_str(), R_OK) != 0) return "ca-file " + ca + " can't be read";
            curl_easy_setopt(easy, CURLOPT_CAINFO, ca.c_str());
            curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
        }
        return set_up_secrets(easy, headers);
    }

    std::string set_up_secrets(CURL* easy, List& headers) const {
        if (std::string const h = attributes_.text("request-header"); !h.empty()) append(headers, h);
        if (std::string const file = attributes_.text("request-header-file"); !file.empty()) {
            auto const lines = read_secret_lines(file);
            if (!lines) return lines.error();
            for (std::string const& line : *lines) append(headers, line);
        }
        if (headers) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
        if (std::string const user = attributes_.text("user"); !user.empty()) {
            curl_easy_setopt(easy, CURLOPT_USERNAME, user.c_str());
            if (std::string const file = attributes_.text("password-file"); !file.empty()) {
                auto text = read_secret_file(file);
                if (!text) return text.error();
                curl_easy_setopt(easy, CURLOPT_PASSWORD, text->substr(0, text->find_first_of("\r\n")).c_str());
            }
        }
        return {};
    }

    static bool could_not_ask(CURL* easy, CURLcode code) {
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

    std::map<std::string, std::string> const attributes_map_;
    Attributes const attributes_;
    std::string url_;
    HttpExpectation expected_;
};

}  // namespace

AgentPtr make_http_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Http>(health);
}

}  // namespace clusterd
