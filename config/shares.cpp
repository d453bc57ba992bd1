// See shares.hpp.
#include "config/shares.hpp"

#include "config/values.hpp"

#include <algorithm>
#include <cctype>

namespace clusterd {
namespace {

std::string text_of(std::map<std::string, std::string> const& all, std::string const& name) {
    auto const it = all.find(name);
    return it == all.end() ? std::string() : it->second;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

bool one_line_only(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

// As Samba compares the names of parameters: without case and blanks.
std::string plain(std::string_view parameter) {
    std::string made;
    for (char c : parameter)
        if (!std::isspace(static_cast<unsigned char>(c))) made += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return made;
}

constexpr std::pair<char const*, char const*> smb_taken[] = {
    {"path", "path"},           {"directory", "path"},         {"comment", "comment"},  {"readonly", "read-only"}, {"writeable", "read-only"},
    {"writable", "read-only"},  {"writeok", "read-only"},      {"browseable", "browseable"}, {"browsable", "browseable"}, {"guestok", "guest"},
    {"public", "guest"},        {"validusers", "valid-users"}, {"available", ""},       {"copy", ""},             {"include", ""},
    {"configfile", ""},         {"printable", ""},             {"printok", ""},
};
constexpr std::pair<char const*, char const*> ganesha_taken[] = {
    {"export_id", "export-id"}, {"path", "path"},     {"pseudo", "share"}, {"access_type", "read-only"},
    {"squash", "squash"},       {"filesystem_id", ""}, {"clients", "clients"},
};

template <std::size_t n>
Result<ShareOptions> parse_options(std::string_view text, std::pair<char const*, char const*> const (&taken)[n], bool blanks) {
    ShareOptions options;
    for (std::size_t at = 0; at <= text.size();) {
        std::size_t const end = std::min(text.find(';', at), text.size());
        std::string_view const part = trimmed(text.substr(at, end - at));
        at = end + 1;
        if (part.empty()) continue;
        std::size_t const equals = part.find('=');
        std::string_view const name = trimmed(part.substr(0, std::min(equals, part.size())));
        std::string_view const value = equals == std::string_view::npos ? std::string_view{} : trimmed(part.substr(equals + 1));
        auto const fits = [blanks](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || (blanks && (c == ' ' || c == ':')); };
        if (name.empty() || value.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), fits))
            return Error{"\"" + std::string(part.substr(0, 64)) + "\" isn't NAME = VALUE; several are separated by ;"};
        for (auto const& [parameter, attribute] : taken)
            if (plain(name) == parameter)
                return Error{*attribute ? std::string(name) + " is said by the attribute '" + attribute + "'"
                                        : std::string(name) + " is the cluster's own matter"};
        options.emplace_back(name, value);
    }
    return options;
}

std::optional<std::string> why_no_smb_name(std::string const& name) {
    if (name.size() > 80) return "at most 80 characters are allowed";
    for (char c : name)
        if (std::string_view(R"(%<>*?|/\+=;:",[])").find(c) != std::string_view::npos) return std::string("the character ") + c + " can't stand in a share's name";
    for (char const* reserved : {"global", "homes", "printers", "print$", "ipc$"})
        if (smb_folded(name) == reserved) return "that name has a meaning of its own in Samba; choose another";
    return std::nullopt;
}

std::optional<std::string> why_no_nfs_name(std::string const& name) {
    std::string const path = name.starts_with('/') ? name : "/" + name;
    if (path == "/" || path.ends_with('/') || path.find("//") != std::string::npos || (path + "/").find("/../") != std::string::npos)
        return "a path such as /media is expected, which clients mount; / is the server's own";
    return std::nullopt;
}

std::optional<std::string> why_no_clients(std::string const& text) {
    for (std::string const& client : split_blanks(text)) {
        if (client == "*") continue;
        std::string const address = client.substr(0, client.find('/'));
        if (parse_address(address) && address.size() == client.size()) continue;
        auto const length = address.size() < client.size() ? parse_integer(client.substr(address.size() + 1)) : Result<std::int64_t>(Error{});
        auto const fits = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == '@' || c == '*' || c == '?'; };
        auto const base = parse_address(address);
        bool const network = length && base && *length >= 0 && *length <= (base->v6 ? 128 : 32);
        bool const named = client.find('/') == std::string::npos && client.find(':') == std::string::npos && std::all_of(client.begin(), client.end(), fits);
        if (!network && !named) return "\"" + client + "\" is no client: addresses, networks (10.0.0.0/24), names, @netgroups or * are expected, separated by blanks";
    }
    return std::nullopt;
}

}  // namespace

Result<ShareOptions> parse_smb_options(std::string_view text) { return parse_options(text, smb_taken, true); }

Result<ShareOptions> parse_ganesha_options(std::string_view text) {
    if (text.find_first_of("{}#") != std::string_view::npos) return Error{"blocks { } and comments can't stand here"};
    return parse_options(text, ganesha_taken, false);
}

std::string smb_folded(std::string_view name) {
    std::string folded(name);
    std::transform(folded.begin(), folded.end(), folded.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return folded;
}

std::optional<std::string> why_no_share(std::map<std::string, std::string> const& all, std::string const& attribute) {
    std::string const value = text_of(all, attribute);
    bool const smb = text_of(all, "protocol") == "smb", kernel = text_of(all, "server") == "kernel";
    if (!one_line_only(value)) return "control characters can't stand here";
    if (smb && value.ends_with('\\')) return "it can't end with a backslash, which goes on with the next line in Samba's configuration";
    if (attribute == "path") {
        if (value == "/" || (value + "/").find("/../") != std::string::npos) return "a directory below / without .. is expected";
        if (value.find_first_of(smb ? "%" : kernel ? "\"\\ " : "\"\\#") != std::string::npos)
            return smb ? "Samba would replace what comes after %" : "a path without quotes, backslashes and the like is expected";
    }
    if (attribute == "share") {
        if (!smb && value.find_first_of("\"\\#{};") != std::string::npos) return "a path without quotes and the like is expected";
        return smb ? why_no_smb_name(value) : why_no_nfs_name(value);
    }
    if (attribute == "clients") return why_no_clients(value);
    if (attribute == "options" && smb) {
        auto const parsed = parse_smb_options(value);
        if (!parsed) return parsed.error();
    } else if (attribute == "options" && !kernel) {
        auto const parsed = parse_ganesha_options(value);
        if (!parsed) return parsed.error();
    } else if (attribute == "options" && value.find_first_of(" ()") != std::string::npos) {
        return "options of exports(5) are expected, separated by commas, such as sync,sec=krb5p";
    }
    return std::nullopt;
}

std::optional<std::string> why_not_of_share(std::map<std::string, std::string> const& all, std::string_view attribute) {
    struct Row {
        std::string_view name, protocol, server;
    };
    static constexpr Row rows[] = {{"comment", "smb", ""},   {"browseable", "smb", ""}, {"guest", "smb", ""},        {"valid-users", "smb", ""}, {"server", "nfs", ""},
                                   {"clients", "nfs", ""},   {"squash", "nfs", ""},     {"export-id", "nfs", ""},    {"grace", "nfs", "ganesha"}};
    std::string const protocol = text_of(all, "protocol"), server = text_of(all, "server");
    for (Row const& row : rows) {
        if (row.name != attribute) continue;
        if (row.protocol != protocol) return "it says something of protocol=\"" + std::string(row.protocol) + "\" only";
        if (!row.server.empty() && row.server != server) return "it says something of server=\"" + std::string(row.server) + "\" only";
    }
    if (attribute == "share" && protocol == "nfs" && server == "kernel") return "the kernel's server exports a directory by its path; it has no other name";
    return std::nullopt;
}

std::string share_name(std::map<std::string, std::string> const& all, std::string const& resource) {
    std::string const given = text_of(all, "share"), name = given.empty() ? resource : given;
    if (text_of(all, "protocol") == "smb") return name;
    if (text_of(all, "server") == "kernel") return text_of(all, "path");
    return name.starts_with('/') ? name : "/" + name;
}

int export_id(std::map<std::string, std::string> const& all, std::string const& resource) {
    if (auto const given = parse_integer(text_of(all, "export-id"))) return static_cast<int>(*given);
    std::uint32_t hash = 2166136261u;  // FNV-1a
    for (char c : resource) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    return static_cast<int>(1024 + hash % (65536 - 1024));
}

bool lies_in(std::string_view path, std::string_view in) {
    while (in.size() > 1 && in.ends_with('/')) in.remove_suffix(1);
    return path == in || (path.starts_with(in) && (in == "/" || path[in.size()] == '/'));
}

}  // namespace clusterd
