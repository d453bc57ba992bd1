// What sort of thing an event tells of. A kind keeps its number and its name for ever: scripts, the journal (MESSAGE_ID) and docs/events.md
// know it by them. What each means, and what to do: wire/event_kinds.cpp.
#pragma once

#include <cstdint>

namespace clusterd {

enum class EventKind : std::uint8_t {
    note = 0,  // a message that stands for itself
    // the pair
    joined = 1,
    alone = 2,
    seeking = 3,
    permit_ended = 4,
    all_stopped = 5,
    not_all_stopped = 6,
    taken_over_while_running = 7,
    gives_up = 8,
    takes_part_again = 9,
    node_stopping = 10,
    node_flaps = 11,
    quorum_forced = 12,
    state_unwritable = 13,
    // who owns what
    first_start = 20,
    takeover = 21,
    failover = 22,
    failback = 23,
    moves_away = 24,
    handed_over = 25,
    move_called_off = 26,
    maintenance_ended = 27,
    command = 28,
    config_counts = 29,
    config_reverted = 30,
    // resources
    restarted = 40,
    restarts_used_up = 41,
    left_alone = 42,
    retried = 43,
    not_stopped = 44,
    not_killed = 45,
    offline_but = 46,
    // what a node stands on
    network_down = 60,
    network_up = 61,
    address_gate = 62,
    watchdog = 63,
    link_problem = 64,
    sync_problem = 65,
    start_warning = 66,
    stranger = 67,
    stranger_gone = 68,
};

}  // namespace clusterd
