// Nagios' exit codes and output. See plugin.hpp.
#include "agents/plugin.hpp"

#include "agents/text.hpp"

#include <fmt/format.h>

#include <sys/wait.h>
#include <cstring>

namespace clusterd {

CheckOutcome plugin_outcome(int wait_status, std::string_view output) {
    output = output.substr(0, max_plugin_output);
    std::size_t const first_end =
        output.find('\n', output.find_first_not_of(" \t\r\n") == std::string_view::npos ? 0 : output.find_first_not_of(" \t\r\n"));
    std::string said = one_line(output.substr(0, std::min(first_end, output.find('|'))));
    if (WIFSIGNALED(wait_status)) {
        int const signal = WTERMSIG(wait_status);
        return {Health::unknown, fmt::format("the check was ended by signal {} ({}){}{}", signal, strsignal(signal),
                                             said.empty() ? "" : ": ", said)};
    }
    if (!WIFEXITED(wait_status)) return {Health::unknown, "the check ended in an unknown way"};
    int const code = WEXITSTATUS(wait_status);
    switch (code) {
        case 0:
            return {Health::ok, said};
        case 1:
            return {Health::degraded, said.empty() ? "exit code 1" : said};
        case 2:
            return {Health::failed, said.empty() ? "exit code 2" : said};
        case 3:
            return {Health::unknown, said.empty() ? "exit code 3" : said};
        default:
            return {Health::unknown, fmt::format("exit code {}, expected 0 to 3{}{}", code, said.empty() ? "" : ": ", said)};
    }
}

}  // namespace clusterd
