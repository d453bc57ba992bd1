// Any bytes as what testparm, smbstatus, smbcontrol and etab say, and as a share's attributes: read or refused, never a crash; and nothing that is
// accepted as an option can end its line.
#include "config/shares.hpp"
#include "resources/nfs_words.hpp"
#include "resources/samba_words.hpp"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(unsigned char const* data, std::size_t size) {
    std::string const in(reinterpret_cast<char const*>(data), size);
    for (char const* share : {"docs", "a b", ""}) {
        for (int pid : clusterd::smbstatus_sessions(in, share))
            if (pid <= 1) std::abort();
        if (auto const section = clusterd::testparm_section(in, share))
            for (auto const& [name, value] : *section)
                if (value.find('\n') != std::string::npos || name.size() + value.size() > size) std::abort();
    }
    if (clusterd::testparm_unknown_parameter(in).size() > 80 || clusterd::pong_pid(in) < 0) std::abort();
    for (auto const& e : clusterd::read_etab(in))
        if (e.client.empty() || !e.path.starts_with('/')) std::abort();

    std::map<std::string, std::string> all{{"protocol", "smb"}, {"path", in}, {"share", in}, {"comment", in}, {"valid-users", in}, {"options", in}};
    bool accepted = true;
    for (char const* attribute : {"path", "share", "comment", "valid-users", "options"}) accepted = !clusterd::why_no_share(all, attribute) && accepted;
    if (accepted) {
        std::string const section = clusterd::samba_section(all, "r");
        auto const options = clusterd::parse_smb_options(in);
        auto const lines = std::count(section.begin(), section.end(), '\n');
        if (!options || lines != static_cast<std::ptrdiff_t>(8 - (in.empty() ? 2 : 0) + static_cast<std::ptrdiff_t>(options->size()))) std::abort();
    }
    all = {{"protocol", "nfs"}, {"server", "ganesha"}, {"path", in}, {"share", in}, {"options", in}, {"clients", in}};
    accepted = true;
    for (char const* attribute : {"path", "share", "options", "clients"}) accepted = !clusterd::why_no_share(all, attribute) && accepted;
    std::string const block = clusterd::ganesha_export_block(all, "r");
    if (accepted && std::count(block.begin(), block.end(), '"') != 4) std::abort();
    return 0;
}
