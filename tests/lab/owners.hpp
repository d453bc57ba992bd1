// Which nodes answer for the address at the same instant: the lab's judge of "never two owners". Called by probe.cpp every few ms.
//
// A sample is one ARP request (IPv6: neighbour solicitation) to everybody, and one ICMP echo request to each node's own MAC, all
// carrying the sample's number; so answers are counted for their own sample however late they come. Two nodes that answer one
// sample are two owners. Needs CAP_NET_RAW.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lab {

using Mac = std::array<std::uint8_t, 6>;

struct NodeMac {
    std::string name;
    Mac mac{};
};

// What was seen of one node.
struct Seen {
    std::int64_t first_us = 0, last_us = 0;  // CLOCK_BOOTTIME
    std::uint64_t samples = 0;
};

class OwnerSampler {
public:
    // `first_source`: the first of source_addresses that nobody uses; they stand in requests only. Throws std::runtime_error.
    OwnerSampler(std::string const& interface, std::string const& address, std::string const& first_source, std::vector<NodeMac> nodes);
    ~OwnerSampler();
    OwnerSampler(OwnerSampler const&) = delete;
    OwnerSampler& operator=(OwnerSampler const&) = delete;

    int fd() const { return socket_; }
    void sample();   // send the next one
    void receive();  // whatever has arrived

    std::uint64_t samples() const { return number_; }
    std::uint64_t two_owner_instants() const { return two_; }
    std::int64_t first_two_us() const { return first_two_us_; }
    std::map<std::string, Seen> const& seen() const { return seen_; }

private:
    static constexpr int source_addresses = 32;  // the sample's number modulo this is in the ARP request's sender address

    void send_arp();
    void send_solicitation();
    void send_echo4(Mac const& to);
    void send_echo6(Mac const& to);
    void send(std::vector<std::uint8_t> const& frame);
    void answered(Mac const& by, std::uint64_t sample, std::int64_t when_us);
    void receive_frame(std::uint8_t const* frame, std::size_t size, std::int64_t when_us);
    void receive_ip6(std::uint8_t const* packet, std::size_t size, Mac const& from, std::int64_t when_us);
    std::uint64_t sample_of(std::uint16_t sequence) const;

    int socket_ = -1;
    int interface_index_ = 0;
    bool v6_ = false;
    std::array<std::uint8_t, 16> address_{};  // of the cluster
    std::array<std::uint8_t, 16> own_{};      // the client's, in the same net
    std::array<std::uint8_t, 16> source_{};   // the first of source_addresses; never own_, whose requests the kernel makes, too
    Mac own_mac_{};
    std::vector<NodeMac> nodes_;
    std::uint64_t number_ = 0;
    std::uint64_t two_ = 0;
    std::int64_t first_two_us_ = 0;
    std::map<std::uint64_t, std::uint32_t> answers_;  // recent samples: which nodes, as bits
    std::map<std::string, Seen> seen_;
};

}  // namespace lab
