// The names of things that are numbers. None converts into another by accident.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace clusterd {

// Which node of the pair, in the order of the file: `a` is the first <node>. a's terms are odd, b's even.
enum class NodeIndex : std::uint8_t { a = 0, b = 1 };
constexpr NodeIndex other(NodeIndex n) { return n == NodeIndex::a ? NodeIndex::b : NodeIndex::a; }
constexpr std::size_t at(NodeIndex n) { return static_cast<std::size_t>(n); }

// Claim, membership and leadership in one number (protocol.md, "Terms"). 0 = none yet.
using Term = std::uint64_t;

// A random number drawn at each start of a node; a worker that goes on for a dead one keeps it. 0 = none.
using Incarnation = std::uint64_t;

// Drawn when a store (a node's, or the quorum disk) is made. 0 = unknown or none.
using StoreId = std::uint64_t;

using Uuid = std::array<std::uint8_t, 16>;  // the cluster's; all zero = none yet
using Hash = std::array<std::uint8_t, 32>;  // BLAKE2b-256 of a configuration's XML

// A decision's name. Ordered: the newer one is greater. {0,0} = no decision.
struct DecisionId {
    Term term = 0;
    std::uint64_t index = 0;
    friend constexpr auto operator<=>(DecisionId, DecisionId) = default;
    constexpr bool exists() const { return term != 0; }
};

// Who leads a term follows from its number, so it is never stored apart.
constexpr NodeIndex leader_of(Term t) { return t % 2 == 1 ? NodeIndex::a : NodeIndex::b; }
// The lowest term of `n` that is greater than `t`.
constexpr Term next_term(NodeIndex n, Term t) {
    Term const next = t + 1;
    return leader_of(next) == n ? next : next + 1;
}

}  // namespace clusterd
