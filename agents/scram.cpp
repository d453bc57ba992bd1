// See scram.hpp.
#include "agents/scram.hpp"

#include <sodium.h>

#include <array>
#include <charconv>
#include <vector>

namespace clusterd {
namespace {

using Hash = std::array<unsigned char, crypto_hash_sha256_BYTES>;
constexpr int max_iterations = 1'000'000;  // a second or so; servers use 4096

unsigned char const* bytes_of(std::string_view text) { return reinterpret_cast<unsigned char const*>(text.data()); }
std::string_view text_of(Hash const& hash) { return {reinterpret_cast<char const*>(hash.data()), hash.size()}; }

Hash hmac(std::string_view key, std::string_view text) {
    crypto_auth_hmacsha256_state state;
    Hash out;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size());
    crypto_auth_hmacsha256_update(&state, bytes_of(text), text.size());
    crypto_auth_hmacsha256_final(&state, out.data());
    return out;
}

Hash salted(std::string_view password, std::string_view salt, int iterations) {
    Hash u = hmac(password, std::string(salt) + std::string("\0\0\0\1", 4));
    Hash all = u;
    for (int i = 1; i < iterations; ++i) {
        u = hmac(password, text_of(u));
        for (std::size_t at = 0; at < all.size(); ++at) all[at] = static_cast<unsigned char>(all[at] ^ u[at]);
    }
    return all;
}

std::string base64(std::string_view text) {
    std::string out(sodium_base64_encoded_len(text.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(out.data(), out.size(), bytes_of(text), text.size(), sodium_base64_VARIANT_ORIGINAL);
    out.pop_back();  // the zero byte
    return out;
}

// "r=NONCE": the part of that letter, which must come next.
bool take(std::string_view& rest, char letter, std::string_view& value) {
    if (rest.size() < 2 || rest[0] != letter || rest[1] != '=') return false;
    std::size_t const end = std::min(rest.find(','), rest.size());
    value = rest.substr(2, end - 2);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return true;
}

}  // namespace

std::string scram_first(std::string_view nonce) { return "n,,n=,r=" + std::string(nonce); }

Result<ScramProof> scram_final(std::string_view password, std::string_view nonce, std::string_view server_first) {
    std::string_view rest = server_first, whole_nonce, salt_text, iterations_text;
    if (!take(rest, 'r', whole_nonce) || !take(rest, 's', salt_text) || !take(rest, 'i', iterations_text)) return Error{"its SCRAM message can't be read"};
    if (nonce.empty() || !whole_nonce.starts_with(nonce) || whole_nonce.size() == nonce.size()) return Error{"its SCRAM message answers another one"};
    int iterations = 0;
    auto const [end, failed] = std::from_chars(iterations_text.data(), iterations_text.data() + iterations_text.size(), iterations);
    if (failed != std::errc{} || end != iterations_text.data() + iterations_text.size() || iterations < 1 || iterations > max_iterations)
        return Error{"its SCRAM message asks for a number of iterations that isn't from 1 to 1000000"};
    std::vector<unsigned char> salt(salt_text.size() + 1);
    std::size_t salt_size = 0;
    if (sodium_base642bin(salt.data(), salt.size(), salt_text.data(), salt_text.size(), nullptr, &salt_size, nullptr, sodium_base64_VARIANT_ORIGINAL) != 0)
        return Error{"its SCRAM message has no salt"};

    Hash const key = salted(password, {reinterpret_cast<char const*>(salt.data()), salt_size}, iterations);
    std::string const without_proof = "c=biws,r=" + std::string(whole_nonce);
    std::string const signed_text = "n=,r=" + std::string(nonce) + "," + std::string(server_first) + "," + without_proof;
    Hash proof = hmac(text_of(key), "Client Key"), stored;
    crypto_hash_sha256(stored.data(), proof.data(), proof.size());
    Hash const signature = hmac(text_of(stored), signed_text);
    for (std::size_t at = 0; at < proof.size(); ++at) proof[at] = static_cast<unsigned char>(proof[at] ^ signature[at]);
    Hash const of_server = hmac(text_of(hmac(text_of(key), "Server Key")), signed_text);
    return ScramProof{without_proof + ",p=" + base64(text_of(proof)), "v=" + base64(text_of(of_server))};
}

}  // namespace clusterd
