// See nfs_words.hpp.
#include "resources/nfs_words.hpp"

#include "config/shares.hpp"
#include "config/values.hpp"
#include "resources/attributes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace clusterd {
namespace {

std::string client_of_exportfs(std::string const& client) {  // IPv6 with its brackets: CLIENT:PATH must stay readable
    if (client.find(':') == std::string::npos) return client;
    std::size_t const slash = client.find('/');
    return "[" + client.substr(0, slash) + "]" + (slash == std::string::npos ? "" : client.substr(slash));
}

}  // namespace

std::string ganesha_export_block(std::map<std::string, std::string> const& all, std::string const& resource) {
    Attributes const attributes(all);
    int const id = export_id(all, resource);
    char const* const access = attributes.yes("read-only") ? "RO" : "RW";
    std::string const squash = attributes.text("squash", "root");
    std::string text = fmt::format("# resource {}, written by clusterd when it adds the export\nEXPORT {{\n\tExport_Id = {};\n\tPath = \"{}\";\n\tPseudo = \"{}\";\n", resource, id,
                                   attributes.text("path"), share_name(all, resource));
    text += fmt::format("\tFilesystem_Id = {}.{};\n\tSquash = {};\n", id, id, squash == "all" ? "All_Squash" : squash == "none" ? "No_Root_Squash" : "Root_Squash");
    if (auto const options = parse_ganesha_options(attributes.text("options")))
        for (auto const& [name, value] : *options) text += fmt::format("\t{} = {};\n", name, value);
    std::string const clients = attributes.text("clients", "*");
    if (clients == "*") {
        text += fmt::format("\tAccess_Type = {};\n", access);
    } else {
        std::string list;
        for (std::string const& client : split_blanks(clients)) list += (list.empty() ? "" : ", ") + client;
        text += fmt::format("\tAccess_Type = None;\n\tCLIENT {{ Clients = {}; Access_Type = {}; }}\n", list, access);
    }
    return text + "\tFSAL { Name = VFS; }\n}\n";
}

std::vector<std::vector<std::string>> exportfs_commands(std::map<std::string, std::string> const& all, std::string const& resource) {
    Attributes const attributes(all);
    std::string const squash = attributes.text("squash", "root"), more = attributes.text("options");
    std::string const options = fmt::format("{},fsid={},{}{}{}", attributes.yes("read-only") ? "ro" : "rw", export_id(all, resource),
                                            squash == "all" ? "all_squash" : squash == "none" ? "no_root_squash" : "root_squash", more.empty() ? "" : ",", more);
    std::vector<std::vector<std::string>> commands;
    for (std::string const& client : split_blanks(attributes.text("clients", "*")))
        commands.push_back({"exportfs", "-o", options, client_of_exportfs(client) + ":" + attributes.text("path")});
    return commands;
}

std::vector<std::string> unexportfs_command(KernelExport const& e) { return {"exportfs", "-u", client_of_exportfs(e.client) + ":" + e.path}; }

std::vector<KernelExport> read_etab(std::string_view text) {
    std::vector<KernelExport> all;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const end = std::min(text.find('\n', at), text.size());
        std::string_view const line = text.substr(at, end - at);
        at = end + 1;
        std::size_t const blank = line.find_first_of(" \t");
        if (blank == std::string_view::npos || line.front() != '/') continue;
        KernelExport e;
        std::string_view const path = line.substr(0, blank);
        for (std::size_t i = 0; i < path.size(); ++i) {
            auto const octal = [&](std::size_t k) { return i + k < path.size() && path[i + k] >= '0' && path[i + k] <= '7'; };
            if (path[i] == '\\' && octal(1) && octal(2) && octal(3)) {
                e.path += static_cast<char>((path[i + 1] - '0') * 64 + (path[i + 2] - '0') * 8 + (path[i + 3] - '0'));
                i += 3;
            } else {
                e.path += path[i];
            }
        }
        std::size_t const from = line.find_first_not_of(" \t", blank);
        if (from == std::string_view::npos) continue;
        e.client = line.substr(from, line.find('(', from) - from);
        if (!e.client.empty()) all.push_back(std::move(e));
    }
    return all;
}

}  // namespace clusterd
