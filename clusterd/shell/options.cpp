#include "clusterd/shell/options.hpp"

#include <string_view>
#include <utility>

namespace clusterd {

Result<WorkerOptions> parse_worker_options(int argc, char** argv) {
    WorkerOptions o;
    std::pair<std::string_view, std::string*> const known[] = {{"--node", &o.node},       {"--config", &o.config}, {"--state-dir", &o.state_dir},
                                                               {"--run-dir", &o.run_dir}, {"--key", &o.key},       {"--log-format", &o.log_format}};
    for (int i = 1; i < argc; ++i) {
        std::string_view const arg = argv[i];
        auto const equals = arg.find('=');
        std::string_view const name = arg.substr(0, equals);
        std::string* target = nullptr;
        for (auto const& [option, where] : known)
            if (option == name) target = where;
        if (!target) return Error{"unknown option " + std::string(arg)};
        if (equals != std::string_view::npos) *target = arg.substr(equals + 1);
        else if (i + 1 < argc) *target = argv[++i];
        else return Error{"option " + std::string(arg) + " wants a value"};
    }
    if (o.node.empty()) return Error{"--node NAME is missing"};
    if (!o.log_format.empty() && o.log_format != "journal" && o.log_format != "text" && o.log_format != "json")
        return Error{"--log-format is journal, text or json, not '" + o.log_format + "'"};
    return o;
}

}  // namespace clusterd
