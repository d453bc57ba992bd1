// What a PostgreSQL server answers (frontend/backend protocol 3.0), as far as the agent needs it: whole messages out of bytes that come in
// pieces, and what stands in those it looks at. And the messages it sends. Pure.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace clusterd {

struct PostgresMessage {
    char type = 0;          // 0: these bytes are not of this protocol
    std::string_view body;  // of the bytes it was read from
    std::size_t size = 0;   // bytes it took
    bool old_form = false;  // an error in the form of before 3.0 (a server that couldn't start a process says it so): body is its text
};

constexpr std::size_t max_postgres_message = 1u << 20;

// nullopt: not all of it is there yet.
std::optional<PostgresMessage> read_postgres_message(std::string_view bytes);

// Of an 'E' or 'N'. What doesn't stand there is empty.
struct PostgresError {
    std::string sqlstate, message;
};
PostgresError read_postgres_error(PostgresMessage const& message);

// Of an 'R': what the server wants to know who we are, and what comes with it.
struct PostgresAuthentication {
    enum Kind { ok = 0, password = 3, md5 = 5, gss = 7, sspi = 9, sasl = 10, sasl_continue = 11, sasl_final = 12 };
    int kind = 0;
    std::string_view data;
};
std::optional<PostgresAuthentication> read_postgres_authentication(std::string_view body);
bool offers_mechanism(std::string_view sasl_data, std::string_view mechanism);

// Of an 'S': name and value of a parameter that the server reports.
std::optional<std::pair<std::string, std::string>> read_postgres_parameter(std::string_view body);

// Of a 'D': the row's first value; "null" if it is none. nullopt: no row.
std::optional<std::string> read_postgres_first_value(std::string_view body);

std::string write_postgres_startup(std::initializer_list<std::pair<std::string_view, std::string_view>> parameters);
std::string write_postgres_message(char type, std::string_view body);
std::string write_postgres_sasl_first(std::string_view mechanism, std::string_view data);

}  // namespace clusterd
