// Any bytes as the state store's files, as they are and with the checksums made right: what is taken can be written and read again.
#include "clusterd/store/record.hpp"

#include <cstdlib>

namespace {

using namespace clusterd;
using namespace clusterd::store;

constexpr std::size_t sum_bytes = sizeof(Hash);

// Eight sectors of the input, each with its checksum made right.
std::string with_checksums(std::string_view input) {
    std::string out;
    for (std::size_t n = 0; n < block / sector; ++n) {
        std::string one(n * sector < input.size() ? input.substr(n * sector, sector - sum_bytes) : std::string_view());
        one.resize(sector - sum_bytes, '\0');
        Hash const sum = hash_of(one);
        out += one;
        out.append(reinterpret_cast<char const*>(sum.data()), sum.size());
    }
    return out;
}

void read_commit(std::string_view bytes) {
    CommitBlock const found = decode_commit(bytes);
    if (found.right < 0 || found.right > 8 || found.newest.has_value() != (found.right > 0)) std::abort();
    if (!found.newest) return;
    CommitBlock const again = decode_commit(encode_commit(*found.newest));
    if (!again.newest || !(*again.newest == *found.newest) || again.right != 8 || again.mixed) std::abort();
}

void read_identity(std::string_view bytes) {
    auto const id = decode_identity(bytes);
    if (!id) return;
    auto const again = decode_identity(encode_identity(*id));
    if (!again || *again != *id) std::abort();
}

// The content's hash, made by its first reader, is what a record of terms would name.
void read_decision(std::string_view bytes) {
    Commit named;
    named.length = bytes.size() < decision_header_bytes ? 0 : bytes.size() - decision_header_bytes;
    named.decision = hash_of(bytes.size() < decision_header_bytes ? std::string_view() : bytes.substr(decision_header_bytes));
    auto const content = decode_decision_file(bytes, named);
    if (content && content->size() != named.length) std::abort();
    Commit longer = named;
    longer.length = max_decision;
    if (bytes.size() < max_decision && decode_decision_file(bytes, longer)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const bytes(reinterpret_cast<char const*>(data), size);
    std::string const right = with_checksums(bytes);
    for (std::string_view const each : {bytes, std::string_view(right)}) {
        read_commit(each);
        read_identity(each);
    }
    read_decision(bytes);
    return 0;
}
