// What is written for NFS servers and read from them, as text: nfs-ganesha's EXPORT block, exportfs's arguments and etab. For
// ganesha_export.cpp and kernel_export.cpp; pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// One EXPORT block of ganesha.conf(5).
std::string ganesha_export_block(std::map<std::string, std::string> const& attributes, std::string const& resource);

struct KernelExport {
    std::string client, path;
    bool operator==(KernelExport const&) const = default;
};
// exportfs -o OPTIONS CLIENT:PATH, a command for each client.
std::vector<std::vector<std::string>> exportfs_commands(std::map<std::string, std::string> const& attributes, std::string const& resource);
std::vector<std::string> unexportfs_command(KernelExport const& e);
// /var/lib/nfs/etab: PATH, blanks, CLIENT(OPTIONS); blanks in paths as \040.
std::vector<KernelExport> read_etab(std::string_view text);

}  // namespace clusterd
