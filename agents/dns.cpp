// See dns.hpp.
#include "agents/dns.hpp"

#include "clusterd/talk/dns_client.hpp"
#include "config/values.hpp"
#include "resources/attributes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace clusterd {
namespace {

class Dns final : public Agent {
public:
    explicit Dns(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        to_ = endpoint(attributes.text("address"), attributes.number("port", 53));
        name_ = attributes.text("name");
        v6_ = attributes.text("record", "A") == "AAAA";
        wanted_text_ = attributes.text("answer");
        if (auto const address = parse_address(wanted_text_)) wanted_ = format_address(*address);  // as inet_ntop writes it
    }

    CheckOutcome check(Instant deadline) override {
        if (!to_.broken.empty()) return {Health::unknown, to_.broken};
        DnsAnswer answer;
        auto const enough = [this](DnsAnswer const& so_far) { return named(so_far); };
        if (auto const out = ask_dns(to_, {.name = name_, .v6 = v6_}, enough, deadline, answer); out.result != Health::ok) return out;
        return judge(answer);
    }

private:
    CheckOutcome said(Health result, std::string const& what) const { return {result, fmt::format("{}: {}: {}", to_.where, name_, what)}; }

    bool named(DnsAnswer const& answer) const {
        return wanted_.empty() ? !answer.addresses.empty() : std::ranges::find(answer.addresses, wanted_) != answer.addresses.end();
    }

    CheckOutcome judge(DnsAnswer const& answer) const {
        if (answer.code != 0) return said(Health::failed, dns_code(answer.code));
        if (answer.addresses.empty()) return said(Health::failed, fmt::format("it has no {} record", v6_ ? "AAAA" : "A"));
        auto const shown = fmt::format("{}{}", fmt::join(answer.addresses.begin(), answer.addresses.begin() + std::min<std::ptrdiff_t>(4, std::ssize(answer.addresses)), ", "),
                                       answer.addresses.size() > 4 ? ", ..." : "");
        if (!named(answer)) return said(Health::failed, fmt::format("is {}; {} expected", shown, wanted_text_));
        return said(Health::ok, "is " + shown);
    }

    Endpoint to_;
    std::string name_, wanted_, wanted_text_;
    bool v6_ = false;
};

}  // namespace

AgentPtr make_dns_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Dns>(health);
}

}  // namespace clusterd
