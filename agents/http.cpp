// Fetches a URL with libcurl. See http.hpp.
#include "agents/http.hpp"

#include "agents/curl.hpp"
#include "agents/http_answer.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/secret_file.hpp"

#include <unistd.h>
#include <algorithm>

namespace clusterd {
namespace {

std::size_t on_header(char* data, std::size_t size, std::size_t n, void* answer) {
    return static_cast<HttpAnswer*>(answer)->header_line({data, size * n}) ? size * n : 0;
}
std::size_t on_body(char* data, std::size_t size, std::size_t n, void* answer) {
    return static_cast<HttpAnswer*>(answer)->body_part({data, size * n}) ? size * n : 0;  // 0: curl stops here
}

class Http final : public Agent {
public:
    explicit Http(HealthSpec const& health) : attributes_map_(health.attributes), attributes_(attributes_map_) {
        init_curl();
        url_ = attributes_.text("url");
        if (auto range = parse_status_range(attributes_.text("status", "200-399"))) expected_.status = *range;
        expected_.body = attributes_.text("body");
        if (auto header = parse_header(attributes_.text("header")))
            std::tie(expected_.header_name, expected_.header_value) = *header;
    }

    CheckOutcome check(Instant deadline) override {
        HttpAnswer answer;
        List headers, connect_to;
        char error[CURL_ERROR_SIZE] = {};
        int no_socket = 0;
        Easy const easy(curl_easy_init());  // cleaned up before what it refers to
        if (!easy) return {Health::unknown, url_ + ": no memory for a check"};
        set_up_fetch(easy.get(), url_, attributes_.text("connect"), connect_to, no_socket, error);
        if (auto problem = set_up(easy.get(), headers); !problem.empty())
            return {Health::unknown, url_ + ": " + problem};
        curl_easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy.get(), CURLOPT_HEADERDATA, &answer);
        curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
        curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(std::max(1, ms_left(deadline))));
        CURLcode const code = curl_easy_perform(easy.get());
        if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer.body_cut())) {
            long status = 0;
            curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
            CheckOutcome outcome = answer.judge(expected_, status);
            outcome.message = url_ + ": " + outcome.message;
            return outcome;
        }
        return fetch_failed(easy.get(), code, url_, no_socket, error);
    }

private:
    // Empty = all set; else what is missing on this node.
    std::string set_up(CURL* easy, List& headers) const {
        std::string const method = attributes_.text("method", "GET");
        if (method == "HEAD")
            curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if (method == "POST")
            curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, "");
        else if (method != "GET")
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
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
