// See samba_words.hpp.
#include "resources/samba_words.hpp"

#include "config/shares.hpp"
#include "config/values.hpp"
#include "resources/attributes.hpp"

#include <algorithm>
#include <cctype>

namespace clusterd {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = std::min(text.find('\n', at), text.size());
        visit(text.substr(at, end - at));
        at = end + 1;
    }
}

// A number at the beginning, up to what a pid may be; 0: none.
int number_at(std::string_view text) {
    int n = 0;
    for (std::size_t i = 0; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])); ++i) {
        n = n * 10 + (text[i] - '0');
        if (n > (1 << 22)) return 0;
    }
    return n;
}

}  // namespace

std::string samba_section(std::map<std::string, std::string> const& all, std::string const& resource) {
    Attributes const attributes(all);
    auto const yes = [&](char const* name, bool fallback) { return attributes.yes(name, fallback) ? "yes" : "no"; };
    std::string text = "# resource " + resource + "\n[" + share_name(all, resource) + "]\n";
    auto const line = [&text](std::string const& name, std::string const& value) { text += "\t" + name + " = " + value + "\n"; };
    line("path", attributes.text("path"));
    line("read only", yes("read-only", false));
    line("browseable", yes("browseable", true));
    line("guest ok", yes("guest", false));
    if (auto const comment = attributes.text("comment"); !comment.empty()) line("comment", comment);
    if (auto const users = attributes.text("valid-users"); !users.empty()) line("valid users", users);
    if (auto const options = parse_smb_options(attributes.text("options")))
        for (auto const& [name, value] : *options) line(name, value);
    return text;
}

std::string samba_include_file(std::vector<std::string> const& sections) {
    std::string text = "# The cluster's shares on this node, written by clusterd as they come and go. Changes made here are lost.\n";
    for (std::string const& section : sections) text += section;
    return text + "[global]\n";
}

std::optional<std::map<std::string, std::string>> testparm_section(std::string_view output, std::string_view share) {
    std::optional<std::map<std::string, std::string>> found;
    bool inside = false;
    for_each_line(output, [&](std::string_view line) {
        line = trimmed(line);
        if (line.size() > 2 && line.front() == '[' && line.back() == ']') {
            inside = smb_folded(line.substr(1, line.size() - 2)) == smb_folded(share);
            if (inside && !found) found.emplace();
            return;
        }
        std::size_t const equals = line.find('=');
        if (!inside || equals == std::string_view::npos) return;
        std::string name;
        for (char c : line.substr(0, equals))
            if (!std::isspace(static_cast<unsigned char>(c))) name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        (*found)[name] = trimmed(line.substr(equals + 1));
    });
    return found;
}

std::string testparm_unknown_parameter(std::string_view output) {
    constexpr std::string_view complaint = "Unknown parameter encountered: \"";
    std::size_t const at = output.find(complaint);
    if (at == std::string_view::npos) return {};
    std::string_view const rest = output.substr(at + complaint.size(), 80);
    return std::string(rest.substr(0, rest.find_first_of("\"\n")));
}

std::vector<int> smbstatus_sessions(std::string_view output, std::string_view share) {
    std::vector<int> pids;
    for_each_line(output, [&](std::string_view line) {
        if (line.size() <= share.size() || line[share.size()] != ' ' || smb_folded(line.substr(0, share.size())) != smb_folded(share)) return;
        std::string_view const rest = trimmed(line.substr(share.size()));
        std::string_view const machine = trimmed(rest.substr(std::min(rest.find_first_not_of("0123456789"), rest.size())));
        // "docs 2   31   10.0.0.9" is share "docs 2", not process 2 of share "docs": a machine isn't called by a number.
        bool const longer = machine.substr(0, machine.find(' ')).find_first_not_of("0123456789") == std::string_view::npos;
        int const pid = longer ? 0 : number_at(rest);
        if (pid > 1 && std::find(pids.begin(), pids.end(), pid) == pids.end()) pids.push_back(pid);
    });
    return pids;
}

bool has_no_reply(std::string_view output) { return output.find("No replies received") != std::string_view::npos; }

int pong_pid(std::string_view output) {
    constexpr std::string_view pong = "PONG from pid ";
    std::size_t const at = output.find(pong);
    return at == std::string_view::npos ? 0 : number_at(output.substr(at + pong.size()));
}

}  // namespace clusterd
