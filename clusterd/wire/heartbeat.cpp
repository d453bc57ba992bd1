// See heartbeat.hpp.
#include "clusterd/wire/heartbeat.hpp"

#include "clusterd/wire/bytes.hpp"

#include <sodium.h>
#include <algorithm>

namespace clusterd {
namespace {

constexpr std::string_view magic = "CHB";
constexpr std::uint8_t version = 1;
constexpr std::size_t header_size = 3 + 1 + 16 + 1 + 1 + 8 + 8;
constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t body_size = 1 + 1 + 8 + 8 + 8 + 16 + 16 + 16 + 16 + 8 + 16 + 1 + 4 + 4 + 4 + 4;
constexpr std::size_t packet_size = header_size + nonce_size + body_size + tag_size;
static_assert(packet_size <= max_heartbeat_packet);
static_assert(sizeof(Key::bytes) == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

enum : std::uint8_t { store_listed = 1, disk_fresh = 2, disk_ok = 4, abstains = 8, all_flags = 15 };

unsigned char const* octets(std::string_view s) {
    return reinterpret_cast<unsigned char const*>(s.data());
}

void write_echo(wire::Writer& w, Echo const& e) {
    w.u64(e.incarnation), w.instant(e.sent);
}
Echo read_echo(wire::Reader& r) {
    Echo e;
    e.incarnation = r.u64();
    e.sent = r.instant();
    return e;
}

std::string encode_body(Heartbeat const& h) {
    [[maybe_unused]] auto const& [a, b, c, d, e, f, g, i, j, k, l, m, n, o, p, q, r, s, t, u] = h;  // a new field doesn't compile
    wire::Writer w;
    w.enumeration(h.role);
    w.u8(static_cast<std::uint8_t>((h.store_listed ? store_listed : 0) | (h.disk_fresh ? disk_fresh : 0) | (h.disk_ok ? disk_ok : 0) |
                                   (h.abstains ? abstains : 0)));
    w.instant(h.sent);
    w.u64(h.highest);
    w.u64(h.own);
    write_echo(w, h.echo);
    write_echo(w, h.greeting);
    w.u64(h.offer.term), w.u64(h.offer.to);
    w.decision_id(h.newest);
    w.u64(h.store);
    w.bytes(h.cluster);
    w.u8(h.fitness.networks_down);
    w.u32(h.fitness.groups_online);
    w.u32(h.scheduling_delay_us);
    w.u32(h.disk_latency_us);
    w.u32(h.networks);
    return w.take();
}

Result<Heartbeat> decode_body(std::string_view body, HeartbeatHeader const& header) {
    wire::Reader r(body);
    Heartbeat h;
    h.from = header.from;
    h.incarnation = header.incarnation;
    h.role = r.enumeration(Role::joined);
    std::uint8_t const flags = r.u8();
    if (flags > all_flags) r.fail("unknown flags");
    h.store_listed = flags & store_listed;
    h.disk_fresh = flags & disk_fresh;
    h.disk_ok = flags & disk_ok;
    h.abstains = flags & abstains;
    h.sent = r.instant();
    h.highest = r.u64();
    h.own = r.u64();
    h.echo = read_echo(r);
    h.greeting = read_echo(r);
    h.offer.term = r.u64();
    h.offer.to = r.u64();
    h.newest = r.decision_id();
    h.store = r.u64();
    h.cluster = r.bytes<16>();
    h.fitness.networks_down = r.u8();
    h.fitness.groups_online = r.u32();
    h.scheduling_delay_us = r.u32();
    h.disk_latency_us = r.u32();
    h.networks = r.u32();
    if (auto const end = r.finish("a heartbeat"); !end) return Error{end.error()};
    return h;
}

}  // namespace

ClusterTag cluster_tag(std::string_view cluster_name) {
    ClusterTag tag{};
    crypto_generichash(tag.data(), tag.size(), octets(cluster_name), cluster_name.size(), nullptr, 0);
    return tag;
}

std::string seal_heartbeat(Heartbeat const& h, ClusterTag const& cluster, int link, std::uint64_t counter, Key const& key) {
    wire::Writer w;
    w.raw(magic);
    w.u8(version);
    w.bytes(cluster);
    w.enumeration(h.from);
    w.u8(static_cast<std::uint8_t>(link));
    w.u64(h.incarnation);
    w.u64(counter);
    // Random, not the counter: 192 bits never meet again, whatever a restart or a restored machine does to counters.
    std::array<std::uint8_t, nonce_size> nonce{};
    randombytes_buf(nonce.data(), nonce.size());
    std::string packet = w.take();
    packet.resize(packet_size);
    std::copy(nonce.begin(), nonce.end(), packet.begin() + header_size);
    std::string const body = encode_body(h);
    crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(packet.data()) + header_size + nonce_size, nullptr,
                                               octets(body), body.size(), octets(packet), header_size, nullptr, nonce.data(),
                                               key.bytes.data());
    return packet;
}

Result<HeartbeatHeader> read_heartbeat_header(std::string_view packet) {
    if (packet.size() < header_size || packet.substr(0, magic.size()) != magic) return Error{"not a heartbeat"};
    wire::Reader r(packet.substr(magic.size(), header_size - magic.size()));
    if (std::uint8_t const v = r.u8(); v != version)
        return Error{"a heartbeat of version " + std::to_string(v) + ", this program knows version " + std::to_string(version) +
                     "; install the same clusterd on both nodes"};
    if (packet.size() != packet_size) return Error{"a heartbeat of " + std::to_string(packet.size()) + " bytes"};
    HeartbeatHeader h;
    h.cluster = r.bytes<16>();
    h.from = r.node();
    h.link = r.u8();
    h.incarnation = r.u64();
    h.counter = r.u64();
    if (auto const end = r.finish("a heartbeat's header"); !end) return Error{end.error()};
    return h;
}

Result<Heartbeat> open_heartbeat(std::string_view packet, Key const& key) {
    auto const header = read_heartbeat_header(packet);
    if (!header) return Error{header.error()};
    std::array<char, body_size> body{};
    bool const sealed =
        crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(body.data()), nullptr, nullptr,
                                                   octets(packet) + header_size + nonce_size, body_size + tag_size, octets(packet),
                                                   header_size, octets(packet) + header_size, key.bytes.data()) == 0;
    if (!sealed) return Error{"a heartbeat that isn't sealed with this cluster's key; both nodes need the same key file"};
    return decode_body({body.data(), body.size()}, *header);
}

}  // namespace clusterd
