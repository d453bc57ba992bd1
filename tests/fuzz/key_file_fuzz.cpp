// Any bytes as a key file: a key or a refusal, and nothing but 64 hex characters (blank space behind them) is a key.
#include "clusterd/wire/key.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cctype>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace clusterd;
    static int const fd = [] {
        int const made = memfd_create("key", MFD_CLOEXEC);
        if (made < 0 || fchmod(made, 0600) != 0) std::abort();
        return made;
    }();
    static std::string const path = "/proc/self/fd/" + std::to_string(fd);
    if (ftruncate(fd, 0) != 0 || (size > 0 && pwrite(fd, data, size, 0) != static_cast<ssize_t>(size))) std::abort();
    auto const key = load_key(path);
    std::string_view text(reinterpret_cast<char const*>(data), size);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    bool good = text.size() == 64 && size <= 128;
    for (char const c : text.substr(0, 64)) good = good && std::isxdigit(static_cast<unsigned char>(c));
    if (static_cast<bool>(key) != good) std::abort();
    if (!key && key.error().find(path) == std::string::npos) std::abort();
    return 0;
}
