// What is written for Samba and read from its programs, as text: a share's section, the file that smb.conf includes, and the outputs of
// testparm, smbstatus and smbcontrol. For samba_share.cpp; pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// The share's section, with the resource's name in a comment.
std::string samba_section(std::map<std::string, std::string> const& attributes, std::string const& resource);

// What smb.conf includes: all sections, and [global] again at the end, so that what follows the include line is where it was.
std::string samba_include_file(std::vector<std::string> const& sections);

// Parameters of that section in testparm's output (names without blanks, in lower case); nullopt: there is no such section.
std::optional<std::map<std::string, std::string>> testparm_section(std::string_view output, std::string_view share);
// A parameter in testparm's complaint that it doesn't know, or empty.
std::string testparm_unknown_parameter(std::string_view output);

// The processes that have clients' connections to that share, of `smbstatus -S`.
std::vector<int> smbstatus_sessions(std::string_view output, std::string_view share);

// Of `smbcontrol smbd ping`: "PONG from pid 14"; 0: there is no such answer.
int pong_pid(std::string_view output);
bool has_no_reply(std::string_view output);  // there is an smbd, and it didn't answer in time

}  // namespace clusterd
