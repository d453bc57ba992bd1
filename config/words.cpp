// See words.hpp.
#include "config/words.hpp"

#include <algorithm>
#include <cctype>

namespace clusterd {

namespace {

bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool plain(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("_-./=:,+@%^").find(c) != std::string_view::npos;
}

bool environment_name(std::string_view name) {
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; });
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;  // also true for '' : an empty word is a word
    char quote = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        char const c = line[i];
        if (c == '\0') return Error{"holds a NUL byte"};
        if (quote == '\'') {
            if (c == '\'')
                quote = 0;
            else
                word += c;
        } else if (quote == '"') {
            if (c == '"')
                quote = 0;
            else if (c == '\\' && i + 1 < line.size() && (line[i + 1] == '"' || line[i + 1] == '\\'))
                word += line[++i];
            else
                word += c;
        } else if (blank(c)) {
            if (in_word) words.push_back(std::move(word));
            word.clear();
            in_word = false;
        } else {
            in_word = true;
            if (c == '\'' || c == '"') {
                quote = c;
            } else if (c == '\\') {
                if (i + 1 == line.size()) return Error{"ends in a backslash; write \\\\ for the character itself"};
                word += line[++i];
            } else {
                word += c;
            }
        }
    }
    if (quote != 0) return Error{std::string("has a quote (") + quote + ") that isn't closed"};
    if (in_word) words.push_back(std::move(word));
    return words;
}

std::string join_words(std::vector<std::string> const& words) {
    std::string line;
    for (std::string const& word : words) {
        if (!line.empty()) line += ' ';
        if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) {
            line += word;
            continue;
        }
        line += '\'';
        for (char c : word) {
            if (c == '\'')
                line += "'\\''";
            else
                line += c;
        }
        line += '\'';
    }
    return line;
}

Result<Environment> parse_environment(std::string_view line) {
    auto words = split_words(line);
    if (!words) return Error{words.error()};
    Environment environment;
    for (std::string const& word : *words) {
        std::size_t const equals = word.find('=');
        // The word itself isn't told: it may be half of a secret.
        std::string const nth = "word " + std::to_string(environment.size() + 1) + " ";
        if (equals == std::string::npos) return Error{nth + "isn't NAME=value; quote values with blanks: NAME='two words'"};
        std::string name = word.substr(0, equals);
        if (!environment_name(name)) return Error{nth + "has a name that isn't letters, digits and _ (not starting with a digit)"};
        auto const same = [&](auto const& pair) { return pair.first == name; };
        if (std::any_of(environment.begin(), environment.end(), same)) return Error{"gives " + name + " twice"};
        environment.emplace_back(std::move(name), word.substr(equals + 1));
    }
    return environment;
}

Result<std::string> unescape(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            bytes += text[i];
            continue;
        }
        if (++i == text.size()) return Error{"ends in a backslash; write \\\\ for the character itself"};
        switch (text[i]) {
            case 'r':
                bytes += '\r';
                break;
            case 'n':
                bytes += '\n';
                break;
            case 't':
                bytes += '\t';
                break;
            case '0':
                bytes += '\0';
                break;
            case '\\':
                bytes += '\\';
                break;
            case 'x': {
                int const high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
                int const low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
                if (high < 0 || low < 0) return Error{"has \\x without two hexadecimal digits"};
                bytes += static_cast<char>(high * 16 + low);
                i += 2;
                break;
            }
            default:
                return Error{std::string("has \\") + text[i] + "; known are \\r \\n \\t \\0 \\\\ \\xHH"};
        }
    }
    return bytes;
}

}  // namespace clusterd
