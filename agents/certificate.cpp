// See certificate.hpp.
#include "agents/certificate.hpp"

#include "agents/curl.hpp"
#include "agents/text.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <string_view>

namespace clusterd {
namespace {

// The end of the first certificate of the chain to end; curl tells it as "Expire date:Nov 26 18:00:00 2027 GMT".
std::optional<std::time_t> first_end(CURL* easy) {
    curl_certinfo* chain = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain) return std::nullopt;
    std::optional<std::time_t> first;
    for (int i = 0; i < chain->num_of_certs; ++i) {
        for (curl_slist const* line = chain->certinfo[i]; line; line = line->next) {
            std::string_view const text = line->data;
            constexpr std::string_view label = "Expire date:";
            if (!text.starts_with(label)) continue;
            std::time_t const end = curl_getdate(line->data + label.size(), nullptr);
            if (end != -1) first = std::min(first.value_or(end), end);
        }
    }
    return first;
}

std::string day(std::time_t at) {
    std::tm utc{};
    gmtime_r(&at, &utc);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &utc)};
}

class Certificate final : public Agent {
public:
    explicit Certificate(HealthSpec const& health) {
        init_curl();
        Attributes const attributes(health.attributes);
        url_ = attributes.text("url");
        connect_ = attributes.text("connect");
        days_ = attributes.number("days", 14);
    }

    CheckOutcome check(Instant deadline) override {
        List connect_to;
        int no_socket = 0;
        char error[CURL_ERROR_SIZE] = {};
        Easy const easy(curl_easy_init());  // cleaned up before what it refers to
        if (!easy) return {Health::unknown, url_ + ": no memory for a check"};
        set_up_fetch(easy.get(), url_, connect_, connect_to, no_socket, error);
        curl_easy_setopt(easy.get(), CURLOPT_CONNECT_ONLY, 1L);  // the handshake is enough
        curl_easy_setopt(easy.get(), CURLOPT_CERTINFO, 1L);
        curl_easy_setopt(easy.get(), CURLOPT_SSL_VERIFYPEER, 0L);  // an expired one must be seen, too
        curl_easy_setopt(easy.get(), CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(std::max(1, ms_left(deadline))));
        CURLcode const code = curl_easy_perform(easy.get());
        if (code != CURLE_OK) return fetch_failed(easy.get(), code, url_, no_socket, error);
        auto const end = first_end(easy.get());
        return end ? judge(*end, std::time(nullptr)) : CheckOutcome{Health::unknown, url_ + ": its certificate's end can't be read"};
    }

private:
    CheckOutcome judge(std::time_t end, std::time_t now) const {
        if (end <= now) return {Health::failed, fmt::format("{}: the certificate has ended on {}", url_, day(end))};
        auto const left = (end - now) / 86400;
        std::string const text = fmt::format("{}: the certificate ends on {}, in {} day{}", url_, day(end), left, left == 1 ? "" : "s");
        return {left < days_ ? Health::degraded : Health::ok, text};
    }

    std::string url_, connect_;
    int days_;
};

}  // namespace

AgentPtr make_certificate_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Certificate>(health);
}

}  // namespace clusterd
