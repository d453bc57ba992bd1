// See config_hash.hpp.
#include "clusterd/wire/config_hash.hpp"

#include <sodium.h>

namespace clusterd {

ConfigPtr unread_config(std::string xml) {
    auto config = std::make_shared<Config>();
    config->hash = hash_config(xml);
    config->xml = std::move(xml);
    return config;
}

Hash hash_config(std::string_view xml) {
    Hash hash{};
    crypto_generichash(hash.data(), hash.size(), reinterpret_cast<unsigned char const*>(xml.data()), xml.size(), nullptr, 0);
    return hash;
}

std::string to_hex(Hash const& hash) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * hash.size());
    for (std::uint8_t const b : hash) {
        text.push_back(digits[b >> 4]);
        text.push_back(digits[b & 15]);
    }
    return text;
}

Result<Hash> hash_from_hex(std::string_view text) {
    Hash hash{};
    std::size_t size = 0;
    bool const good = text.size() == 2 * hash.size() &&
                      sodium_hex2bin(hash.data(), hash.size(), text.data(), text.size(), nullptr, &size, nullptr) == 0 &&
                      size == hash.size();
    if (!good) return Error{"a configuration's hash is 64 hex characters, not '" + std::string(text.substr(0, 80)) + "'"};
    return hash;
}

}  // namespace clusterd
