// See dns_update.hpp.
#include "resources/dns_update.hpp"

#include <fmt/format.h>

#include <cctype>

namespace clusterd {
namespace {

std::string beginning(DnsUpdate const& u) {
    return fmt::format("server {} {}\n{}", u.server, u.port, u.zone.empty() ? "" : "zone " + u.zone + ".\n");
}
char const* type_of(IpAddress const& address) { return address.v6 ? "AAAA" : "A"; }

// The last line that says something; nsupdate's comments begin with ";".
std::string last_words(std::string_view output) {
    while (!output.empty() && std::isspace(static_cast<unsigned char>(output.back()))) output.remove_suffix(1);
    auto line = output.substr(output.rfind('\n') == std::string_view::npos ? 0 : output.rfind('\n') + 1);
    while (!line.empty() && (line.front() == ';' || line.front() == ' ')) line.remove_prefix(1);
    return std::string(line.substr(0, 200));
}

}  // namespace

std::string owner_name(std::string const& name) { return "_clusterd." + name; }

std::string claim_script(DnsUpdate const& u) {
    std::string text = beginning(u);
    for (char const* type : {"A", "AAAA"}) text += fmt::format("update delete {}. {}\n", u.name, type);
    for (IpAddress const& address : u.addresses) text += fmt::format("update add {}. {} {} {}\n", u.name, u.ttl_s, type_of(address), format_address(address));
    return text + fmt::format("update delete {0}. TXT\nupdate add {0}. {1} TXT \"{2}\"\nsend\n", owner_name(u.name), u.ttl_s, u.token);
}

std::string release_script(DnsUpdate const& u) {
    std::string text = beginning(u) + fmt::format("prereq yxrrset {}. TXT \"{}\"\n", owner_name(u.name), u.token);
    for (IpAddress const& address : u.addresses) text += fmt::format("prereq yxrrset {}. {} {}\n", u.name, type_of(address), format_address(address));
    for (char const* type : {"A", "AAAA"}) text += fmt::format("update delete {}. {}\n", u.name, type);
    return text + fmt::format("update delete {}. TXT\nsend\n", owner_name(u.name));
}

NsupdateAnswer read_nsupdate(bool succeeded, std::string_view output, DnsUpdate const& u, std::string const& key) {
    using What = NsupdateAnswer::What;
    auto const says = [&](std::string_view what) { return output.find(what) != std::string_view::npos; };
    std::string const server = fmt::format("DNS server {} port {}", u.server, u.port);
    if (says("could not read key")) return {What::refused, "nsupdate can't read the key file: " + last_words(output)};
    if (succeeded) return {What::done, {}};
    for (char const* code : {"NXRRSET", "YXRRSET", "NXDOMAIN", "YXDOMAIN"})
        if (says(std::string("update failed: ") + code)) return {What::not_ours, {}};
    if (says("BADKEY"))
        return {What::refused, fmt::format("{} doesn't know the key {} (or not with this algorithm): compare the key file with the server's key statement", server, key)};
    if (says("BADSIG"))
        return {What::refused, fmt::format("{} knows the key {} with another secret: copy the server's key file to this node", server, key)};
    if (says("BADTIME")) return {What::refused, fmt::format("{} and this node have different clocks: set them right", server)};
    if (says("update failed: REFUSED"))
        return {What::refused, fmt::format("{} refuses: the key {} may not change {} and {}; allow it there (allow-update, or update-policy with subdomain)", server,
                                           key, u.name, owner_name(u.name))};
    if (says("update failed: NOTAUTH") || says("update failed: NOTZONE") || says("failed: REFUSED") || says("failed: NOTAUTH") || says("enclosing zone"))
        return {What::refused, fmt::format("{} isn't the primary of {}; give it as server, and the zone as zone", server,
                                           u.zone.empty() ? "a zone with " + u.name : "zone " + u.zone)};
    if (says("timed out") || says("refused") || says("unreachable") || says("could not reach"))
        return {What::no_answer, fmt::format("{} doesn't answer: {}", server, says("timed out") ? "timed out" : says("connection refused") ? "connection refused" : "it can't be reached")};
    if (says("not found")) return {What::refused, "nsupdate isn't installed on this node; install the package bind9-dnsutils"};
    return {What::refused, fmt::format("{} didn't take the update: {}", server, last_words(output))};
}

Result<std::string> tsig_key_name(std::string_view text) {
    Error const wrong{"isn't a key as tsig-keygen writes it: key \"NAME\" { algorithm hmac-sha256; secret \"...\"; };"};
    std::string bare;  // without comments
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        line = line.substr(0, std::min(line.find('#'), line.find("//")));
        bare += std::string(line) + ' ';
        at = end + 1;
    }
    std::size_t at = bare.find_first_not_of(" \t\r");
    if (at == std::string::npos || bare.compare(at, 3, "key") != 0) return wrong;
    std::size_t const open = bare.find('{', at), algorithm = bare.find("algorithm", at), secret = bare.find("secret", at);
    if (open == std::string::npos || algorithm == std::string::npos || secret == std::string::npos || algorithm < open || secret < open) return wrong;
    std::string name = bare.substr(at + 3, open - at - 3);
    std::erase_if(name, [](char c) { return c == '"' || c == ' ' || c == '\t' || c == '\r'; });
    for (char const c : name)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_') return wrong;
    if (name.empty() || name.size() > 253) return wrong;
    return name;
}

}  // namespace clusterd
