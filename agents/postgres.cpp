// See postgres.hpp.
#include "agents/postgres.hpp"

#include "clusterd/talk/connection.hpp"
#include "agents/postgres_answer.hpp"
#include "agents/scram.hpp"
#include "agents/text.hpp"
#include "resources/attributes.hpp"
#include "resources/clock.hpp"
#include "resources/secret_file.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace clusterd {
namespace {

constexpr char scram[] = "SCRAM-SHA-256";

std::string name_of(int authentication) {
    switch (authentication) {
        case PostgresAuthentication::password: return "a password in clear text";
        case PostgresAuthentication::md5: return "md5";
        case PostgresAuthentication::gss: return "GSSAPI";
        case PostgresAuthentication::sspi: return "SSPI";
        default: return fmt::format("method {}", authentication);
    }
}

class Postgres final : public Agent {
public:
    explicit Postgres(HealthSpec const& health) {
        Attributes const attributes(health.attributes);
        to_ = endpoint(attributes.text("address"), attributes.number("port", 5432));
        user_ = attributes.text("user");
        password_file_ = attributes.text("password-file");
        database_ = attributes.text("database", user_);
        query_ = attributes.text("query", "SELECT 1");
    }

    CheckOutcome check(Instant deadline) override {
        Talk talk(to_, deadline);
        if (auto const opened = talk.server.open(deadline); opened.result != Health::ok) return opened;
        bool const logs_in = !user_.empty();
        // A name that most servers know: one they don't would be a line in their log for each check.
        // A question that is given up must end at the server, too: one that waits for a lock would leave a connection for each check, until no
        // client gets one.
        auto const patience = std::to_string(std::max(1, ms_left(deadline)));
        auto const startup = logs_in ? write_postgres_startup({{"user", user_}, {"database", database_}, {"application_name", "clusterd"}, {"statement_timeout", patience}})
                                     : write_postgres_startup({{"user", "postgres"}, {"database", "postgres"}, {"application_name", "clusterd"}});
        if (auto const out = talk.server.say(startup, deadline); out.result != Health::ok) return out;
        PostgresMessage m;
        if (auto const heard = next(talk, m); heard.result != Health::ok) return heard;
        if (!logs_in) return without_login(talk, m);
        if (auto const let_in = log_in(talk, m); let_in.result != Health::ok) return let_in;
        auto const answered = ask(talk);
        talk.end();
        return answered;
    }

private:
    struct Talk {
        Talk(Endpoint const& to, Instant until) : server(to), deadline(until) {}
        void end() { server.say(write_postgres_message('X', {}), deadline); }  // or the server's log would tell of a client that was lost
        Connection server;
        std::string pending;   // what was heard and not read yet ...
        std::size_t read = 0;  // ... behind the message that was read last, which still stands in it
        Instant deadline;
        std::string version;
    };

    CheckOutcome failed(std::string const& what) const { return {Health::failed, fmt::format("{}: {}", to_.where, what)}; }
    CheckOutcome unknown(std::string const& what) const { return {Health::unknown, fmt::format("{}: {}", to_.where, what)}; }

    // The next message that isn't a notice or a parameter.
    CheckOutcome next(Talk& talk, PostgresMessage& m) const {
        for (;;) {
            talk.pending.erase(0, talk.read);
            talk.read = 0;
            if (auto const message = read_postgres_message(talk.pending)) {
                if (message->type == 0) return failed(fmt::format("it doesn't speak as PostgreSQL does: \"{}\"", one_line(talk.pending, 100)));
                talk.read = message->size;
                if (message->type == 'S') {
                    if (auto const parameter = read_postgres_parameter(message->body); parameter && parameter->first == "server_version")
                        talk.version = " (PostgreSQL " + one_line(parameter->second.substr(0, parameter->second.find(' ')), 20) + ")";
                    continue;
                }
                if (message->type == 'N') continue;
                m = *message;
                return {Health::ok, {}};
            }
            switch (talk.server.hear(talk.pending, talk.deadline)) {
                case Connection::Heard::more: break;
                case Connection::Heard::late: return failed("connected, but no answer in time");
                case Connection::Heard::closed: return failed("it closed the connection");
                case Connection::Heard::error: return failed(std::strerror(talk.server.error()));
            }
        }
    }

    // What an error says of the server: of clients that it can't serve, or only of this one.
    CheckOutcome refused(PostgresMessage const& m, std::string const& doing, bool logs_in) const {
        PostgresError const error = read_postgres_error(m);
        std::string const state = error.sqlstate, code = state.substr(0, 2);
        std::string const said = one_line(error.message, 200) + (state.empty() ? "" : " (" + one_line(state, 10) + ")");
        if (state == "53300") return {Health::degraded, fmt::format("{}: {}", to_.where, said)};
        if (state.empty() || code == "57" || code == "53" || code == "58" || code == "XX") return failed(said);
        if (!logs_in) return {Health::ok, fmt::format("{}: takes clients", to_.where)};
        return unknown(fmt::format("{}: {}", doing, said));
    }

    CheckOutcome without_login(Talk& talk, PostgresMessage const& m) const {
        if (m.type == 'E') return refused(m, {}, false);
        auto const wants = m.type == 'R' ? read_postgres_authentication(m.body) : std::nullopt;
        if (!wants) return failed(fmt::format("a message '{}' came where it should say how to log in", m.type));
        // A farewell is a line in the server's log where it waits for a password; to close is one where it doesn't.
        if (wants->kind == PostgresAuthentication::ok) talk.end();
        return {Health::ok, fmt::format("{}: takes clients", to_.where)};
    }

    CheckOutcome log_in(Talk& talk, PostgresMessage m) const {
        std::string const doing = fmt::format("the login as {} to database {} is refused", user_, database_);
        std::string nonce;
        ScramProof proof;
        bool proven = true;  // false: of a server that was asked for it
        for (;;) {
            if (m.type == 'E') return refused(m, doing, true);
            if (m.type == 'Z') return {Health::ok, {}};
            auto const wants = m.type == 'R' ? read_postgres_authentication(m.body) : std::nullopt;
            if (!wants && m.type != 'K') return failed(fmt::format("a message '{}' came during the login", m.type));
            if (wants && wants->kind == PostgresAuthentication::sasl) {
                if (!offers_mechanism(wants->data, scram)) return unknown("this authentication isn't supported by the agent: SASL without SCRAM-SHA-256");
                if (password_file_.empty()) return unknown(fmt::format("it wants {}'s password; give password-file", user_));
                nonce = fresh_nonce();
                proven = false;
                if (auto const out = talk.server.say(write_postgres_sasl_first(scram, scram_first(nonce)), talk.deadline); out.result != Health::ok) return out;
            } else if (wants && wants->kind == PostgresAuthentication::sasl_continue) {
                auto const secret = read_secret_file(password_file_);
                if (!secret) return unknown(secret.error());
                auto made = scram_final(secret->substr(0, secret->find_first_of("\r\n")), nonce, wants->data);
                if (!made) return failed(made.error());
                proof = std::move(*made);
                if (auto const out = talk.server.say(write_postgres_message('p', proof.message), talk.deadline); out.result != Health::ok) return out;
            } else if (wants && wants->kind == PostgresAuthentication::sasl_final) {
                if (proof.signature.empty() || wants->data != proof.signature) return unknown("it doesn't know the password itself: another server than the one that is meant?");
                proven = true;
            } else if (wants && wants->kind == PostgresAuthentication::ok && !proven) {
                return unknown("it took the login without a proof that it knows the password itself: another server than the one that is meant?");
            } else if (wants && wants->kind != PostgresAuthentication::ok) {
                return unknown(fmt::format("this authentication isn't supported by the agent: {}; set scram-sha-256 (or trust) for it in pg_hba.conf",
                                           name_of(wants->kind)));
            }
            if (auto const heard = next(talk, m); heard.result != Health::ok) return heard;
        }
    }

    CheckOutcome ask(Talk& talk) const {
        if (auto const out = talk.server.say(write_postgres_message('Q', query_ + '\0'), talk.deadline); out.result != Health::ok) return out;
        std::optional<std::string> value;
        std::optional<CheckOutcome> error;
        for (PostgresMessage m;;) {
            if (auto const heard = next(talk, m); heard.result != Health::ok) return heard;
            if (m.type == 'E' && !error) {
                PostgresError const said = read_postgres_error(m);
                error = failed(fmt::format("{}: {} ({})", one_line(query_, 80), one_line(said.message, 200), one_line(said.sqlstate, 10)));
                if (said.sqlstate.starts_with("57P")) return *error;  // it ends the connection
            }
            if (m.type == 'G' || m.type == 'H' || m.type == 'W') return unknown("the query is a COPY, which the agent can't do");
            if (m.type == 'D' && !value) value = read_postgres_first_value(m.body);
            if (m.type == 'Z') break;
        }
        if (error) return *error;
        return {Health::ok, fmt::format("{}: serves{}, {}: {}", to_.where, talk.version, one_line(query_, 80), value ? one_line(*value, 80) : "done")};
    }

    static std::string fresh_nonce() {
        unsigned char random[18];
        randombytes_buf(random, sizeof random);
        char text[sodium_base64_ENCODED_LEN(sizeof random, sodium_base64_VARIANT_ORIGINAL)];
        return sodium_bin2base64(text, sizeof text, random, sizeof random, sodium_base64_VARIANT_ORIGINAL);
    }

    Endpoint to_;
    std::string user_, password_file_, database_, query_;
};

}  // namespace

AgentPtr make_postgres_agent(HealthSpec const& health, ResourceSpec const&, GuardClient&, GuardEvents&) { return std::make_unique<Postgres>(health); }

}  // namespace clusterd
