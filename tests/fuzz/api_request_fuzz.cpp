// Everything the API and clusterctl read from the other side of the socket, with any bytes: no input may crash or hang them.
//
// libFuzzer's entry point. The first byte picks the reader; for targets the second the method.
#include "clusterd/api/request.hpp"
#include "clusterd/wire/api.hpp"
#include "clusterd/wire/status.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace clusterd;

namespace {

void read_target(std::string_view text) {
    auto const request = api::parse_target(api::Method::get, text);
    if (request && (request->path.empty() || request->limit < 1 || request->limit > 1000)) std::abort();
}

// What is accepted must survive its own writing.
void read_command(std::string_view text) {
    auto const command = parse_command(text);
    if (!command) return;
    auto const again = parse_command(command_json(*command));
    if (!again || !(*again == *command)) std::abort();
}

void read_status(std::string_view text) {
    auto const status = parse_status(text);
    if (status && !parse_status(status_json(*status))) std::abort();
}

void read_rest(std::string_view text) {
    (void)error_of(text);
    (void)parse_rfc3339(text);
    if (auto const p = parse_progress(text)) (void)progress_json(*p);
    if (auto const e = parse_events(text)) (void)events_json(*e);
    if (auto const f = parse_failovers(text)) (void)failovers_json(*f);
    if (auto const f = parse_failover(text)) (void)failover_json(*f);  // a line of the history in the state directory
    (void)parse_accepted(text);
    if (auto const t = parse_timing(text)) (void)timing_json(*t);
    (void)parse_force(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view const text(reinterpret_cast<char const*>(data) + 1, size - 1);
    switch (data[0] % 4) {
        case 0:
            read_target(text);
            break;
        case 1:
            read_command(text);
            break;
        case 2:
            read_status(text);
            break;
        default:
            read_rest(text);
            break;
    }
    return 0;
}
