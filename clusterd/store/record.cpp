#include "clusterd/store/record.hpp"

#include "clusterd/wire/bytes.hpp"
#include "clusterd/wire/config_hash.hpp"

namespace clusterd::store {

namespace {

constexpr std::string_view commit_magic = "clusterm", identity_magic = "clustore", decision_magic = "clusdeci";
constexpr std::uint32_t version = 1;
constexpr std::size_t sum_bytes = 32;

std::string sealed(wire::Writer w) {
    std::string out = w.take();
    out.resize(sector - sum_bytes, '\0');
    Hash const sum = hash_of(out);
    out.append(reinterpret_cast<char const*>(sum.data()), sum.size());
    return out;
}
bool seal_is_right(std::string_view one) {
    wire::Reader sum(one.substr(sector - sum_bytes));
    return sum.bytes<sum_bytes>() == hash_of(one.substr(0, sector - sum_bytes));
}
std::string repeated(std::string const& one) {
    std::string out;
    while (out.size() < block) out += one;
    return out;
}

std::optional<Commit> decode_sector(std::string_view one, std::uint32_t& newer) {
    if (!seal_is_right(one)) return std::nullopt;
    wire::Reader r(one);
    if (r.raw(commit_magic.size()) != commit_magic) return std::nullopt;
    if (std::uint32_t const v = r.u32(); v != version) {
        newer = v;
        return std::nullopt;
    }
    Commit c;
    c.sequence = r.u64();
    c.terms.highest = r.u64();
    c.terms.joined = r.u64();
    c.terms.alone = r.u64();
    c.copy = r.u8();
    c.length = r.u64();
    c.decision = r.bytes<32>();
    if (!r.ok() || c.copy > 1 || c.length > max_decision || c.sequence == 0) return std::nullopt;
    return c;
}

}  // namespace

std::string another_version(std::uint32_t found) {
    return "its format is version " + std::to_string(found) + ", this program reads " + std::to_string(version) + "; install the clusterd that wrote it";
}

Hash hash_of(std::string_view bytes) { return hash_config(bytes); }

std::string encode_commit(Commit const& commit) {
    wire::Writer w;
    w.raw(commit_magic);
    w.u32(version);
    w.u64(commit.sequence);
    w.u64(commit.terms.highest);
    w.u64(commit.terms.joined);
    w.u64(commit.terms.alone);
    w.u8(commit.copy);
    w.u64(commit.length);
    w.bytes(commit.decision);
    return repeated(sealed(std::move(w)));
}

CommitBlock decode_commit(std::string_view bytes) {
    CommitBlock out;
    for (std::size_t at = 0; at + sector <= bytes.size() && at < block; at += sector) {
        auto const one = decode_sector(bytes.substr(at, sector), out.newer);
        if (!one) continue;
        ++out.right;
        if (out.newest && out.newest->sequence != one->sequence) out.mixed = true;
        if (!out.newest || out.newest->sequence < one->sequence) out.newest = one;
    }
    return out;
}

std::string encode_identity(StoreId id) {
    wire::Writer w;
    w.raw(identity_magic);
    w.u32(version);
    w.u64(id);
    return repeated(sealed(std::move(w)));
}

Result<StoreId> decode_identity(std::string_view bytes) {
    if (bytes.size() != block) return Error{"it has " + std::to_string(bytes.size()) + " bytes, not " + std::to_string(block)};
    for (std::size_t at = 0; at < block; at += sector) {
        std::string_view const one = bytes.substr(at, sector);
        if (!seal_is_right(one)) continue;
        wire::Reader r(one);
        if (r.raw(identity_magic.size()) != identity_magic) continue;
        if (std::uint32_t const v = r.u32(); v != version)
            return Error{another_version(v)};
        if (StoreId const id = r.u64(); id != 0) return id;
    }
    return Error{"it is damaged"};
}

std::string encode_decision_file(std::string_view decision) {
    wire::Writer w;
    w.raw(decision_magic);
    w.u32(version);
    w.u64(decision.size());
    w.bytes(hash_of(decision));
    std::string out = w.take();
    out.resize(decision_header_bytes, '\0');
    out.append(decision);
    return out;
}

Result<std::string_view> decode_decision_file(std::string_view bytes, Commit const& named) {
    if (bytes.size() < decision_header_bytes || bytes.size() - decision_header_bytes < named.length) return Error{"it is too short"};
    wire::Reader r(bytes.substr(0, decision_header_bytes));
    if (r.raw(decision_magic.size()) != decision_magic) return Error{"it doesn't begin as a stored decision does"};
    if (std::uint32_t const v = r.u32(); v != version)
        return Error{another_version(v)};
    std::uint64_t const length = r.u64();
    Hash const sum = r.bytes<32>();
    if (length != named.length || sum != named.decision) return Error{"it isn't the decision that the newest record of terms names"};
    std::string_view const content = bytes.substr(decision_header_bytes, named.length);
    if (hash_of(content) != sum) return Error{"it is damaged (bad checksum)"};
    return content;
}

}  // namespace clusterd::store
