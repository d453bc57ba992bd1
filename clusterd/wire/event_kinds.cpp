#include "clusterd/wire/event_kinds.hpp"

#include <algorithm>
#include <array>

namespace clusterd {

namespace {

constexpr auto kinds = std::to_array<EventKindInfo>({
    {EventKind::note, "note", "A message",
     "It stands for itself.",
     "Read it: what is to be done stands in it."},
    {EventKind::joined, "joined", "Both nodes are one cluster",
     "The nodes hear each other on a link and have agreed on a term. Each one keeps the other's permit alive by its heartbeats.",
     "Nothing."},
    {EventKind::alone, "alone", "A node goes on without the other one",
     "It lost its peer and won the quorum disk: it may run its groups, and take over the other node's as soon as that node's permits are certainly over.",
     "See what happened to the other node. The pair stands no second loss until it is back: the quorum disk is now the only other vote."},
    {EventKind::seeking, "seeking", "A node has neither peer nor quorum disk",
     "It hears no heartbeat and has not (yet) won the quorum disk. For some tenths of a second this is a part of every failover; if it lasts, the other node has the disk, or the disk can't be read.",
     "If it lasts: look at links and quorum disk in `clusterctl status`. Where the other node is surely off and the disk is lost, `clusterctl quorum force` goes on alone."},
    {EventKind::permit_ended, "permit-ended", "The permit ended, and with it everything here",
     "Neither the peer nor the quorum disk renewed the right to run anything, or this machine stood still for too long. What ran was ended before the other node could take it over.",
     "See `clusterctl why` on the other node for where the groups are now. If the machine was too busy: `clusterctl show timing` says how close it was; a longer permit gives it more time."},
    {EventKind::all_stopped, "all-stopped", "Everything on a node was stopped at once",
     "The emergency stop is complete: no process of a resource is left.",
     "Nothing: the node takes part again by itself."},
    {EventKind::not_all_stopped, "not-all-stopped", "Something may still run after an emergency stop",
     "A process could not be ended, or a file system not be given up (often one that waits in the kernel for a dead disk or server).",
     "End it by hand, or restart the machine. Until then the node takes nothing."},
    {EventKind::taken_over_while_running, "taken-over-while-running", "A group was taken over while it still ran here",
     "This machine's clock stood still (a virtual machine that was paused, or restored from a snapshot), so that its permit seemed to go on.",
     "Don't pause or snapshot a running node: move its groups away first. Check data that both nodes could write. See \"Paused or snapshotted virtual machines\" in the guide."},
    {EventKind::gives_up, "gives-up", "A node gives up its permit",
     "Something on it was killed and is still there, and its group could run on the other node. Rather than block it for ever, the node ends all it can and lets the other one take over.",
     "Find what is left (its name is in the message) and end it, or restart the machine."},
    {EventKind::takes_part_again, "takes-part-again", "A node that had given up takes part again",
     "What could not be ended is gone.",
     "Nothing. `clusterctl resume NODE --failback`, or a move, brings groups back where failback doesn't."},
    {EventKind::node_stopping, "node-stopping", "A node is being stopped in order",
     "clusterd got SIGTERM: `systemctl stop`, an upgrade or a shutdown.",
     "Nothing: its groups move to the other node first."},
    {EventKind::node_flaps, "node-flaps", "A node is lost again and again",
     "It was lost three times within an hour without a word.",
     "Find out why (power, network card, the journal of that machine). Nothing fails back to it until an hour is over, or `clusterctl resume NODE`."},
    {EventKind::quorum_forced, "quorum-forced", "An operator forced quorum",
     "`clusterctl quorum force`: the node goes on without the other one and without the quorum disk. Nothing but the operator's word says that the other node runs nothing.",
     "Repair the quorum disk or bring the other node back soon; `clusterctl status` shows it until then."},
    {EventKind::state_unwritable, "state-unwritable", "The state directory can't be written",
     "The disk is full, read-only or broken. The running configuration goes on; nothing new can be decided.",
     "Free space or repair the file system of the state directory (/var/lib/clusterd)."},
    {EventKind::first_start, "first-start", "A group was placed for the first time",
     "The cluster has just been formed, or the group is new in the configuration: its preferred node gets it, or the first possible one that is up.",
     "Nothing."},
    {EventKind::takeover, "takeover", "A node took a group over from a lost one",
     "The other node is gone and the last permit that it could have had is over.",
     "See what happened to the lost node. `clusterctl failovers` shows how long each part took."},
    {EventKind::failover, "failover", "A group moves because a resource failed",
     "The resource failed more often than it may be restarted here, or a restart here can't help; the other node can have the group, and its failover limit isn't reached.",
     "Look at the resource's message and its service's log. Once mended: `clusterctl reset GROUP` forgets the failures, `clusterctl move GROUP` brings it back."},
    {EventKind::failback, "failback", "A group returns to where it belongs",
     "Its preferred node is back (or two groups that are to be kept apart can be), and its failback policy allows it now.",
     "Nothing."},
    {EventKind::moves_away, "moves-away", "A group leaves its node",
     "The node is stopped or drained, gives up, or isn't a possible owner any more.",
     "Nothing: the message says which it is."},
    {EventKind::handed_over, "handed-over", "A group has another owner now",
     "Everything of it was offline on the old owner, so the new one may start it.",
     "Nothing."},
    {EventKind::move_called_off, "move-called-off", "A move was called off",
     "The node that was to get the group can't take it any more.",
     "See that node's state in `clusterctl status`; move again when it is back."},
    {EventKind::maintenance_ended, "maintenance-ended", "A maintenance ended",
     "Its time is over, an operator ended it, or the group had to leave its node.",
     "Nothing: what failed meanwhile is started again."},
    {EventKind::command, "command", "An operator's command was decided",
     "Somebody ran clusterctl; the message says who, what, and why if it was told (`--reason`).",
     "Nothing."},
    {EventKind::config_counts, "config-counts", "Another configuration counts on a node",
     "`clusterctl apply` or `edit` was decided and carried out on this node.",
     "Nothing. `clusterctl show config` prints it."},
    {EventKind::config_reverted, "config-reverted", "A configuration was not confirmed and is taken back",
     "It was applied with `--confirm`, and nobody said `clusterctl confirm` in time: the configuration before comes back.",
     "Nothing, if that is as you want it. Else apply it again; `clusterctl show config --history` lists both."},
    {EventKind::restarted, "restarted", "A resource failed and is started again here",
     "A check failed often enough, its process ended, or its driver saw it go offline.",
     "Look at the message. If it happens again and again, the cause is in the service: its own log."},
    {EventKind::restarts_used_up, "restarts-used-up", "A resource failed and stays failed here for now",
     "Its restarts within the window are used up, or a restart here can't help. The group moves if it may; if not, it is tried again later, at growing intervals.",
     "Look at the message and the service's log. Once mended: `clusterctl reset RESOURCE` starts it at once."},
    {EventKind::left_alone, "left-alone", "A resource failed and is left alone",
     "Its group is in maintenance.",
     "`clusterctl maintenance off GROUP` when the work is done: it is started again then."},
    {EventKind::retried, "retried", "A failed resource is tried again",
     "Its waiting time is over.",
     "Nothing."},
    {EventKind::not_stopped, "not-stopped", "A resource could not be taken offline",
     "Its stop failed or took longer than `offline-timeout`: now it is killed.",
     "Look at the message; a longer `offline-timeout` helps where it only needs more time."},
    {EventKind::not_killed, "not-killed", "A resource could not be killed",
     "A process of it doesn't go away (it waits in the kernel, as a rule), or its file system is still mounted. It is killed again and again; if the group could run on the other node, this node gives up its permit.",
     "Find what holds it: the message names it. Often a dead disk or NFS server."},
    {EventKind::offline_but, "offline-but", "A resource is offline, with a remark",
     "It is offline, but something was not as it should be.",
     "Read the message."},
    {EventKind::network_down, "network-down", "A network is down on a node",
     "Its interface has no carrier, or the address to ping doesn't answer. Addresses on it go to the other node if the network is well there.",
     "Cable, switch port, the pinged address."},
    {EventKind::network_up, "network-up", "A network is well again",
     "Carrier and ping are back.",
     "Nothing."},
    {EventKind::address_gate, "address-gate", "The address gate has a problem",
     "nftables or netlink refused something. The gate silences addresses when the permit ends while all of clusterd is frozen.",
     "The message names it: is nftables installed, does another program flush the rules?"},
    {EventKind::watchdog, "watchdog", "The watchdog device is not armed",
     "It can't be opened, is used by another program, or doesn't take the time that is configured.",
     "The message names it. Without it a machine that hangs isn't reset; the other promises hold."},
    {EventKind::link_problem, "link-problem", "A heartbeat link has a problem",
     "Its address isn't on this machine, a packet was refused (another key, another cluster), or the kernel refused to send.",
     "The message names the link and what to do."},
    {EventKind::sync_problem, "sync-problem", "The channel between the nodes has a problem",
     "A message of the other node couldn't be read, or the connection is refused or breaks.",
     "The message names it. Same clusterd version and same key on both nodes?"},
    {EventKind::start_warning, "start-warning", "Something was not as it should be at the start",
     "The daemon lacks a right, or found addresses left over by an earlier one, which it took away.",
     "The message names it."},
    {EventKind::stranger, "stranger", "Another machine answers for one of the cluster's addresses",
     "A machine outside of the cluster has the address configured (a clone, a static address, an old server).",
     "Find it by the MAC address in the message and take the address away from it."},
    {EventKind::stranger_gone, "stranger-gone", "The other machine no longer answers for the address",
     "It was taken off the network, or lost the address.",
     "Nothing."},
});

}  // namespace

std::span<EventKindInfo const> event_kinds() { return kinds; }

EventKindInfo const& info_of(EventKind kind) {
    auto const* const found = std::find_if(kinds.begin(), kinds.end(), [kind](auto const& k) { return k.kind == kind; });
    return found == kinds.end() ? kinds.front() : *found;
}

std::optional<EventKindInfo> find_kind(std::string_view name) {
    auto const* const found = std::find_if(kinds.begin(), kinds.end(), [name](auto const& k) { return k.name == name; });
    if (found == kinds.end()) return std::nullopt;
    return *found;
}

// A number of clusterd's own, drawn once, and the kind's behind it.
std::string message_id(EventKind kind) {
    char const digits[] = "0123456789abcdef";
    auto const n = static_cast<unsigned>(kind);
    return std::string("9d1f4c6a0b7e4f2d8c35a1e7b2640f") + digits[n >> 4 & 15] + digits[n & 15];
}

}  // namespace clusterd
