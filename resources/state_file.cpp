// See state_file.hpp.
#include "resources/state_file.hpp"

#include <fmt/format.h>

#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace clusterd {
namespace {

// "PID START" of our parent.
std::string guard_identity() {
    std::ifstream in("/proc/" + std::to_string(getppid()) + "/stat");
    std::stringstream text;
    text << in.rdbuf();
    std::string const stat = text.str();
    std::size_t const name_end = stat.rfind(')');  // the name may hold blanks and parentheses
    if (name_end == std::string::npos) return std::to_string(getppid());
    std::istringstream fields(stat.substr(name_end + 1));
    std::string field;
    for (int i = 3; i <= 22 && fields >> field; ++i) {
    }  // field 22: start time in ticks since boot
    return std::to_string(getppid()) + " " + field;
}

}  // namespace

std::string StateFile::usual_path(std::string const& kind, std::string const& name) {
    char const* const run = std::getenv("CLUSTERD_RUN_DIR");
    return run && *run ? std::string(run) + "/" + kind + "/" + name : std::string();
}

std::string StateFile::read() const {
    std::ifstream in(path_);
    std::string state, guard;
    if (!(in >> state)) return "offline";
    std::getline(in >> std::ws, guard);
    return guard == guard_identity() ? state : "offline";
}

std::string StateFile::write(std::string const& state) const {
    std::error_code ignored;  // what is wrong with the folder shows when the file is written
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
    std::string const fresh = path_ + ".new";
    {
        std::ofstream out(fresh, std::ios::trunc);
        out << state << ' ' << guard_identity() << '\n';
        if (!out.flush()) return fmt::format("can't write its state file {}: {}", fresh, std::strerror(errno));
    }
    if (rename(fresh.c_str(), path_.c_str()) != 0) return fmt::format("can't write its state file {}: {}", path_, std::strerror(errno));
    return {};
}

std::string StateFile::remove() const {
    if (unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
    return fmt::format("can't remove its state file {}: {}", path_, std::strerror(errno));
}

}  // namespace clusterd
