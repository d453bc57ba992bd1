// See values.hpp.
#include "config/values.hpp"

#include <arpa/inet.h>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

namespace clusterd {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t ns;
};
constexpr Unit units[] = {{"d", 86'400'000'000'000}, {"h", 3'600'000'000'000}, {"min", 60'000'000'000},
                          {"s", 1'000'000'000},      {"ms", 1'000'000},        {"us", 1'000}};
constexpr std::int64_t longest_duration_ns = 3650 * units[0].ns;

bool digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool alnum(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// A port, 1..65535; 0 where it isn't one.
std::uint16_t port_of(std::string_view text) {
    unsigned value = 0;
    if (!digits(text) || text.size() > 5) return 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value >= 1 && value <= 65535 ? static_cast<std::uint16_t>(value) : std::uint16_t{0};
}

// HH:MM -> minute of the day.
std::optional<int> clock_time(std::string_view text) {
    if (text.size() != 5 || text[2] != ':' || !digits(text.substr(0, 2)) || !digits(text.substr(3))) return std::nullopt;
    int const hour = (text[0] - '0') * 10 + (text[1] - '0');
    int const minute = (text[3] - '0') * 10 + (text[4] - '0');
    if (hour > 23 || minute > 59) return std::nullopt;
    return hour * 60 + minute;
}

// Why no machine can have it as its own address for others to reach; empty = it can.
std::string unusable(IpAddress const& a) {
    auto const& b = a.bytes;
    if (!a.v6) {
        if (b[0] == 0) return "is in 0.0.0.0/8, which no machine can have";
        if (b[0] >= 224 && b[0] <= 239) return "is a multicast address";
        if (b[0] >= 240) return "is in a reserved range";
        return {};
    }
    if (std::all_of(b.begin(), b.end(), [](std::uint8_t x) { return x == 0; })) return "is the unspecified address";
    if (b[0] == 0xff) return "is a multicast address";
    if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
        return "is link-local, which means nothing without an interface; use a global or unique local one";
    bool const mapped =
        std::all_of(b.begin(), b.begin() + 10, [](std::uint8_t x) { return x == 0; }) && b[10] == 0xff && b[11] == 0xff;
    if (mapped) return "is an IPv4-mapped address; write it as IPv4";
    return {};
}

// Every bit of the address after the first `length` equals `one`.
bool host_bits_are(IpAddress const& a, int length, bool one) {
    for (int bit = length; bit < (a.v6 ? 128 : 32); ++bit) {
        bool const set = (a.bytes[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8)) & 1;
        if (set != one) return false;
    }
    return true;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
    static constexpr char const* allowed = "a duration is a whole number and a unit (us, ms, s, min, h, d), such as 300ms or 15min";
    std::size_t end = 0;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end == 0) return Error{std::string("isn't a duration; ") + allowed};
    std::string_view const unit_text = text.substr(end);
    if (unit_text.empty()) return Error{std::string("has no unit; ") + allowed};
    auto const* const unit = std::find_if(std::begin(units), std::end(units), [&](Unit const& u) { return u.name == unit_text; });
    if (unit == std::end(units)) return Error{std::string("isn't a duration; ") + allowed};
    std::int64_t count = 0;
    auto const [ptr, ec] = std::from_chars(text.data(), text.data() + end, count);
    if (ec != std::errc{} || count > longest_duration_ns / unit->ns) return Error{"is longer than 3650d"};
    return Duration{count * unit->ns};
}

std::string format_duration(Duration d) {
    std::int64_t const ns = d.count();
    if (ns == 0) return "0s";
    for (Unit const& unit : units) {
        if (ns % unit.ns == 0) return std::to_string(ns / unit.ns) + std::string(unit.name);
    }
    return std::to_string(ns) + "ns";
}

Result<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    auto const [ptr, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || ptr != text.data() + text.size()) return Error{"isn't a whole number"};
    return value;
}

Result<bool> parse_yes_no(std::string_view text) {
    if (text == "yes") return true;
    if (text == "no") return false;
    return Error{"isn't yes or no"};
}

std::optional<Error> check_name(std::string_view text) {
    static constexpr char const* allowed =
        "a name is letters, digits, '.', '_' and '-', starts with a letter or digit and has at most 63";
    if (text.empty() || text.size() > longest_name || !alnum(text[0])) return Error{std::string("isn't a name; ") + allowed};
    auto const fits = [](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; };
    if (!std::all_of(text.begin(), text.end(), fits)) return Error{std::string("isn't a name; ") + allowed};
    if (text == "and" || text == "or" || text == "not") return Error{"is a word of depends and can't be a name"};
    return std::nullopt;
}

Result<IpAddress> parse_address(std::string_view text) {
    static constexpr char const* allowed = "isn't an IPv4 or IPv6 address, such as 192.168.50.1 or fd00::1";
    std::string const copy(text);
    if (copy.find('\0') != std::string::npos) return Error{allowed};
    IpAddress address;
    address.v6 = copy.find(':') != std::string::npos;
    if (copy.find('/') != std::string::npos) return Error{"has a prefix length; here it is the address alone"};
    if (copy.find('%') != std::string::npos) return Error{"has a zone (%); link-local addresses can't be used"};
    if (inet_pton(address.v6 ? AF_INET6 : AF_INET, copy.c_str(), address.bytes.data()) != 1) return Error{allowed};
    if (std::string why = unusable(address); !why.empty()) return Error{why};
    return address;
}

std::string format_address(IpAddress const& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), static_cast<socklen_t>(text.size()));
    return text.data();
}

Result<IpPrefix> parse_address_prefix(std::string_view text) {
    std::size_t const slash = text.find('/');
    if (slash == std::string_view::npos) return Error{"has no prefix length; write it as 10.0.0.100/24 or fd00::100/64"};
    auto address = parse_address(text.substr(0, slash));
    if (!address) return Error{address.error()};
    std::string_view const length_text = text.substr(slash + 1);
    int const most = address->v6 ? 128 : 32;
    int length = 0;
    if (digits(length_text) && length_text.size() <= 3)
        std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
    if (length < 1 || length > most) return Error{"has a prefix length outside 1.." + std::to_string(most)};
    bool const has_network = length < most - 1;  // /31, /32, /127, /128 have neither
    if (has_network && host_bits_are(*address, length, false)) return Error{"is the network's own number, not an address in it"};
    if (has_network && !address->v6 && host_bits_are(*address, length, true)) return Error{"is the network's broadcast address"};
    return IpPrefix{*address, length};
}

Result<IpPrefix> parse_network(std::string_view text) {
    static constexpr char const* allowed = "isn't a network, such as 10.1.0.0/16, fd00:1::/64 or 0.0.0.0/0";
    std::size_t const slash = text.find('/');
    if (slash == std::string_view::npos) return Error{text.empty() ? allowed : "has no prefix length, such as /16; a single machine is a /32 (IPv6: /128)"};
    std::string const address_text(text.substr(0, slash));
    std::string_view const length_text = text.substr(slash + 1);
    IpPrefix network;
    network.address.v6 = address_text.find(':') != std::string::npos;
    if (address_text.find('\0') != std::string::npos ||
        inet_pton(network.address.v6 ? AF_INET6 : AF_INET, address_text.c_str(), network.address.bytes.data()) != 1)
        return Error{allowed};
    int const most = network.address.v6 ? 128 : 32;
    network.length = -1;
    if (digits(length_text) && length_text.size() <= 3) std::from_chars(length_text.data(), length_text.data() + length_text.size(), network.length);
    if (network.length < 0 || network.length > most) return Error{"has a prefix length outside 0.." + std::to_string(most)};
    if (!host_bits_are(network.address, network.length, false)) return Error{"has bits set beyond its prefix length: it is an address in the network, not the network"};
    return network;
}

Result<IpAddress> parse_gateway(std::string_view text) {
    auto address = parse_address(text);
    if (address) return address;
    IpAddress local{.v6 = true};
    std::string const copy(text);
    bool const is_local = copy.find('\0') == std::string::npos && inet_pton(AF_INET6, copy.c_str(), local.bytes.data()) == 1 && local.bytes[0] == 0xfe &&
                          (local.bytes[1] & 0xc0) == 0x80;
    return is_local ? Result<IpAddress>(local) : address;
}

Result<FailbackSpec> parse_failback(std::string_view text) {
    using Kind = FailbackSpec::Kind;
    if (text == "never") return FailbackSpec{};
    if (text == "immediate") return FailbackSpec{Kind::immediate, 0, 0};
    std::size_t const dash = text.find('-');
    if (dash != std::string_view::npos) {
        auto const from = clock_time(text.substr(0, dash));
        auto const to = clock_time(text.substr(dash + 1));
        if (from && to && *from == *to) return Error{"is an empty window; use never or immediate, or two different times"};
        if (from && to) return FailbackSpec{Kind::window, *from, *to};
    }
    return Error{"isn't never, immediate or a window of the day such as 22:00-04:00"};
}

Result<std::string> parse_dns_name(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    std::size_t label = 0, labels = 1;
    bool well = text.size() <= 253;
    for (std::size_t i = 0; well && i < text.size(); ++i) {
        char const c = text[i];
        if (c == '.') {
            well = label > 0 && text[i - 1] != '-';
            ++labels;
            label = 0;
            continue;
        }
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        well = ++label <= 63 && (plain || (c == '-' && label > 1));
    }
    if (!well || label == 0 || text.back() == '-' || labels < 2) return Error{"isn't a fully qualified name, such as www.example.com"};
    return std::string(text);
}

Result<std::string> parse_uuid(std::string_view text) {
    std::string uuid(text);
    bool well = uuid.size() == 36;
    for (std::size_t i = 0; well && i < uuid.size(); ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            well = uuid[i] == '-';
            continue;
        }
        if (uuid[i] >= 'A' && uuid[i] <= 'F') uuid[i] = static_cast<char>(uuid[i] - 'A' + 'a');
        well = (uuid[i] >= '0' && uuid[i] <= '9') || (uuid[i] >= 'a' && uuid[i] <= 'f');
    }
    if (!well) return Error{"isn't a UUID such as 0fc63daf-8483-4772-8e79-3d69d8477de4; `blkid DEVICE` prints it"};
    return uuid;
}

Result<StatusRange> parse_status_range(std::string_view text) {
    auto const code = [](std::string_view t) {
        return t.size() == 3 && digits(t) && t[0] >= '1' && t[0] <= '5' ? std::stoi(std::string(t)) : 0;
    };
    std::size_t const dash = text.find('-');
    StatusRange range;
    range.from = code(text.substr(0, dash));
    range.to = dash == std::string_view::npos ? range.from : code(text.substr(dash + 1));
    if (range.from == 0 || range.to < range.from)
        return Error{"isn't a status (100..599) or a range of them, such as 200 or 200-399"};
    return range;
}

Result<int> parse_times(std::string_view text) {
    if (text == "always") return times_always;
    int value = 0;
    if (!digits(text) || text.size() > 6) return Error{"isn't a number of times (0..999999) or always"};
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

Result<ReadyWhen> parse_ready(std::string_view text) {
    if (text == "started") return ReadyWhen{};
    if (text.substr(0, 4) == "tcp:") {
        if (auto const port = port_of(text.substr(4))) return ReadyWhen{ReadyWhen::Kind::tcp, port, {}};
        return Error{"needs a port 1..65535 after tcp:"};
    }
    if (text.substr(0, 5) == "file:") {
        if (text.substr(5, 1) == "/") return ReadyWhen{ReadyWhen::Kind::file, 0, std::string(text.substr(5))};
        return Error{"needs an absolute path after file:"};
    }
    return Error{"isn't started, tcp:PORT or file:/PATH"};
}

Result<Url> parse_url(std::string_view text) {
    Url url;
    for (char c : text) {
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '<' || c == '>' || c == '\\' || c == 0x7f) {
            return Error{"has a character that a URL can't have (write it as %XX)"};
        }
    }
    for (char const* scheme : {"http", "https"}) {
        std::string const start = std::string(scheme) + "://";
        if (text.substr(0, start.size()) == start) url.scheme = scheme;
    }
    if (url.scheme.empty()) return Error{"isn't a URL that starts with http:// or https://"};
    std::string_view rest = text.substr(url.scheme.size() + 3);
    std::size_t const slash = std::min(rest.find_first_of("/?#"), rest.size());
    std::string_view authority = rest.substr(0, slash);
    url.path = std::string(rest.substr(slash));
    if (url.path.empty() || url.path[0] != '/') url.path.insert(0, "/");
    if (std::size_t const login = authority.rfind('@'); login != std::string_view::npos) {
        url.has_login = true;
        authority.remove_prefix(login + 1);
    }
    url.port = url.scheme == "https" ? 443 : 80;
    std::size_t colon = authority.rfind(':');
    if (!authority.empty() && authority[0] == '[') {
        std::size_t const close = authority.find(']');
        if (close == std::string_view::npos) return Error{"has [ without ]"};
        url.host = std::string(authority.substr(1, close - 1));
        in6_addr ignored{};
        if (inet_pton(AF_INET6, url.host.c_str(), &ignored) != 1) return Error{"has no IPv6 address between [ and ]"};
        if (close + 1 < authority.size() && authority[close + 1] != ':') return Error{"has something other than :PORT after ]"};
        colon = close + 1 < authority.size() ? close + 1 : std::string_view::npos;
    } else {
        url.host = std::string(authority.substr(0, colon));
        if (url.host.find(':') != std::string::npos) return Error{"has an IPv6 address without [ and ]"};
    }
    if (url.host.empty()) return Error{"names no machine"};
    if (colon != std::string_view::npos) {
        url.port = port_of(authority.substr(colon + 1));
        if (url.port == 0) return Error{"has a port outside 1..65535"};
    }
    return url;
}

Result<std::pair<std::string, std::string>> parse_header(std::string_view text) {
    static constexpr char const* allowed = "isn't a header of the form \"Name: value\"";
    std::size_t const colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) return Error{allowed};
    std::string_view const name = text.substr(0, colon);
    auto const token = [](char c) { return alnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos; };
    if (!std::all_of(name.begin(), name.end(), token)) return Error{allowed};
    std::string_view value = text.substr(colon + 1);
    auto const control = [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t'; };
    if (std::any_of(value.begin(), value.end(), control)) return Error{allowed};
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    return std::pair{std::string(name), std::string(value)};
}

std::vector<std::string> split_blanks(std::string_view text) {
    std::vector<std::string> words;
    std::size_t at = 0;
    while (at < text.size()) {
        at = text.find_first_not_of(" \t\r\n", at);
        if (at == std::string_view::npos) break;
        std::size_t const end = std::min(text.find_first_of(" \t\r\n", at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

}  // namespace clusterd
