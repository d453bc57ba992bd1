// Connects and asks. See tcp.hpp.
#include "agents/tcp.hpp"

#include "clusterd/talk/connection.hpp"
#include "agents/text.hpp"
#include "config/words.hpp"
#include "resources/attributes.hpp"

#include <fmt/format.h>

#include <cstring>

namespace clusterd {
namespace {

constexpr std::size_t max_answer = 64u << 10;  // `expect` is looked for in so much

class Tcp final : public Agent {
public:
    explicit Tcp(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        to_ = endpoint(attributes.text("address"), attributes.number("port", 0));
        if (auto text = unescape(attributes.text("send"))) send_ = *text;
        if (auto text = unescape(attributes.text("expect"))) expect_ = *text;
    }

    CheckOutcome check(Instant deadline) override {
        Connection server(to_);
        auto const opened = server.open(deadline);
        if (opened.result != Health::ok) return opened;
        if (auto const out = server.say(send_, deadline); out.result != Health::ok) return out;
        return expect_.empty() ? opened : listen(server, deadline);
    }

private:
    CheckOutcome listen(Connection& server, Instant deadline) const {
        std::string answer;
        std::string const wanted = fmt::format("\"{}\" expected", one_line(expect_, 100));
        while (answer.size() < max_answer) {
            switch (server.hear(answer, deadline)) {
                case Connection::Heard::late:
                    return {Health::failed, fmt::format("{}: no such answer in time, {}{}", to_.where, wanted, heard(answer))};
                case Connection::Heard::closed:
                    return {Health::failed, fmt::format("{}: it closed the connection, {}{}", to_.where, wanted, heard(answer))};
                case Connection::Heard::error:
                    return {Health::failed, fmt::format("{}: {}", to_.where, std::strerror(server.error()))};
                case Connection::Heard::more:
                    break;
            }
            if (answer.find(expect_) != std::string::npos) return {Health::ok, to_.where + ": answered as expected"};
        }
        return {Health::failed, fmt::format("{}: not in the first 64 KiB of its answer, {}", to_.where, wanted)};
    }
    static std::string heard(std::string const& answer) {
        return answer.empty() ? std::string() : fmt::format(", \"{}\" came", one_line(answer, 100));
    }

    Endpoint to_;
    std::string send_, expect_;
};

}  // namespace

AgentPtr make_tcp_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) {
    return std::make_unique<Tcp>(health);
}

}  // namespace clusterd
