// See redis.hpp.
#include "agents/redis.hpp"

#include "clusterd/talk/connection.hpp"
#include "agents/redis_answer.hpp"
#include "agents/text.hpp"
#include "resources/attributes.hpp"
#include "resources/secret_file.hpp"

#include <fmt/format.h>

#include <cstring>
#include <initializer_list>

namespace clusterd {
namespace {

std::string command(std::initializer_list<std::string> words) {
    std::string text = fmt::format("*{}\r\n", words.size());
    for (auto const& w : words) text += fmt::format("${}\r\n{}\r\n", w.size(), w);
    return text;
}

class Redis final : public Agent {
public:
    explicit Redis(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        to_ = endpoint(attributes.text("address"), attributes.number("port", 6379));
        user_ = attributes.text("user");
        password_file_ = attributes.text("password-file");
        role_ = attributes.text("role");
    }

    CheckOutcome check(Instant deadline) override {
        Connection server(to_);
        if (auto const opened = server.open(deadline); opened.result != Health::ok) return opened;
        std::string pending;
        if (!password_file_.empty()) {
            auto const secret = read_secret_file(password_file_);
            if (!secret) return {Health::unknown, secret.error()};
            std::string const password = secret->substr(0, secret->find_first_of("\r\n"));
            auto const login = ask(server, user_.empty() ? command({"AUTH", password}) : command({"AUTH", user_, password}), pending, deadline);
            if (login.outcome.result != Health::ok) return login.outcome;
            if (login.reply.error) return {Health::unknown, fmt::format("{}: login refused: {}", to_.where, one_line(login.reply.text, 100))};
        }
        auto const pong = ask(server, command({"PING"}), pending, deadline);
        if (pong.outcome.result != Health::ok) return pong.outcome;
        if (pong.reply.error) {
            bool const wants_login = pong.reply.text.starts_with("NOAUTH") || pong.reply.text.starts_with("NOPERM");
            return {wants_login ? Health::unknown : Health::failed, fmt::format("{}: {}", to_.where, one_line(pong.reply.text, 200))};
        }
        if (pong.reply.text != "PONG") return {Health::failed, fmt::format("{}: \"{}\" came for a PING", to_.where, one_line(pong.reply.text, 100))};
        return role_.empty() ? CheckOutcome{Health::ok, to_.where + ": serves"} : check_role(server, pending, deadline);
    }

private:
    struct Answer {
        CheckOutcome outcome;
        RedisReply reply;
    };

    CheckOutcome check_role(Connection& server, std::string& pending, Instant deadline) const {
        auto const said = ask(server, command({"ROLE"}), pending, deadline);
        if (said.outcome.result != Health::ok) return said.outcome;
        if (said.reply.error) return {Health::unknown, fmt::format("{}: its role can't be asked for: {}", to_.where, one_line(said.reply.text, 100))};
        std::string const is = said.reply.text == "slave" ? "replica" : said.reply.text;
        if (is != role_) return {Health::failed, fmt::format("{}: it is a {}, {} expected", to_.where, one_line(is, 40), role_)};
        return {Health::ok, fmt::format("{}: serves, {}", to_.where, is)};
    }

    Answer ask(Connection& server, std::string const& words, std::string& pending, Instant deadline) const {
        if (auto const out = server.say(words, deadline); out.result != Health::ok) return {out, {}};
        for (;;) {
            if (auto reply = read_redis_reply(pending)) {
                if (reply->size == 0) return {{Health::failed, fmt::format("{}: it doesn't speak as Redis does: \"{}\"", to_.where, one_line(pending, 100))}, {}};
                pending.erase(0, reply->size);
                return {{Health::ok, {}}, std::move(*reply)};
            }
            switch (server.hear(pending, deadline)) {
                case Connection::Heard::more: break;
                case Connection::Heard::late: return {{Health::failed, to_.where + ": no answer in time"}, {}};
                case Connection::Heard::closed: return {{Health::failed, to_.where + ": it closed the connection"}, {}};
                case Connection::Heard::error: return {{Health::failed, fmt::format("{}: {}", to_.where, std::strerror(server.error()))}, {}};
            }
        }
    }

    Endpoint to_;
    std::string user_, password_file_, role_;
};

}  // namespace

AgentPtr make_redis_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) { return std::make_unique<Redis>(health); }

}  // namespace clusterd
