// What the attributes of <file-share> may say beyond their kinds, and what a share is called where nobody says it. Pure.
//
// Called by config/ to check a file, and by the driver file-share to read the attributes again: what check accepted, these parse.
// All of it ends up in another program's configuration file, so nothing that could end a line or a quoted word gets through.
#pragma once

#include "clusterd/core/result.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clusterd {

// Why `value` can't be the text of that attribute, or nothing. `all`: the resource's attributes, defaults included.
std::optional<std::string> why_no_share(std::map<std::string, std::string> const& all, std::string const& attribute);

// Attributes that only one protocol, or one server, has: why this one says nothing here, or nothing.
std::optional<std::string> why_not_of_share(std::map<std::string, std::string> const& all, std::string_view attribute);

using ShareOptions = std::vector<std::pair<std::string, std::string>>;
// "veto files = /tmp/; create mask = 0640" -> pairs. Names that attributes stand for are refused.
Result<ShareOptions> parse_smb_options(std::string_view text);
// "SecType = krb5p; Transports = TCP" -> pairs.
Result<ShareOptions> parse_ganesha_options(std::string_view text);

// How Samba compares share names: without case.
std::string smb_folded(std::string_view name);

// What clients call it: attribute `share`, or the resource's name. NFS: as a path, /media.
std::string share_name(std::map<std::string, std::string> const& all, std::string const& resource);
// Attribute `export-id`, or a number made of the resource's name (1024..65535), the same on both nodes: it is part of clients' file handles.
int export_id(std::map<std::string, std::string> const& all, std::string const& resource);

// Is `path` in the directory `in`, or that itself?
bool lies_in(std::string_view path, std::string_view in);

}  // namespace clusterd
