// Turns the text of one attribute into its value. Called by config/ to check a file, and by drivers, agents and clusterctl to
// read attributes again: what config/ accepted, these parse. Pure; any bytes give a value or an error that says what is allowed.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/spec.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clusterd {

// "300ms", "15min": a whole number and a unit (us, ms, s, min, h, d); at most ten years.
Result<Duration> parse_duration(std::string_view text);
// In the largest unit that loses nothing: "15min", "1500ms".
std::string format_duration(Duration d);

Result<std::int64_t> parse_integer(std::string_view text);
Result<bool> parse_yes_no(std::string_view text);

// Letters, digits, . _ - ; starts with a letter or digit; at most 63; not `and`, `or`, `not` (words of depends).
inline constexpr std::size_t longest_name = 63;
std::optional<Error> check_name(std::string_view text);

struct IpAddress {
    bool v6 = false;
    std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 in the first four
    auto operator<=>(IpAddress const&) const = default;
};
// A literal that one machine can have: not 0.0.0.0 or ::, multicast, broadcast, link-local IPv6 or IPv4-mapped.
Result<IpAddress> parse_address(std::string_view text);
std::string format_address(IpAddress const& address);

struct IpPrefix {
    IpAddress address;
    int length = 0;
};
// "10.0.0.100/24"; not the network's own number, not its broadcast.
Result<IpPrefix> parse_address_prefix(std::string_view text);

// "10.1.0.0/16", "0.0.0.0/0": no bit set beyond its length.
Result<IpPrefix> parse_network(std::string_view text);
// As parse_address, and IPv6 link-local addresses.
Result<IpAddress> parse_gateway(std::string_view text);

Result<FailbackSpec> parse_failback(std::string_view text);

// "200" or "200-399".
struct StatusRange {
    int from = 200, to = 399;
};
Result<StatusRange> parse_status_range(std::string_view text);
// "0FC63DAF-8483-4772-8E79-3D69D8477DE4", in small letters.
Result<std::string> parse_uuid(std::string_view text);

// "www.example.com", without a dot at its end: labels of letters, digits, - and _, at least two of them.
Result<std::string> parse_dns_name(std::string_view text);

// A number of times, or "always" (= times_always).
inline constexpr int times_always = INT32_MAX;
Result<int> parse_times(std::string_view text);

// When a started process counts as online: started | tcp:PORT | file:PATH.
struct ReadyWhen {
    enum class Kind : std::uint8_t { started, tcp, file };
    Kind kind = Kind::started;
    std::uint16_t port = 0;  // tcp: a connection to it on 127.0.0.1 or ::1 is accepted
    std::string path;        // file: exists
};
Result<ReadyWhen> parse_ready(std::string_view text);

struct Url {
    std::string scheme;  // http or https
    bool has_login = false;
    std::string host;  // IPv6 without its brackets
    std::uint16_t port = 0;
    std::string path;  // with query; never empty
};
Result<Url> parse_url(std::string_view text);

// "Name: value" -> the two. The error never repeats the value.
Result<std::pair<std::string, std::string>> parse_header(std::string_view text);

// Words separated by blanks, without quotes.
std::vector<std::string> split_blanks(std::string_view text);

}  // namespace clusterd
