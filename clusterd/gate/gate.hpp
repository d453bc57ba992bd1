// The address gate: makes the kernel silence the cluster's addresses when this node's permit ends, whatever has become of our processes.
//
// nftables tables of our own drop, at raw priority, whatever is sent to (input) or comes from (output, forward, ARP replies, neighbour
// advertisements) a cluster address that isn't in a set whose elements time out. The worker says which addresses this node serves
// (allow) and until when (permit); the gate renews the elements every renew_every. What it promises (docs/protocol.md, "The address gate"):
//   1. an allowed address is silent from permit end - 15 ms on, to the kernel's timer granularity, without any of our processes running;
//   2. a renewal that was delayed between reading the clock and the kernel's commit (a freeze) is undone at once afterwards;
//   3. when someone removes our tables (`nft flush ruleset`), they are put back at once, counted and told.
// Called by the worker on its loop's thread. nft(8) sets the tables up; renewals go over netlink and never wait for a process.
#pragma once

#include "clusterd/core/result.hpp"
#include "clusterd/core/time.hpp"
#include "clusterd/shell/loop.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace clusterd {

struct GateOptions {
    std::string table = "clusterd";  // the tables' name: letters, digits, _; one gate per name and network namespace
    Duration renew_every = std::chrono::milliseconds(250);  // P/4
    // An element's life ends this much before the permit, for the kernel's timer granularity.
    Duration margin = std::chrono::milliseconds(15);
    Duration nft_deadline = std::chrono::seconds(5);  // for one run of nft(8)
    std::string nft = "nft";                          // a path, or a name looked up in PATH
    std::vector<std::string> interfaces;              // where announcements (AF_PACKET) are gated too, if the kernel has egress hooks
    bool remove_on_close = false;                     // the tables go with the Gate; else they stay, closed
    std::function<void(std::string const& message)> notify;  // what an operator should know
};

class Gate {
public:
    enum class State : std::uint8_t {
        unopened,     // open() was not called yet
        active,       // the tables stand
        restoring,    // someone removed them; nft is putting them back
        unavailable,  // no nft, no right to use it, or nftables is missing: reason() says which and what to do
    };

    Gate(Loop& loop, GateOptions options);
    ~Gate();
    Gate(Gate const&) = delete;
    Gate& operator=(Gate const&) = delete;

    // Sets the tables up, closed for every cluster address; waits for nft(8), at most nft_deadline. Elements of tables that stand
    // already (a worker that died and was followed) keep their own timeouts, so a restart of the worker cuts nothing.
    Result<Done> open();

    // Where addresses of the cluster are, beside those of the options. Before open() or after; then in the background, with nothing closed meanwhile.
    void add_interfaces(std::vector<std::string> const& interfaces);

    // All addresses of the cluster, whoever owns them; IPv4 or IPv6, a prefix length is ignored. Before open() or after.
    Result<Done> set_addresses(std::vector<std::string> const& addresses);

    // This node serves `address` from now on, while a permit holds; and no more.
    Result<Done> allow(std::string const& address);
    Result<Done> disallow(std::string const& address);

    // This node's permit ends at `end`. Cheap: the kernel is told every renew_every, at once where `end` is earlier than what it knows.
    // An end that has passed silences every address before this returns.
    void permit(Instant end);

    State state() const;
    std::string const& reason() const;       // unavailable, or the last thing that went wrong; empty if nothing did
    std::uint64_t times_restored() const;    // how often the tables had to be put back
    std::uint64_t renewals() const;          // batches sent to the kernel
    bool announcements_gated() const;        // egress chains stand on every interface of the options

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace clusterd
