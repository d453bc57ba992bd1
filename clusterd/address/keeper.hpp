// Sees to it that the cluster's addresses tell the truth on the wire: announces those that are online here again, and looks whether
// any other machine answers for one of them.
//
// Called by the worker on its loop's thread, which says what it knows; never blocks (interfaces are looked at by a thread of its own).
//   * healed(): neighbours may have missed, or been told wrongly, where an address is: announced at once, several times. In addition
//     once every minute. The announcing itself is the agent host's, which looks at the permit before each.
//   * While this node is joined or alone it asks every ten seconds who has each address (one packet), and hears what is said without
//     being asked. Nobody is suspected in an address's first seconds here, nor are this node's own interfaces, nor the peer's while
//     the address isn't online here: a move or a failover raises no alarm.
//   * A conflict is told once, when it begins, and once when it is over; concerns() has it in between.
#pragma once

#include "clusterd/address/conflicts.hpp"
#include "clusterd/address/neighbours.hpp"
#include "clusterd/core/events.hpp"
#include "clusterd/shell/io_thread.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clusterd {

class AddressKeeper {
public:
    struct Address {
        std::string group, resource;
        IpPrefix address;
        std::string interface;
        bool ask = true;  // probe-conflict
    };
    struct Callbacks {
        std::function<void(std::string const& resource, int times)> announce;
        std::function<void(effect::RecordEvent)> record;
        std::function<void()> own_macs_changed;  // the peer is to know them
    };
    struct Pace {  // tests are in more of a hurry
        Duration ask = std::chrono::seconds(10);
        Duration announce = std::chrono::seconds(60);
        Duration settled = std::chrono::seconds(5);  // so long after it came online here others may still be corrected
    };
    AddressKeeper(Loop& loop, std::string peer, Callbacks callbacks) : AddressKeeper(loop, std::move(peer), std::move(callbacks), Pace()) {}
    AddressKeeper(Loop& loop, std::string peer, Callbacks callbacks, Pace pace);
    ~AddressKeeper();

    void configure(std::vector<Address> addresses);
    void online(std::string const& resource, bool here);
    void nothing_online();
    void role(Role role);
    void healed();  // a path to the peer, or a network, came back

    std::vector<net::Mac> const& own_macs() const { return own_macs_; }
    void peer_macs(std::vector<net::Mac> macs);

    std::vector<std::string> concerns() const;

private:
    struct Kept {
        Address spec;
        Instant online_since = forever;  // forever: isn't online here
    };
    using Place = std::pair<std::string, bool>;  // interface, IPv6
    struct Ear {
        std::unique_ptr<net::Listener> listener;
        Loop::HandlePtr watch;
    };
    struct Seen {  // of this machine's interfaces
        std::map<std::string, net::Link> links;
        std::vector<net::Mac> macs;
    };

    void arm_round();
    void arm_announcing();
    void round();  // looks at the interfaces, then asks
    void looked(Seen seen);
    void filter(Place const& place, Ear& ear) const;
    void ask_all();
    void heard(Place const& place);
    void judge(Kept const& kept, net::Mac const& mac);
    bool innocent(Kept const& kept, net::Mac const& mac, Instant now) const;
    void announce_all(int times);
    void tell_what_is_over();
    std::string describe(Kept const& kept, net::Mac const& mac) const;
    bool may_look() const { return role_ != Role::seeking; }

    Loop& loop_;
    std::string const peer_;
    Callbacks const callbacks_;
    Pace const pace_;
    std::map<std::string, Kept> kept_;
    std::map<Place, Ear> ears_;
    std::vector<net::Mac> own_macs_;
    std::vector<net::Mac> peer_macs_;  // empty: not known
    net::Conflicts conflicts_;
    Role role_ = Role::seeking;
    Instant last_burst_ = long_ago;
    Loop::HandlePtr round_timer_, again_timer_, announce_timer_;
    bool looking_ = false, look_again_ = false;
    IoThread thread_;
};

// Takes off this node every one of these addresses, on whatever interface it stands. For the start, before anything is decided: what is
// found was left by a predecessor. What was done, for the record; an error names the address that can't be removed, and how to.
Result<std::vector<std::string>> sweep_addresses(std::vector<AddressKeeper::Address> const& addresses);

}  // namespace clusterd
