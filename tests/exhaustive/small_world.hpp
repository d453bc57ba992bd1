// A small world: two Memberships and the quorum disk, in which every step is optional and only time is forced.
//
// So messages that are lost, late or overtaken, a disk that is slow or gone for one node, and a node that is frozen for any time
// need no budget: they are steps not taken. The guard is the permit's end, which comes whatever the node does. Copyable: the search
// (main.cpp) copies it at every branch and prunes by fingerprint().
#pragma once

#include "clusterd/core/membership.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clusterd::exhaustive {

struct Bounds {
    int permit = 3, suspect = 1;  // ticks
    bool drift = false;           // a clock may lose a tick in permit + 1; rho is then 1 / permit (a divisor of 1000): P(1+rho) is P + 1 tick
    int restarts = 1;             // per node
    int memory = 1;               // heartbeats a direction of the link keeps; 2 = may be overtaken
    bool groups_equal = true;     // else A has more groups online: B is the less fit
    bool force = false;           // an operator may force a node that seeks while the other is off, and switch that on at any time
};

enum class Move : std::uint8_t {
    tick, tick_slow_a, tick_slow_b,  // time passes; not on the slow clock
    advance,                         // the node looks at its clock
    deliver, deliver_older,          // to the node
    land, read, decide, fail,        // of its disk cycle: write lands, other slot is read, the node learns it / that it failed
    persist,                         // its store is done
    stop,                            // everything on it has ended
    take_over,
    crash_lost, crash_landed, crash_later,  // a new incarnation; the write under way is lost, landed, or lands later
    resume,                          // the worker is started again as the same incarnation
    ghost_lands,                     // a dead incarnation's write
    switch_on, force
};

struct Choice {
    Move move = Move::tick;
    int node = 0;
    bool operator==(Choice const&) const = default;
};
std::string to_string(Choice c);

struct World {
    explicit World(Bounds const& bounds);

    // b_waits: A alone, B seeking for long. a_marked: both were joined; A stopped and marked it on the disk, B was frozen since.
    // b_off: A seeks, B is off.
    enum class Start { cold, joined, a_alone, b_waits, a_marked, b_off };
    static World started(Bounds const& bounds, Start start);

    void choices(std::vector<Choice>& out) const;
    bool possible(Choice c) const;
    void apply(Choice c);
    char const* broken() const;  // the invariant that does not hold, or null
    std::uint64_t fingerprint() const;
    std::string show() const;
    Role role(int i) const { return nodes[static_cast<std::size_t>(i)]->m.role(); }

    struct Cycle {
        enum class Phase : std::uint8_t { none, written, landed, seen } phase = Phase::none;  // written: its write is on its way
        std::uint64_t id = 0;
        Slot mine, seen;
        Instant started;
    };
    struct Member {
        explicit Member(Membership membership) : m(std::move(membership)) {}
        Membership m;
        Cycle cycle;
        Terms durable, storing;
        bool stores = false;      // a fsync is under way
        bool looked = true;       // advanced since the last tick
        Instant guard_end = long_ago;
        bool took = false;
        int incarnation = 1;
        int lost_ticks = 0;       // ticks until its clock may be slow again
        Instant clock;
        std::optional<Slot> ghost;
        Term last_term = 0;       // it was joined or alone in, in any incarnation
        bool by_force = false;    // alone because an operator forced it, and no disk cycle has allowed it since
    };

    Bounds bounds;
    std::array<std::optional<Member>, 2> nodes;
    std::array<Slot, 2> disk;
    std::array<std::vector<Heartbeat>, 2> link;  // by sender, oldest first
    bool excused = false;      // both have a permit because an operator forced one while the other came back: until one has none
    char const* rule = nullptr;  // one that a node has just broken by itself

private:
    Member& at_(int i) { return *nodes[static_cast<std::size_t>(i)]; }
    Member const& at_(int i) const { return *nodes[static_cast<std::size_t>(i)]; }
    Membership make(int i, int incarnation, Terms const& stored, ResumeState const* resume, Instant now) const;
    void start(int i, int incarnation);
    void perform(int i, Effects& out);
    void after(int i, Effects& out);
    void crash(int i, Move how);
    void tick(int slow);
    bool valid(int i) const;
    void excuse_the_forced();
    void watch_rules(Member& n, Role was, Term term_was);
    bool prompt_round();
    void settle(int rounds, bool link_whole);
};

}  // namespace clusterd::exhaustive
