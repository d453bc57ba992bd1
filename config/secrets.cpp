// Finds secrets that were written into the file (reader.hpp). What is found is never repeated in a message.
#include "config/secrets.hpp"
#include "config/reader.hpp"
#include "config/values.hpp"
#include "config/words.hpp"

#include <algorithm>
#include <cctype>

namespace clusterd {

namespace {

std::string lower(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    return result;
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

bool names_a_secret(std::string_view name) {
    std::string const n = lower(name);
    for (std::string_view harmless : {"-file", "-path", "-dir", "-url"}) {
        if (ends_with(n, harmless)) return false;
    }
    for (std::string_view part :
         {"password", "passwd", "passphrase", "secret", "token", "credential", "api-key", "apikey", "private-key"}) {
        if (n.find(part) != std::string::npos) return true;
    }
    for (std::string_view whole : {"key", "pass", "pwd", "pw", "auth", "authorization", "login", "community"}) {
        if (n == whole || ends_with(n, "-" + std::string(whole))) return true;
    }
    return false;
}

std::optional<std::string> secret_in(Attribute const& row, std::string const& value) {
    if (row.kind == AttributeKind::url) {
        // Also where the URL is otherwise bad: anything before an @ in the part that names the machine.
        std::size_t const start = value.find("://");
        std::size_t const from = start == std::string::npos ? 0 : start + 3;
        std::string const authority = value.substr(from, value.find_first_of("/?#", from) - from);
        if (authority.find('@') != std::string::npos) {
            return "holds a login (user:password@), and secrets never stand in the configuration; use user= and password-file=";
        }
    }
    if (row.kind == AttributeKind::header) {
        std::string name = lower(value.substr(0, value.find(':')));
        while (!name.empty() && name.back() == ' ') name.pop_back();
        if (name == "cookie" || name == "set-cookie" || ends_with(name, "authorization") || names_a_secret(name)) {
            return "holds a secret (" + name + "), and secrets never stand in the configuration; use request-header-file=";
        }
    }
    if (row.kind == AttributeKind::environment) {
        auto const environment = parse_environment(value);
        if (!environment) return std::nullopt;  // said by why_not
        for (auto const& [name, text] : *environment) {
            if (names_a_secret(name) && !text.empty()) {
                return "holds a secret (" + name + "), and secrets never stand in the configuration; use environment-file=";
            }
        }
    }
    return std::nullopt;
}

std::optional<std::string> command_trap(std::string const& value) {
    auto const words = split_words(value);
    if (!words) return std::nullopt;
    for (std::string const& word : *words) {
        for (std::string_view shell : {"|", "||", "&&", "&", ";", ">", ">>", "<", "2>&1"}) {
            if (word == shell) {
                return "has the word " + quoted(word) +
                       ", which only a shell understands, and none is run; use sh -c '...' where that is meant";
            }
        }
        std::size_t const equals = word.find('=');
        if (word.substr(0, 2) == "--" && equals != std::string::npos && names_a_secret(word.substr(2, equals - 2))) {
            return "gives " + quoted(word.substr(0, equals)) +
                   ", which every user of the node can read in the list of processes; use environment-file=";
        }
    }
    return std::nullopt;
}

}  // namespace clusterd
