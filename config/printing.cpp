#include "config/printing.hpp"

#include <algorithm>

namespace clusterd {

namespace {
bool printable(char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; }
}  // namespace

bool is_queue_name(std::string_view name) {
    return !name.empty() && name.size() <= 127 && name[0] != '-' && std::all_of(name.begin(), name.end(), [](char c) { return printable(c) && std::string_view("/#\\?'\",").find(c) == std::string_view::npos; });
}

bool is_device_uri(std::string_view uri) {
    std::size_t const colon = uri.find(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == uri.size() || uri.size() > 1023) return false;
    auto const in_scheme = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; };
    if (uri[0] < 'a' || uri[0] > 'z') return false;  // RFC 3986: a scheme begins with a letter
    return std::all_of(uri.begin(), uri.begin() + static_cast<std::ptrdiff_t>(colon), in_scheme) && std::all_of(uri.begin(), uri.end(), printable);
}

}  // namespace clusterd
