// See smb_answer.hpp.
#include "agents/smb_answer.hpp"

#include <algorithm>
#include <cctype>

namespace clusterd {
namespace {

constexpr std::size_t header_size = 64, body_size = 36, longest_answer = 64u << 10;
constexpr std::uint16_t dialects[] = {0x0202, 0x0210, 0x0300, 0x0302, 0x0311};
constexpr std::uint32_t from_server = 1, not_supported = 0xc00000bb;

void put(std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
}
std::uint32_t get(std::string_view from, std::size_t at, int bytes) {  // within what is there
    std::uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(from[at + static_cast<std::size_t>(i)]);
    return value;
}

std::string header() {
    std::string h = "\xfeSMB";
    put(h, header_size, 2);
    put(h, 0, 2);   // credit charge
    put(h, 0, 4);   // status
    put(h, 0, 2);   // NEGOTIATE
    put(h, 1, 2);   // credits asked for
    put(h, 0, 4);   // flags
    put(h, 0, 4);   // next command
    put(h, 0, 8);   // message id
    put(h, 0, 8);   // process, tree
    put(h, 0, 8);   // session
    h.append(16, '\0');  // signature
    return h;
}

std::string in_words(std::uint32_t dialect) {
    switch (dialect) {
        case 0x0202: return "SMB 2.0.2";
        case 0x0210: return "SMB 2.1";
        case 0x0300: return "SMB 3.0";
        case 0x0302: return "SMB 3.0.2";
        case 0x0311: return "SMB 3.1.1";
        default: return {};
    }
}

}  // namespace

std::string write_smb_negotiate(SmbRandom const& random) {
    std::string m = header();
    put(m, body_size, 2);
    put(m, std::size(dialects), 2);
    put(m, 1, 2);  // signing enabled
    put(m, 0, 2);
    put(m, 0, 4);  // capabilities
    for (std::size_t i = 0; i < 16; ++i) m += static_cast<char>(random[i]);
    std::size_t const contexts = m.size();  // where they begin, once it is known
    put(m, 0, 4);
    put(m, 1, 2);  // one context
    put(m, 0, 2);
    for (std::uint16_t const dialect : dialects) put(m, dialect, 2);
    while (m.size() % 8 != 0) m += '\0';
    for (int i = 0; i < 4; ++i) m[contexts + static_cast<std::size_t>(i)] = static_cast<char>(m.size() >> (8 * i) & 0xff);
    put(m, 1, 2);       // preauthentication integrity
    put(m, 2 + 2 + 2 + 32, 2);
    put(m, 0, 4);
    put(m, 1, 2);  // one hash
    put(m, 32, 2);
    put(m, 1, 2);  // SHA-512
    for (std::size_t i = 16; i < 48; ++i) m += static_cast<char>(random[i]);
    std::string framed;
    for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(m.size() >> shift & 0xff);
    return framed + m;
}

std::optional<Result<std::string>> read_smb_negotiate(std::string_view bytes) {
    Error const no_smb{"what came is no answer of an SMB2 server"};
    if (bytes.empty()) return std::nullopt;
    if (bytes[0] != '\0') return Result<std::string>(no_smb);
    if (bytes.size() < 4) return std::nullopt;
    std::size_t const length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[1])) << 16 |
                               static_cast<std::size_t>(static_cast<unsigned char>(bytes[2])) << 8 | static_cast<unsigned char>(bytes[3]);
    if (length < header_size + 9 || length > longest_answer) return Result<std::string>(no_smb);
    if (bytes.size() < 4 + length) return std::nullopt;
    std::string_view const m = bytes.substr(4, length);
    bool const ours = m.starts_with("\xfeSMB") && get(m, 4, 2) == header_size && get(m, 12, 2) == 0 && (get(m, 16, 4) & from_server) != 0;
    if (!ours) return Result<std::string>(no_smb);
    std::uint32_t const status = get(m, 8, 4);
    if (status == not_supported) return Result<std::string>(Error{"it speaks no dialect from SMB 2.0.2 to 3.1.1"});
    if (status != 0) {
        std::string text;
        for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[status >> shift & 0xf];
        return Result<std::string>(Error{"it refuses to negotiate: status 0x" + text});
    }
    if (length < header_size + 64 || get(m, header_size, 2) != 65) return Result<std::string>(no_smb);
    std::string const dialect = in_words(get(m, header_size + 4, 2));
    return dialect.empty() ? Result<std::string>(no_smb) : Result<std::string>(dialect);
}

std::string smb_status_in(std::string_view output) {
    std::size_t const at = output.find("NT_STATUS_");
    if (at == std::string_view::npos) return {};
    std::size_t end = at;
    while (end < output.size() && end - at < 80 && (std::isalnum(static_cast<unsigned char>(output[end])) || output[end] == '_')) ++end;
    return std::string(output.substr(at, end - at));
}

}  // namespace clusterd
