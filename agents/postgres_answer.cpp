// See postgres_answer.hpp.
#include "agents/postgres_answer.hpp"

#include <cstdint>

namespace clusterd {
namespace {

constexpr std::string_view known_types = "RSKNEZTDCIAGHWVnst123v";
constexpr std::size_t old_error_length = 30'000;  // a length beyond that of an error is text: what libpq goes by, too

std::uint32_t number(std::string_view bytes) {
    std::uint32_t n = 0;
    for (char const c : bytes.substr(0, 4)) n = n << 8 | static_cast<unsigned char>(c);
    return n;
}

std::string four_bytes(std::size_t n) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(n >> shift & 0xff);
    return text;
}

// Up to the zero byte, and past it. nullopt: there is none.
std::optional<std::string_view> take_text(std::string_view& bytes) {
    std::size_t const end = bytes.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view const text = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    return text;
}

}  // namespace

std::optional<PostgresMessage> read_postgres_message(std::string_view bytes) {
    if (bytes.empty()) return std::nullopt;
    PostgresMessage m;
    if (known_types.find(bytes[0]) == std::string_view::npos) return m;
    if (bytes.size() < 5) return std::nullopt;
    std::size_t const length = number(bytes.substr(1));
    if (bytes[0] == 'E' && (length < 4 || length > old_error_length)) {
        std::size_t const end = bytes.find('\0');
        if (end == std::string_view::npos) return bytes.size() > old_error_length ? std::optional(m) : std::nullopt;
        return PostgresMessage{'E', bytes.substr(1, end - 1), end + 1, true};
    }
    if (length < 4 || length > max_postgres_message) return m;
    if (bytes.size() < length + 1) return std::nullopt;
    return PostgresMessage{bytes[0], bytes.substr(5, length - 4), length + 1, false};
}

PostgresError read_postgres_error(PostgresMessage const& message) {
    PostgresError error;
    if (message.old_form) {
        error.message = message.body;
        return error;
    }
    for (std::string_view rest = message.body; !rest.empty() && rest[0] != '\0';) {
        char const field = rest[0];
        rest.remove_prefix(1);
        auto const text = take_text(rest);
        if (!text) break;
        if (field == 'C') error.sqlstate = *text;
        if (field == 'M') error.message = *text;
    }
    return error;
}

std::optional<PostgresAuthentication> read_postgres_authentication(std::string_view body) {
    if (body.size() < 4 || number(body) > 1000) return std::nullopt;
    return PostgresAuthentication{static_cast<int>(number(body)), body.substr(4)};
}

bool offers_mechanism(std::string_view sasl_data, std::string_view mechanism) {
    for (auto name = take_text(sasl_data); name && !name->empty(); name = take_text(sasl_data))
        if (*name == mechanism) return true;
    return false;
}

std::optional<std::pair<std::string, std::string>> read_postgres_parameter(std::string_view body) {
    auto const name = take_text(body);
    auto const value = name ? take_text(body) : std::nullopt;
    if (!value) return std::nullopt;
    return std::pair{std::string(*name), std::string(*value)};
}

std::optional<std::string> read_postgres_first_value(std::string_view body) {
    if (body.size() < 2) return std::nullopt;
    if (body[0] == 0 && body[1] == 0) return std::string();
    if (body.size() < 6) return std::nullopt;
    std::uint32_t const length = number(body.substr(2));
    if (length == 0xffff'ffff) return "null";
    body.remove_prefix(6);
    if (length > body.size()) return std::nullopt;
    return std::string(body.substr(0, length));
}

std::string write_postgres_startup(std::initializer_list<std::pair<std::string_view, std::string_view>> parameters) {
    std::string body("\0\3\0\0", 4);
    for (auto const& [name, value] : parameters) {
        body += name;
        body += '\0';
        body += value;
        body += '\0';
    }
    body += '\0';
    return four_bytes(body.size() + 4) + body;
}

std::string write_postgres_message(char type, std::string_view body) { return type + four_bytes(body.size() + 4) + std::string(body); }

std::string write_postgres_sasl_first(std::string_view mechanism, std::string_view data) {
    return write_postgres_message('p', std::string(mechanism) + '\0' + four_bytes(data.size()) + std::string(data));
}

}  // namespace clusterd
